//! A table that is brought back from a backup. What was decided after it was made is lost, and must not be mistaken for
//! what is decided from now on: so nothing that is counted is counted twice.

use common::ids::Revision;

use super::State;
use super::events::{EventKind, NewEvent, Stamp};

/// How many changes may have been lost at most. The numbers of revisions, by which incarnations of routes are told apart in
/// stored offsets, go on beyond those: ten a second for three years.
const CHANGES_LOST_MAX: u64 = 1_000_000_000;

impl State {
    /// Makes this the table of a restored fleet. It is a later incarnation, whose pushes beat all earlier ones; sessions end,
    /// since nobody knows what they were given meanwhile. Slots keep their epochs: a greater one that was granted meanwhile
    /// is found stored at the next claim, and raised past.
    pub fn restore(&mut self, time_ms: i64, actor: &str) {
        let revision = Revision(self.revision.0 + CHANGES_LOST_MAX);
        let stamp = Stamp { revision, time_ms, actor: actor.to_owned() };
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.end_session(&stamp, session, "the fleet was restored from a backup");
        }
        let text = format!("the fleet was restored from a backup of revision {}", self.revision);
        self.events.record(&stamp, NewEvent::new(EventKind::Admin, text));
        self.incarnation = self.incarnation.next();
        self.revision = revision;
    }
}
