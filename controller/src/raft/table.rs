//! The table in memory, made from the log.

use std::sync::{RwLock, RwLockReadGuard};

use common::ids::{FleetId, FleetIncarnation, Revision};
use tokio::sync::watch;

use crate::state::{Envelope, Outcome, Rejection, State};

/// The table. Changed by the state machine alone.
#[derive(Debug)]
pub(super) struct Table {
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
    /// See `RaftTuning::checks_entries`.
    checks_entries: bool,
}

impl Table {
    /// The table before the log's first entry. Its fleet has no name yet.
    pub fn empty(checks_entries: bool) -> Self {
        let fleet = FleetId::new("unfounded").expect("a legal name");
        let state = State::new(fleet, FleetIncarnation::default());
        let revision = watch::Sender::new(state.revision());
        Self { state: RwLock::new(state), revision, checks_entries }
    }

    /// The table as it is here and now. Never held over an await.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect(NOT_POISONED)
    }

    /// The revision of the table; changes with what may have to be answered to.
    pub fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Applies commands in order. What is refused changes nothing and uses no revision up.
    pub fn apply(&self, envelopes: Vec<Envelope>) -> Vec<Result<Outcome, Rejection>> {
        let mut state = self.state.write().expect(NOT_POISONED);
        let mut is_news = false;
        let apply = |envelope: Envelope| {
            let revision = state.revision().next();
            is_news |= envelope.command.is_news();
            match self.checks_entries {
                true => state.apply_checked(revision, envelope),
                false => state.apply(revision, envelope),
            }
        };
        let answers = envelopes.into_iter().map(apply).collect();
        self.announce(&state, is_news);
        answers
    }

    /// Names the fleet.
    pub fn found(&self, fleet: FleetId) {
        self.state.write().expect(NOT_POISONED).found(fleet);
    }

    /// Puts the table of a snapshot in place of this one.
    pub fn replace(&self, table: State) {
        let mut state = self.state.write().expect(NOT_POISONED);
        *state = table;
        self.announce(&state, true);
    }

    /// Still under the lock, so that revisions are announced in order.
    fn announce(&self, state: &State, is_news: bool) {
        let is_changed = |revision: &mut Revision| std::mem::replace(revision, state.revision()) != state.revision();
        self.revision.send_if_modified(|revision| is_changed(revision) && is_news);
    }
}

const NOT_POISONED: &str = "a panic in apply ends the process's part in the fleet";

#[cfg(test)]
mod tests {
    use common::ids::Epoch;
    use common::offsets::NextOffset;

    use super::*;
    use crate::state::state_test::{done, envelope, fleet, id, session, step};
    use crate::state::{Command, NotedOffset, Step};

    #[test]
    fn a_command_that_nothing_follows_from_wakes_nobody() {
        let mut state = fleet();
        let assign = step(&state, 0, Step::Assign { to: session(0) });
        done(&mut state, assign);
        let before = state.revision();
        let table = Table::empty(true);
        table.replace(state);
        let mut revisions = table.revisions();
        let note = |stored| {
            let noted = NotedOffset { partition: id(0), epoch: Epoch(5), stored: NextOffset(stored) };
            envelope(Command::NoteOffsets(vec![noted]))
        };
        table.apply(vec![note(1), note(2)]);
        assert!(!revisions.has_changed().unwrap());
        assert_eq!(
            (table.read().revision(), *revisions.borrow_and_update()),
            (Revision(before.0 + 2), Revision(before.0 + 2))
        );
        table.apply(vec![note(3), envelope(Command::BeginLeadership), note(4)]);
        assert!(revisions.has_changed().unwrap());
    }
}
