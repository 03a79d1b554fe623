//! Whether this node still belongs to its fleet. Nobody sends the log to a controller that was removed: it would wait for a
//! leader for ever, or ask for votes that nobody gives, if it was away when that happened.
//!
//! So a node that hears no leader asks the others, and each is told by the one rule below. It takes back what it was told
//! once a leader speaks to it: one that is just being added may have asked somebody who did not know yet.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use openraft::CommittedLeaderId;
use proto::v1::{LogPosition, ProbeRequest};
use tokio::time::sleep;

use super::node::Inner;
use super::standing::Absence;
use super::types::{EffectiveMembership, LogId};

/// How often a node without a leader asks. The first time is before its first election.
const INTERVAL: Duration = Duration::from_secs(1);

/// Whether the asker was removed: `committed` is without it, and the asker knows of none that is later. A directory that was
/// removed is never taken in again, so none that it does not know can have it back.
pub(super) fn is_removed(asker: &ProbeRequest, committed: &EffectiveMembership) -> bool {
    let Some(LogPosition { term, leader, index }) = asker.membership else { return false };
    let known = LogId { leader_id: CommittedLeaderId::new(term, leader), index };
    Some(known) <= *committed.log_id() && committed.membership().nodes().all(|(_, member)| member.store != asker.store)
}

/// Asks whenever no leader is heard. While it is removed, this node says so and asks for no votes.
pub(super) async fn watch(node: &Inner) -> Infallible {
    loop {
        let has_leader = node.heard.recent_leader().is_some() || node.standing.borrow().leads.is_some();
        let known = node.absence.borrow().clone();
        let absence = match &known {
            _ if has_leader => None,
            Some(known) => Some(known.clone()),
            None => told_by(node).await.map(|member| farewell(node, member)),
        };
        if absence != known {
            node.raft.runtime_config().elect(absence.is_none());
            node.absence.send_replace(absence);
        }
        sleep(INTERVAL).await;
    }
}

/// Where the member is that tells this node that it was removed, if one does.
async fn told_by(node: &Inner) -> Option<String> {
    let metrics = node.metrics();
    let others = metrics.membership_config.nodes().filter(|(id, _)| **id != node.own.node);
    let others: BTreeMap<u64, String> = others.map(|(id, member)| (*id, member.address.clone())).collect();
    let mut replies = node.ask(&others).await.into_values().flatten();
    replies.find(|reply| reply.removed).map(|reply| reply.address)
}

fn farewell(node: &Inner, member: String) -> Absence {
    let (id, address) = (node.own.node, &node.settings.advertise);
    let why = format!(
        "controller {id} was removed from the fleet: stop it. To take it in again, empty its data directory, start it, and: \
         replisome controller add {id} --address {address}"
    );
    Absence { why, referral: Some(member) }
}

impl Inner {
    /// This node as it asks others.
    pub fn asker(&self) -> ProbeRequest {
        let position =
            |at: LogId| LogPosition { term: at.leader_id.term, leader: at.leader_id.node_id, index: at.index };
        let membership = self.metrics().membership_config.log_id().map(position);
        ProbeRequest { store: self.own.store.clone(), membership }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::Member;

    fn membership(index: u64, stores: &[&str]) -> EffectiveMembership {
        let nodes: BTreeMap<u64, Member> = (1..)
            .zip(stores)
            .map(|(id, store)| (id, Member { address: String::new(), store: (*store).into() }))
            .collect();
        let log_id = LogId { leader_id: CommittedLeaderId::new(3, 1), index };
        EffectiveMembership::new(Some(log_id), openraft::Membership::new(vec![nodes.keys().copied().collect()], nodes))
    }

    fn asker(store: &str, membership: Option<(u64, u64)>) -> ProbeRequest {
        let membership = membership.map(|(term, index)| LogPosition { term, leader: 1, index });
        ProbeRequest { store: store.into(), membership }
    }

    #[test]
    fn only_a_membership_without_its_store_that_it_knows_no_later_one_of_removes_a_node() {
        let now = membership(10, &["a", "b"]);
        assert!(is_removed(&asker("c", Some((3, 9))), &now));
        assert!(is_removed(&asker("c", Some((3, 10))), &now), "a leader that removed itself");
        assert!(is_removed(&asker("c", Some((2, 30))), &now), "an entry of an earlier term that came to nothing");
        assert!(!is_removed(&asker("b", Some((3, 9))), &now), "it is a member");
        assert!(!is_removed(&asker("c", Some((3, 11))), &now), "it knows more than the asked one");
        assert!(!is_removed(&asker("c", None), &now), "it has no log yet");
        assert!(!is_removed(&asker("c", Some((3, 9))), &EffectiveMembership::default()), "the asked one knows nothing");
    }
}
