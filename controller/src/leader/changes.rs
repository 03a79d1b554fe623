//! When to go round again: what a round may have to answer to, gathered so that one round answers to many changes.

use common::ids::Revision;
use tokio::sync::watch;

use super::context::Context;
use super::tasks::End;

/// Changes of the table and of what is known of the workers.
pub(crate) struct Changes {
    table: watch::Receiver<Revision>,
    board: watch::Receiver<u64>,
}

impl Changes {
    pub fn of(context: &Context) -> Self {
        Self { table: context.log.revisions(), board: context.board.changes() }
    }

    /// A round begins: it sees all that was changed before.
    pub fn mark_seen(&mut self) {
        self.table.mark_unchanged();
        self.board.mark_unchanged();
    }

    /// Waits for a change that the last round may not have seen.
    pub async fn next(&mut self) -> Result<(), End> {
        tokio::select! {
            changed = self.table.changed() => changed.map_err(|_| End::NotLeader),
            changed = self.board.changed() => {
                changed.expect("the context holds the board");
                Ok(())
            }
        }
    }
}
