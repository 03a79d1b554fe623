//! Sessions: the registrations of workers. Whether one lives is the leader's to watch; here stands only what was
//! decided.

use std::collections::BTreeMap;

use common::ids::{Revision, SessionId, WorkerId};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};

/// One registration of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The worker.
    pub worker: WorkerId,
    /// Where it runs, for people.
    pub address: String,
    /// Its software version, for people.
    pub software: String,
    /// Whether it gives back what it has and gets nothing more.
    pub draining: bool,
    /// The change that registered it.
    pub registered: Revision,
}

/// The session table.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// Those that are registered.
    pub registered: BTreeMap<SessionId, Session>,
    /// The newest session that each worker ever had: one that ended never comes back.
    pub newest: BTreeMap<WorkerId, SessionId>,
}

impl State {
    /// The session of a worker, if it has one.
    pub fn session_of(&self, worker: &WorkerId) -> Option<SessionId> {
        self.sessions.newest.get(worker).copied().filter(|session| self.sessions().contains_key(session))
    }

    /// Registers a session; the one it replaces ends in the same entry.
    pub(super) fn register_session(
        &mut self,
        stamp: &Stamp,
        id: SessionId,
        session: Session,
        replaces: Option<SessionId>,
    ) -> Result<Effect, Rejection> {
        if self.sessions().get(&id).is_some_and(|known| known.worker == session.worker) {
            return Ok(Effect::Exists);
        }
        let worker = session.worker.clone();
        if self.sessions().contains_key(&id) || self.sessions.newest.get(&worker) == Some(&id) {
            return Err(Rejection::SessionEnded(id));
        }
        let current = self.session_of(&worker);
        if current != replaces {
            return Err(match current {
                Some(session) => Rejection::WorkerInUse { worker, session },
                None => Rejection::UnknownSession(replaces.expect("it differs from none")),
            });
        }
        if let Some(replaced) = replaces {
            self.end_session(stamp, replaced, "its worker started anew");
        }
        let text = format!("session {id} of worker {worker} at {} registered", session.address);
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        self.sessions.registered.insert(id, session);
        self.sessions.newest.insert(worker, id);
        Ok(Effect::Done)
    }

    /// Lets a session give back what it has.
    pub(super) fn drain_session(&mut self, stamp: &Stamp, id: SessionId) -> Result<Effect, Rejection> {
        let session = self.sessions.registered.get_mut(&id).ok_or(Rejection::UnknownSession(id))?;
        if session.draining {
            return Ok(Effect::Exists);
        }
        session.draining = true;
        let text = format!("session {id} of worker {} drains", session.worker);
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        Ok(Effect::Done)
    }

    /// Ends a session that is known and takes its partitions from it.
    pub(super) fn end_session(&mut self, stamp: &Stamp, id: SessionId, reason: &str) {
        let session = self.sessions.registered.remove(&id).expect("the caller looked it up");
        let vacated = self.vacate(id);
        let text = format!("session {id} of worker {} ended with {vacated} partitions: {reason}", session.worker);
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
    }
}
