//! What is to be done next to take a controller into the fleet, or out of it. Pure: who belongs to it and what was
//! answered in, the next step out.
//!
//! ```text
//!  add:     absent ──Admit──> learner ──Promote, once it has caught up──> voter
//!  remove:  voter ──Demote──> learner ──Dismiss, once it knows──> absent
//! ```
//!
//! The next step follows from the membership as it is, so whoever leads goes on where another one stopped, and asking
//! again is safe. One that loses its vote becomes a learner first because a leader sends nothing more to one that is out:
//! as a voter that never heard of it, it would go on asking for votes.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::ProbeReply;

use super::settings::MEMBERS_MAX;
use super::types::{EffectiveMembership, FORMAT, Member};

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberStep {
    /// Finish the change before, whose leader was lost in the middle: these have a vote then.
    Settle(BTreeSet<u64>),
    /// Send it the log. It has no vote.
    Admit(u64, Member),
    /// Give it a vote, once it has caught up.
    Promote(u64),
    /// Take its vote, and go on sending it the log.
    Demote(u64),
    /// Send it nothing more, once it knows that it has no vote.
    Dismiss(u64),
}

/// Why controllers are not changed that way, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// What a controller answered, or why it did not.
pub(super) type Answer = Result<ProbeReply, String>;

/// Who belongs to the fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Members {
    pub nodes: BTreeMap<u64, Member>,
    /// Who votes, or will.
    pub voters: BTreeSet<u64>,
    /// Whether voters are being exchanged: decisions need a majority of the former ones too.
    pub is_unsettled: bool,
}

impl From<&EffectiveMembership> for Members {
    fn from(effective: &EffectiveMembership) -> Self {
        let (membership, configs) = (effective.membership(), effective.membership().get_joint_config());
        Self {
            nodes: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
            voters: configs.last().cloned().unwrap_or_default(),
            is_unsettled: configs.len() > 1,
        }
    }
}

impl Members {
    /// What is to be done next so that controller `id` votes; `None` if it does. `answer` is of whoever is at the address.
    pub fn next_to_add(&self, id: u64, address: &str, answer: &Answer) -> Result<Option<MemberStep>, Refused> {
        if self.is_unsettled {
            return Ok(Some(MemberStep::Settle(self.voters.clone())));
        }
        let known = self.nodes.get(&id);
        let refused = |text: String| Err(Refused(text));
        match known {
            Some(member) if member.address != address => {
                return refused(format!(
                    "controller {id} is at {}: to give it another address take it out first, with: replisome controller \
                     remove {id}",
                    member.address
                ));
            }
            Some(_) if self.voters.contains(&id) => return Ok(None),
            _ => {}
        }
        if self.voters.len() >= MEMBERS_MAX {
            return refused(format!("the fleet has {MEMBERS_MAX} controllers, which is the most: remove one first"));
        }
        if let Some((other, _)) = self.nodes.iter().find(|(other, member)| **other != id && member.address == address) {
            return refused(format!(
                "controller {other} is at {address}: correct the address, or remove that one first"
            ));
        }
        let reply = match answer {
            Ok(reply) => reply,
            Err(why) => {
                return refused(format!(
                    "no controller answers at {address} ({why}): start controller {id} there, with an empty data \
                     directory and without initial-members"
                ));
            }
        };
        check_newcomer(id, address, known, reply)?;
        Ok(Some(match known {
            Some(_) => MemberStep::Promote(id),
            None => MemberStep::Admit(id, Member { address: address.to_owned(), store: reply.store.clone() }),
        }))
    }

    /// What is to be done next so that controller `id` is no member; `None` if it is none. `answers` are of all members.
    pub fn next_to_remove(&self, id: u64, answers: &BTreeMap<u64, Answer>) -> Result<Option<MemberStep>, Refused> {
        if self.is_unsettled {
            return Ok(Some(MemberStep::Settle(self.voters.clone())));
        }
        if !self.nodes.contains_key(&id) {
            return Ok(None);
        }
        if !self.voters.contains(&id) {
            return Ok(Some(MemberStep::Dismiss(id)));
        }
        let rest: Vec<u64> = self.voters.iter().copied().filter(|voter| *voter != id).collect();
        if rest.is_empty() {
            return Err(Refused(format!(
                "controller {id} is the only one with a vote: add another one first; to give the fleet up, stop its \
                 controllers and workers"
            )));
        }
        let missing: Vec<String> =
            rest.iter().filter(|voter| !self.is_there(**voter, answers)).map(|voter| self.named(*voter)).collect();
        let (there, majority) = (rest.len() - missing.len(), rest.len() / 2 + 1);
        if there < majority {
            return Err(Refused(format!(
                "without controller {id}, {majority} of the other {} would have to decide, and only {there} can: start \
                 controller {} first",
                rest.len(),
                missing.join(", ")
            )));
        }
        Ok(Some(MemberStep::Demote(id)))
    }

    fn is_there(&self, id: u64, answers: &BTreeMap<u64, Answer>) -> bool {
        let is_it = |reply: &ProbeReply| reply.node == id && reply.store == self.nodes[&id].store;
        answers.get(&id).is_some_and(|answer| answer.as_ref().is_ok_and(is_it))
    }

    fn named(&self, id: u64) -> String {
        format!("{id} ({})", self.nodes[&id].address)
    }
}

