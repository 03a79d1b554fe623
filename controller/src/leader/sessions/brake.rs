//! Whether lost sessions of a pool are acted on. Many that are lost at once are more likely out of this leader's sight than dead, and
//! to give away what they copy would double it and be undone a minute later.
//!
//! ```text
//!                      more may be on their way out
//!               +------------- Wait <--+
//!               v                      |
//!  overdue -> judge -> Act: end them --+-> Hold: too many --> held --> Release: its time is over, or all are back
//!                                                              |         |
//!                                                              +---------+--> those that are still missing are let go
//! ```
//!
//! Decides on values and keeps what it remembers of them; never asks and never does. What it remembers is lost with the
//! leadership, all but the hold, which stands in the table: the next leader counts its time anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use common::ids::SessionId;
use tokio::time::Instant;

use super::super::context::LeaderConfig;

/// One part in so many of a pool's workers may be lost within one lease …
const PART_MAX: usize = 3;
/// … and one always: a fleet of two or three must not wait when it loses one.
const LOST_MAX: usize = 1;

/// What is seen of a pool's sessions at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// The sessions that are lost, and since when.
    pub overdue: BTreeMap<SessionId, Instant>,
    /// Those that can't be heard, lost or not yet.
    pub missing: BTreeSet<SessionId>,
    /// How many stand in the table.
    pub registered: usize,
    /// Whether moves are held.
    pub held: bool,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing now.
    Wait,
    /// End the overdue sessions.
    Act,
    /// Hold moves.
    Hold {
        /// How many were lost within one lease …
        lost: usize,
        /// … of how many that were registered before.
        registered: usize,
    },
    /// End the hold; the text says why.
    Release(&'static str),
}

/// Judges the losses of one pool.
#[derive(Debug)]
pub(super) struct Brake {
    config: LeaderConfig,
    /// When sessions were ended within the last lease.
    ended: VecDeque<Instant>,
    /// Missing sessions that a hold has waited for: they are lost for good.
    let_go: BTreeSet<SessionId>,
    /// Since when this leader sees moves held.
    held_since: Option<Instant>,
}

impl Brake {
    pub fn new(config: LeaderConfig) -> Self {
        let (ended, let_go, held_since) = Default::default();
        Self { config, ended, let_go, held_since }
    }

    /// Judges what is seen now.
    pub fn judge(&mut self, sight: &Sight, now: Instant) -> Verdict {
        if sight.held {
            return self.judge_hold(sight, now);
        }
        if self.held_since.take().is_some() {
            self.let_go = sight.missing.clone();
            self.ended.clear();
        }
        let lease = self.config.lease;
        self.ended.retain(|at| now.saturating_duration_since(*at) < lease);
        self.let_go.retain(|session| sight.missing.contains(session));
        let overdue = sight.overdue.iter().filter(|(session, _)| !self.let_go.contains(session));
        let Some(first) = overdue.clone().map(|(_, since)| *since).min() else { return Verdict::Act };
        let registered = sight.registered + self.ended.len();
        let lost = self.ended.len() + overdue.count();
        if are_too_many(lost, registered) {
            return Verdict::Hold { lost, registered };
        }
        // Workers that were cut off together are lost within a heartbeat of each other, which is when each was last heard, and
        // what a busy network and a busy host add to that.
        let may_be_lost = self.ended.len() + sight.missing.difference(&self.let_go).count();
        let waited = now.saturating_duration_since(first);
        if are_too_many(may_be_lost, registered) && waited < self.config.missing_after() {
            return Verdict::Wait;
        }
        Verdict::Act
    }

    fn judge_hold(&mut self, sight: &Sight, now: Instant) -> Verdict {
        let since = *self.held_since.get_or_insert(now);
        if sight.missing.is_empty() {
            return Verdict::Release("all workers are back");
        }
        match now.saturating_duration_since(since) >= self.config.mass_loss_hold {
            true => Verdict::Release("those that are not back by now are given up"),
            false => Verdict::Wait,
        }
    }

    /// The hold that was asked for stands in the table.
    pub fn hold(&mut self, now: Instant) {
        self.held_since = Some(now);
    }

    /// A lost session was ended.
    pub fn ended(&mut self, session: SessionId, now: Instant) {
        if !self.let_go.remove(&session) {
            self.ended.push_back(now);
        }
    }

    /// The leader was held up: so is its hold.
    pub fn extend(&mut self, by: Duration) {
        self.held_since = self.held_since.map(|since| since + by);
    }
}

/// Whether so many of so many workers are more than are lost one by one.
fn are_too_many(lost: usize, registered: usize) -> bool {
    lost > LOST_MAX && lost * PART_MAX > registered
}

#[cfg(test)]
#[path = "brake_test.rs"]
mod brake_test;
