//! The fleet's members: who answers, and the steps by which they change, taken one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, Fatal, RaftError};
use proto::v1::ProbeReply;
use proto::wire::reason;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::data_dir::mistaken_for;
use super::member_steps::{Answer, MemberStep, Members, Refused};
use super::node::{Inner, RaftNode};
use super::proposer::{PATIENCE, no_answer};
use super::standing::ControllerView;
use super::types::{Member, Metrics};
use crate::leader::command_log::ProposeError;

/// How long one step waits for a learner to come up to where the log ended: one that takes longer falls behind as a voter
/// too.
const CATCH_UP: Duration = Duration::from_secs(1);
/// How often the leader looks for a change that was left in the middle.
const SETTLE_INTERVAL: Duration = Duration::from_secs(1);

impl RaftNode {
    /// All members with what each answered within a second. Works without a leader.
    pub async fn controllers(&self) -> Vec<ControllerView> {
        let metrics = self.0.metrics();
        let membership = metrics.membership_config.membership();
        let mut members: BTreeMap<u64, String> =
            membership.nodes().map(|(id, member)| (*id, member.address.clone())).collect();
        let mut voters: BTreeSet<u64> = membership.voter_ids().collect();
        if members.is_empty() {
            members.clone_from(&self.0.settings.initial_members);
            voters = members.keys().copied().collect();
        }
        let mut answers = self.0.ask(&members).await;
        let view = |(id, address)| {
            let votes = voters.contains(&id);
            match answers.remove(&id) {
                Some(Ok(ProbeReply { node, store, role, term, applied, software, warning, .. })) if node == id => {
                    let mistaken = membership.get_node(&id).filter(|known| known.store != store);
                    let trouble = mistaken.map(|known| mistaken_for(id, &known.store, &store)).unwrap_or_default();
                    ControllerView { id, address, role, term, applied, software, votes, warning, trouble }
                }
                _ => ControllerView { id, address, role: "unreachable".into(), votes, ..ControllerView::default() },
            }
        };
        members.into_iter().map(view).collect()
    }

    /// What is to be done next so that controller `id` at `address` is a member with a vote; `None` if it is.
    ///
    /// # Errors
    /// Why it can't become one.
    pub async fn next_to_add(&self, id: u64, address: &str) -> Result<Option<MemberStep>, Refused> {
        let answer = self.0.ask(&BTreeMap::from([(id, address.to_owned())])).await.remove(&id);
        let answer = answer.unwrap_or_else(|| Err("it was not asked".into()));
        self.0.members().await.map_err(stopped)?.next_to_add(id, address, &answer)
    }

    /// What is to be done next so that controller `id` is no member; `None` if it is none.
    ///
    /// # Errors
    /// Why it must stay.
    pub async fn next_to_remove(&self, id: u64) -> Result<Option<MemberStep>, Refused> {
        let members = self.0.members().await.map_err(stopped)?;
        let addresses = members.nodes.iter().map(|(id, member)| (*id, member.address.clone())).collect();
        members.next_to_remove(id, &self.0.ask(&addresses).await)
    }

    /// Where a member is reached, if it is one.
    pub fn address_of(&self, id: u64) -> Option<String> {
        let metrics = self.0.metrics();
        metrics.membership_config.membership().get_node(&id).map(|member| member.address.clone())
    }

    /// How many members have a vote.
    pub fn voters(&self) -> usize {
        self.0.metrics().membership_config.membership().voter_ids().count()
    }

    /// Takes a step, or waits a moment for what it needs. Says what is so now, for people. Only where this node leads.
    ///
    /// # Errors
    /// `NotLeader`, also if it may have happened: the next step is found by looking again. `Unknown` if it takes too long.
    pub async fn take_step(&self, step: MemberStep) -> Result<String, ProposeError> {
        let node = &self.0;
        let _alone = node.changing.lock().await;
        let (change, done) = match step {
            MemberStep::Settle(voters) => (
                ChangeMembers::ReplaceAllVoters(voters),
                "the change before, which was left half done, is finished".into(),
            ),
            MemberStep::Admit(id, member) => {
                let done = format!("controller {id} is a learner: it gets the log, and has no vote yet");
                (ChangeMembers::AddNodes(BTreeMap::from([(id, member)])), done)
            }
            MemberStep::Promote(id) => {
                let last = node.metrics().last_log_index;
                if let Err(sent) = node.wait_until_sent(id, last).await {
                    let (sent, last) = (sent.unwrap_or_default(), last.unwrap_or_default());
                    return Ok(format!("controller {id} is catching up: {sent} of {last} entries"));
                }
                (ChangeMembers::AddVoterIds(BTreeSet::from([id])), format!("controller {id} has caught up, and a vote"))
            }
            MemberStep::Demote(id) => {
                let done = format!("controller {id} has no vote any more");
                (ChangeMembers::RemoveVoters(BTreeSet::from([id])), done)
            }
            MemberStep::Dismiss(id) => {
                // One that is dead never hears it; it is told when it comes back (`belonging`).
                let _ = node.wait_until_sent(id, node.metrics().membership_config.log_id().map(|at| at.index)).await;
                (ChangeMembers::RemoveNodes(BTreeSet::from([id])), format!("controller {id} is out of the fleet"))
            }
        };
        node.change_members(change).await.map(|()| done)
    }
}