/// Whether who answers can become controller `id`.
fn check_newcomer(id: u64, address: &str, known: Option<&Member>, reply: &ProbeReply) -> Result<(), Refused> {
    let refused = |text: String| Err(Refused(text));
    if reply.node != id {
        return refused(format!("controller {} answers at {address}: correct the id or the address", reply.node));
    }
    if reply.format != u32::from(FORMAT) {
        return refused(format!(
            "controller {id} (version {}) speaks format {} with its peers, this fleet {FORMAT}: run the same version of \
             replisome on all controllers",
            reply.software, reply.format
        ));
    }
    if reply.address != address {
        return refused(format!(
            "controller {id} says that others reach it at {0}: give --address {0}, or correct advertise in its \
             configuration",
            reply.address
        ));
    }
    match known {
        Some(member) if member.store != reply.store => refused(format!(
            "controller {id} answers with another data directory than the one that was taken in: remove it first, with: \
             replisome controller remove {id}"
        )),
        None if !reply.empty => refused(format!(
            "controller {id} at {address} has a log of its own already, and only an empty one can be taken in: stop it, \
             empty its data directory if nothing needs that any more, and start it again"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64) -> Member {
        Member { address: format!("host:{id}"), store: format!("store{id}") }
    }

    /// A fleet in which these vote and these learn.
    fn members(voters: &[u64], learners: &[u64]) -> Members {
        let nodes = voters.iter().chain(learners).map(|id| (*id, member(*id))).collect();
        Members { nodes, voters: voters.iter().copied().collect(), is_unsettled: false }
    }

    fn reply(id: u64) -> ProbeReply {
        let Member { address, store } = member(id);
        ProbeReply { node: id, address, store, format: FORMAT.into(), ..ProbeReply::default() }
    }

    fn empty(id: u64) -> ProbeReply {
        ProbeReply { empty: true, ..reply(id) }
    }

    #[track_caller]
    fn refused(step: Result<Option<MemberStep>, Refused>, texts: &[&str]) {
        let Refused(text) = step.expect_err("it is refused");
        for part in texts {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
    }

    #[test]
    fn a_newcomer_is_a_learner_until_it_has_caught_up() {
        let add = |members: &Members| members.next_to_add(2, "host:2", &Ok(empty(2)));
        assert_eq!(add(&members(&[1], &[])), Ok(Some(MemberStep::Admit(2, member(2)))));
        let learns = members(&[1], &[2]);
        assert_eq!(learns.next_to_add(2, "host:2", &Ok(reply(2))), Ok(Some(MemberStep::Promote(2))));
        // Whoever votes is a member, whether it answers or not.
        assert_eq!(members(&[1, 2], &[]).next_to_add(2, "host:2", &Err("refused".into())), Ok(None));
    }

    #[test]
    fn only_an_empty_controller_of_this_id_address_and_version_is_taken_in() {
        let add = |members: &Members, reply| members.next_to_add(4, "host:4", &reply);
        let three = members(&[1, 2, 3], &[]);
        refused(
            add(&three, Err("connection refused".into())),
            &["host:4", "connection refused", "without initial-members"],
        );
        refused(add(&three, Ok(empty(5))), &["controller 5 answers at host:4"]);
        refused(add(&three, Ok(reply(4))), &["a log of its own", "empty its data directory"]);
        refused(add(&three, Ok(ProbeReply { format: 9, ..empty(4) })), &["format 9", "same version"]);
        refused(add(&three, Ok(ProbeReply { address: "b:4".into(), ..empty(4) })), &["--address b:4", "advertise"]);
        refused(three.next_to_add(4, "host:2", &Ok(empty(4))), &["controller 2 is at host:2"]);
        refused(three.next_to_add(2, "host:4", &Ok(empty(4))), &["controller 2 is at host:2", "remove 2"]);
        refused(add(&members(&[1, 2, 3, 5, 6], &[]), Ok(empty(4))), &["5 controllers", "remove one first"]);
        let exchanged = ProbeReply { store: "other".into(), ..empty(4) };
        refused(add(&members(&[1, 2, 3], &[4]), Ok(exchanged)), &["another data directory", "remove 4"]);
    }

    #[test]
    fn a_voter_leaves_as_a_learner_and_only_if_the_others_can_decide() {
        let three = members(&[1, 2, 3], &[]);
        let answers = |there: &[u64]| {
            (1..=3).map(|id| (id, there.contains(&id).then(|| reply(id)).ok_or("silent".into()))).collect()
        };
        assert_eq!(three.next_to_remove(3, &answers(&[1, 2, 3])), Ok(Some(MemberStep::Demote(3))));
        assert_eq!(three.next_to_remove(3, &answers(&[1, 2])), Ok(Some(MemberStep::Demote(3))), "a dead one");
        refused(
            three.next_to_remove(3, &answers(&[1, 3])),
            &["2 of the other 2", "only 1 can", "start controller 2 (host:2)"],
        );
        let mut wiped = answers(&[1, 2, 3]);
        wiped.insert(2, Ok(ProbeReply { store: "other".into(), ..empty(2) }));
        refused(three.next_to_remove(3, &wiped), &["start controller 2"]);
        refused(members(&[1], &[2]).next_to_remove(1, &answers(&[1, 2])), &["the only one with a vote"]);

        assert_eq!(members(&[1, 2], &[3]).next_to_remove(3, &BTreeMap::new()), Ok(Some(MemberStep::Dismiss(3))));
        assert_eq!(members(&[1, 2], &[]).next_to_remove(3, &BTreeMap::new()), Ok(None));
    }

    #[test]
    fn a_change_that_was_left_in_the_middle_is_finished_first() {
        let half = Members { is_unsettled: true, ..members(&[1, 2, 3], &[]) };
        let settle = MemberStep::Settle(BTreeSet::from([1, 2, 3]));
        assert_eq!(half.next_to_add(4, "host:4", &Ok(empty(4))), Ok(Some(settle.clone())));
        assert_eq!(half.next_to_remove(3, &BTreeMap::new()), Ok(Some(settle)));
    }
}
