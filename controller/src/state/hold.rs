//! The hold after a mass loss: so many workers are missed at once that they are more likely out of the controllers' sight
//! than dead. What they have stays with them meanwhile.
//!
//! ```text
//! HoldMoves --> held --EndHold: its time is over, all are back, or an operator gave the missing ones up--> as before
//! ```
//!
//! How long it lasts is the leader's to count, and a new leader counts anew: until then nothing moves, so that another
//! election makes the hold longer and never ends it.

use std::time::Duration;

use common::ids::Revision;
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
    /// Why the partitions of missing workers stay where they are, if they do.
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// Has missing workers keep their partitions.
    pub(super) fn hold_moves(&mut self, stamp: &Stamp, lost: usize, registered: usize, lasts: Duration) -> Effect {
        if self.hold.is_some() {
            return Effect::Exists;
        }
        self.hold = Some(Hold { since: stamp.revision, lost, registered, lasts });
        let text = format!(
            "{lost} of {registered} workers were lost at once: what they have stays with them for {lasts:?}, or until \
             they are back"
        );
        self.events.record(stamp, NewEvent::new(EventKind::Pause, text));
        Effect::Done
    }

    /// Ends that.
    pub(super) fn end_hold(&mut self, stamp: &Stamp, reason: &str) -> Effect {
        if self.hold.take().is_none() {
            return Effect::Exists;
        }
        let text = format!("partitions of lost workers move again: {reason}");
        self.events.record(stamp, NewEvent::new(EventKind::Pause, text));
        Effect::Done
    }
}
