//! What is to be claimed of one route, as the table has it.

use common::config::ClusterConfig;
use common::ids::{Epoch, RoutePartition};

use super::super::each_route::Incarnation;
use crate::state::{Cause, ClaimBegin, LeaderClaim, State, Wish};

/// What is to be claimed of one route.
pub(super) struct View {
    /// Where its offsets are.
    pub source: ClusterConfig,
    /// Under which group they are stored.
    pub group: String,
    /// What no claim was begun of.
    pub owed: Vec<ClaimBegin>,
    /// What the leader has claimed, or is about to.
    pub open: Vec<Open>,
}

/// A claim that was begun.
pub(super) struct Open {
    pub partition: RoutePartition,
    pub epoch: Epoch,
    pub has_ended: bool,
    /// Whether the slot goes with the end of its claim.
    pub is_leaving: bool,
}

impl View {
    /// The route, if it is still there and still the same incarnation.
    pub fn of(state: &State, (route, incarnation): &Incarnation) -> Option<Self> {
        let settings = &state.routes().get(route).filter(|found| found.incarnation == *incarnation)?.settings;
        let (source, group) = (state.clusters().get(&settings.source)?.clone(), settings.group.clone());
        let (mut owed, mut open) = (Vec::new(), Vec::new());
        for (id, slot) in state.slots_of_route(route) {
            let (partition, epoch) = (id.clone(), slot.epoch);
            if let Some(claim) = slot.leader_claim {
                let is_leaving = matches!(state.wish(id), Wish::Stop(Cause::Removed, _));
                open.push(Open { partition, epoch, has_ended: claim == LeaderClaim::Ended, is_leaving });
            } else if state.is_to_be_claimed(id, slot) {
                owed.push(ClaimBegin { partition, planned_on: epoch });
            }
        }
        Some(Self { source, group, owed, open })
    }

    /// Whether there is nothing to claim.
    pub fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.open.is_empty()
    }

    /// Whether nothing but ended claims is left.
    pub fn is_at_rest(&self) -> bool {
        self.owed.is_empty() && self.open.iter().all(|open| open.has_ended)
    }

    /// All that is looked after, with the epoch that it has now.
    pub fn keys(&self) -> impl Iterator<Item = (RoutePartition, Epoch)> {
        let owed = self.owed.iter().map(|begin| (begin.partition.clone(), begin.planned_on));
        owed.chain(self.open.iter().map(Open::key))
    }
}

impl Open {
    /// What a leader remembers it by.
    pub fn key(&self) -> (RoutePartition, Epoch) {
        (self.partition.clone(), self.epoch)
    }
}