#[cfg(test)]
impl RaftNode {
    /// Begins to give a learner a vote, as a leader does that is lost then.
    pub(super) fn leave_half_done(&self, id: u64) {
        use futures_util::FutureExt;
        // Openraft hands over the first half when it is polled, and the second one when it is polled after the first was
        // committed: this one never is.
        let change = self.0.raft.change_membership(ChangeMembers::AddVoterIds(BTreeSet::from([id])), true);
        assert!(change.now_or_never().is_none(), "the first half waits for the learner");
    }

    pub(super) fn is_half_done(&self) -> bool {
        self.0.metrics().membership_config.membership().get_joint_config().len() > 1
    }
}

impl Inner {
    /// Asks members who is there, all at once; itself too.
    pub async fn ask(&self, members: &BTreeMap<u64, String>) -> BTreeMap<u64, Answer> {
        let (mut asked, asker) = (JoinSet::new(), self.asker());
        for (id, address) in members.clone() {
            let (service, network) = (self.service.clone(), self.network.clone());
            let (asker, is_own) = (asker.clone(), id == self.own.node && address == self.settings.advertise);
            asked.spawn(async move {
                let reply = if is_own { service.who(&asker).await } else { network.probe(&address, asker).await };
                (id, reply.map_err(|status| reason(&status)))
            });
        }
        asked.join_all().await.into_iter().collect()
    }

    /// Finishes a change that a leader was lost in, whenever this node leads: until then decisions need the majority of
    /// two sets of voters.
    pub async fn settle_members(&self) -> Infallible {
        loop {
            sleep(SETTLE_INTERVAL).await;
            let Ok(_alone) = self.changing.try_lock() else { continue };
            if self.standing.borrow().leads.is_none() {
                continue;
            }
            let Ok(Members { voters, is_unsettled: true, .. }) = self.members().await else { continue };
            match self.change_members(ChangeMembers::ReplaceAllVoters(voters.clone())).await {
                Ok(()) => info!(?voters, "a change of the controllers that was left half done is finished"),
                Err(error) => warn!(?voters, %error, "a change of the controllers is still half done"),
            }
        }
    }

    async fn members(&self) -> Result<Members, Fatal<u64>> {
        self.raft.with_raft_state(|state| Members::from(&**state.membership_state.effective())).await
    }

    /// Returns once the log up to `last` is at a member; what is there if that takes too long.
    async fn wait_until_sent(&self, id: u64, last: Option<u64>) -> Result<(), Option<u64>> {
        let sent = |metrics: &Metrics| metrics.replication.as_ref().and_then(|sent| (*sent.get(&id)?)?.index.into());
        let mut shown = self.raft.metrics();
        let reached = timeout(CATCH_UP, shown.wait_for(|metrics| sent(metrics) >= last)).await;
        if reached.is_ok_and(|seen| seen.is_ok()) { Ok(()) } else { Err(sent(&self.metrics())) }
    }

    /// Commits a change. One that loses its vote stays as a learner.
    async fn change_members(&self, change: ChangeMembers<u64, Member>) -> Result<(), ProposeError> {
        let error = match timeout(PATIENCE, self.raft.change_membership(change, true)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => return Err(no_answer()),
        };
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) | RaftError::Fatal(_) => {
                Err(ProposeError::NotLeader)
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => Err(match error {
                ChangeMembershipError::InProgress(_) => {
                    ProposeError::Unknown("the change before it is not committed yet".to_owned())
                }
                error => ProposeError::Unknown(error.to_string()),
            }),
        }
    }
}

fn stopped(error: Fatal<u64>) -> Refused {
    Refused(format!("the log has stopped: {error}"))
}
