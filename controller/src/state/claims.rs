//! The leader's claims: of partitions that lost their owner and are to have no other one. Whoever lost them may be cut off
//! from the controllers alone, and copies on until a greater epoch is stored.
//!
//! ```text
//!  lost or unclean, and not to be copied --BeginClaims: the slot's epoch grows by one--> begun --EndClaims--> ended
//!                                                                                          |                   |
//!                                            assigned again, under the epoch after: no claim is left <---------+
//! ```
//!
//! The epoch is the leader's alone: no session is ever granted it, so that each leader can make the claim over and over.
//! A slot that is to go stays until its claim has ended: without it nobody would know what is still to be claimed.
//!
//! A partition that is to be copied and lacks nothing but a worker is left to whoever still copies it.

use common::ids::{Epoch, RoutePartition};
use common::offsets::NextOffset;
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::Rejection;
use super::slots::{Slot, Wish, wrong_life};

/// How far the leader's claim of a slot is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LeaderClaim {
    /// The slot's epoch is the leader's, to claim it under.
    Begun,
    /// It stands, or there is nothing to claim.
    Ended,
}

/// A claim that is to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClaimBegin {
    /// Of what.
    pub partition: RoutePartition,
    /// The slot's epoch when it was decided.
    pub planned_on: Epoch,
}

/// A claim that is made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClaimEnd {
    /// Of what.
    pub partition: RoutePartition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What came of it.
    pub outcome: ClaimOutcome,
}

/// What came of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ClaimOutcome {
    /// This offset stands under its epoch or a greater one.
    Stands(NextOffset),
    /// No offset is stored: nobody has claimed the partition before, or Kafka has forgotten it.
    NothingStored,
    /// It could not be made, and what is to be removed is not waited for any longer.
    GivenUp,
}

impl Slot {
    /// Whether its last owner may still copy it, and no claim has ended that.
    pub fn owes_claim(&self) -> bool {
        self.life.was_left_open() && self.leader_claim != Some(LeaderClaim::Ended)
    }
}

impl State {
    /// Whether the leader is to begin a claim of a slot: its owner left it open, and it is not to be copied.
    pub fn is_to_be_claimed(&self, id: &RoutePartition, slot: &Slot) -> bool {
        slot.owes_claim() && slot.leader_claim.is_none() && self.wish(id) != Wish::Run
    }

    /// Reserves the next epoch for the leader's claim.
    pub(super) fn begin_claim(&mut self, begin: &ClaimBegin) -> Result<(), Rejection> {
        let ClaimBegin { partition: id, planned_on } = begin;
        let slot = self.slots.get(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        if slot.epoch != *planned_on {
            let (partition, planned_on) = (id.clone(), *planned_on);
            return Err(Rejection::StaleEpoch { partition, planned_on, found: slot.epoch });
        }
        if !self.is_to_be_claimed(id, slot) {
            return Err(wrong_life(id, slot.life));
        }
        let slot = self.slots.get_mut(id).expect("looked up above");
        slot.epoch = slot.epoch.next();
        slot.leader_claim = Some(LeaderClaim::Begun);
        Ok(())
    }

    /// Ends a claim; a slot that waited only for it goes.
    pub(super) fn end_claim(&mut self, stamp: &Stamp, end: &ClaimEnd) -> Result<(), Rejection> {
        let ClaimEnd { partition: id, epoch, outcome } = end;
        let slot = self.slots.get_mut(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        if slot.epoch != *epoch || slot.leader_claim != Some(LeaderClaim::Begun) {
            return Err(wrong_life(id, slot.life));
        }
        slot.leader_claim = Some(LeaderClaim::Ended);
        let text = match outcome {
            ClaimOutcome::Stands(offset) => Some(format!(
                "{id} was not given back cleanly and is to have no other owner: claimed under epoch {epoch} at offset \
                 {offset}, so that nobody copies it"
            )),
            ClaimOutcome::NothingStored => None,
            ClaimOutcome::GivenUp => Some(format!(
                "{id} was not given back cleanly and could not be claimed: if its last owner is cut off from the \
                 controllers alone, it copies it until it sees one"
            )),
        };
        if let Some(text) = text {
            self.events.record(stamp, NewEvent::new(EventKind::Fence, text).on_partition(id));
        }
        self.drop_if_unwanted(id);
        Ok(())
    }
}
