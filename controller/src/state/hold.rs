//! The hold of a pool after a mass loss: so many of its workers are missed at once that they are more likely out of the
//! controllers' sight than dead. What they have stays with them meanwhile.
//!
//! ```text
//! HoldMoves --> held --EndHold: its time is over, all are back, or an operator gave the missing ones up--> as before
//! ```
//!
//! How long it lasts is the leader's to count, and a new leader counts anew: until then nothing moves, so that another
//! election makes the hold longer and never ends it.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{PoolName, Revision};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::Effect;

/// Missing workers keep their partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// The change that began it.
    pub since: Revision,
    /// How many sessions were lost within one lease …
    pub lost: usize,
    /// … of how many that were registered before.
    pub registered: usize,
    /// How long it lasts, if nothing ends it before.
    pub lasts: Duration,
}

impl State {
    /// The pools whose missing workers keep what they have.
    pub fn holds(&self) -> &BTreeMap<PoolName, Hold> {
        &self.holds
    }

    /// Has a pool's missing workers keep their partitions.
    pub(super) fn hold_moves(
        &mut self,
        stamp: &Stamp,
        pool: PoolName,
        (lost, registered): (usize, usize),
        lasts: Duration,
    ) -> Effect {
        if self.holds.contains_key(&pool) {
            return Effect::Exists;
        }
        let text = format!(
            "{lost} of {registered} workers of pool {pool} were lost at once: what they have stays with them for {lasts:?}, \
             or until they are back"
        );
        self.holds.insert(pool, Hold { since: stamp.revision, lost, registered, lasts });
        self.events.record(stamp, NewEvent::new(EventKind::Pause, text));
        Effect::Done
    }

    /// Ends that, of one pool or of all.
    pub(super) fn end_holds(&mut self, stamp: &Stamp, pool: Option<&PoolName>, reason: &str) -> Effect {
        let meant = |held: &PoolName| pool.is_none_or(|pool| pool == held);
        let ended: Vec<PoolName> = self.holds.extract_if(.., |held, _| meant(held)).map(|(pool, _)| pool).collect();
        for pool in &ended {
            let text = format!("partitions of lost workers of pool {pool} move again: {reason}");
            self.events.record(stamp, NewEvent::new(EventKind::Pause, text));
        }
        if ended.is_empty() { Effect::Exists } else { Effect::Done }
    }
}
