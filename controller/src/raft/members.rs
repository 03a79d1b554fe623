//! Who answers: all members of the fleet, asked at once.

use std::collections::BTreeMap;

use proto::v1::ProbeReply;
use tokio::task::JoinSet;

use super::node::{Inner, RaftNode};
use super::standing::ControllerView;

impl RaftNode {
    /// All members with what each answered within a second. Works without a leader.
    pub async fn controllers(&self) -> Vec<ControllerView> {
        let metrics = self.0.metrics();
        let members = metrics.membership_config.nodes();
        let mut members: BTreeMap<u64, String> = members.map(|(id, member)| (*id, member.address.clone())).collect();
        if members.is_empty() {
            members.clone_from(&self.0.settings.initial_members);
        }
        let mut answers = self.0.ask(&members).await;
        let view = |(id, address)| match answers.remove(&id) {
            Some(Ok(ProbeReply { node, role, term, applied, software, .. })) if node == id => {
                ControllerView { id, address, role, term, applied, software }
            }
            _ => {
                ControllerView { id, address, role: "unreachable".into(), term: 0, applied: 0, software: String::new() }
            }
        };
        members.into_iter().map(view).collect()
    }
}

impl Inner {
    /// Asks members who is there, all at once; itself too.
    pub async fn ask(&self, members: &BTreeMap<u64, String>) -> BTreeMap<u64, Result<ProbeReply, String>> {
        let mut asked = JoinSet::new();
        for (id, address) in members.clone() {
            let (service, network, own) = (self.service.clone(), self.network.clone(), self.own.node);
            asked.spawn(async move {
                let reply = if id == own { service.who().await } else { network.probe(&address).await };
                (id, reply.map_err(|status| status.message().to_owned()))
            });
        }
        asked.join_all().await.into_iter().collect()
    }
}
