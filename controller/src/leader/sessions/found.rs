//! The sessions that a new leader found in the table, until it decided about those that do not come to it.
//!
//! ```text
//!  leadership begins: each has a full lease
//!     |  two heartbeats later, and no other one came for a while
//!     v
//!  most have come? those that have not are lost; otherwise all keep their lease
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use common::ids::SessionId;
use tokio::time::Instant;

use super::super::context::Context;

/// How long the sessions that a leader found in the table have at least to come to it: a worker without a leader dials
/// once a second (`DIAL_AGAIN_MAX` of its session).
pub(super) const COME_WITHIN_MIN: Duration = Duration::from_secs(2);
/// How long no other one must have come: each that comes says that more may be on their way …
const COME_NO_MORE: Duration = Duration::from_millis(500);
/// … and so much longer for each session: where thousands come at once, some are not answered in time, wait for a second, and
/// dial again after another one, when all others are there.
const COME_NO_MORE_EACH: Duration = Duration::from_millis(2);
/// So many of so many sessions must have come before the others are blamed: with fewer it is more likely that this leader
/// can't be reached.
const MOST: (usize, usize) = (2, 3);

/// The sessions that a leader found in the table, until it decided about those that do not come.
pub(super) struct Found {
    sessions: BTreeSet<SessionId>,
    /// How many have not come.
    awaited: usize,
    /// When it is decided.
    due: Instant,
}

impl Found {
    /// Those of the table, when a leadership begins.
    pub fn at(context: &Context, now: Instant) -> Self {
        let sessions: BTreeSet<_> = context.log.read().sessions().keys().copied().collect();
        // A worker whose leader went silent takes two heartbeats to notice.
        let come_within = COME_WITHIN_MIN.max(context.config.missing_after());
        Self { awaited: sessions.len(), sessions, due: now + come_within }
    }

    /// Gives them more time: this leader was held up itself.
    pub fn extend(&mut self, late: Duration) {
        self.due += late;
    }

    /// Whether it is time to decide.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Takes note of those that have come.
    pub fn look(&mut self, context: &Context, now: Instant) {
        let awaited = context.board.awaited().len();
        if awaited < self.awaited {
            let each = COME_NO_MORE_EACH * u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
            self.due = self.due.max(now + COME_NO_MORE + each);
        }
        self.awaited = awaited;
    }

    /// Those that are lost since they have not come and most others have.
    pub fn lost(mut self, context: &Context) -> BTreeSet<SessionId> {
        let state = context.log.read();
        self.sessions.retain(|session| state.sessions().contains_key(session));
        let absent = &self.sessions & &context.board.awaited();
        let come = self.sessions.len() - absent.len();
        if come * MOST.1 >= self.sessions.len() * MOST.0 { absent } else { BTreeSet::new() }
    }
}
