//! The log that commands go through, as the leader sees it. A fleet's is replicated; `LocalLog` is one process's, for
//! which Kafka remembers all that must survive it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{RwLock, RwLockReadGuard};

use common::ids::{FleetId, FleetIncarnation, Revision};
use tokio::sync::watch;

use crate::state::{Envelope, Outcome, Rejection, State};

/// A future behind a pointer, so that traits with async functions can be used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ordered log of commands and the table they make.
pub trait CommandLog: Send + Sync + 'static {
    /// Appends a command and applies it.
    fn propose(&self, envelope: Envelope) -> BoxFuture<'_, Result<Outcome, ProposeError>>;

    /// The table as it is here and now. Never held over an await.
    fn read(&self) -> RwLockReadGuard<'_, State>;

    /// The revision of the table; changes with what may have to be answered to (`Command::is_news`).
    fn revisions(&self) -> watch::Receiver<Revision>;

    /// Where the controllers that keep the log are reached now; none where it is one process's.
    fn controllers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a command has no outcome.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// It was refused; nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// This node does not lead; nothing changed.
    #[error("this controller does not lead")]
    NotLeader,
    /// It may or may not have been applied, now or later.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

/// A log of one process, in memory.
#[derive(Debug)]
pub struct LocalLog {
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
}

impl LocalLog {
    /// An empty log of a fleet.
    pub fn new(fleet: FleetId) -> Self {
        let state = State::new(fleet, FleetIncarnation::default());
        let (revision, _) = watch::channel(state.revision());
        Self { state: RwLock::new(state), revision }
    }

    fn append(&self, envelope: Envelope) -> Result<Outcome, ProposeError> {
        let mut state = self.state.write().expect(NOT_POISONED);
        let revision = state.revision().next();
        let is_news = envelope.command.is_news();
        let outcome = state.apply(revision, envelope)?;
        // Still under the lock, so that revisions are announced in order.
        self.revision.send_if_modified(|revision| {
            *revision = state.revision();
            is_news
        });
        Ok(outcome)
    }
}

const NOT_POISONED: &str = "a panic in apply ends the process's leadership";

impl CommandLog for LocalLog {
    fn propose(&self, envelope: Envelope) -> BoxFuture<'_, Result<Outcome, ProposeError>> {
        Box::pin(std::future::ready(self.append(envelope)))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect(NOT_POISONED)
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}
