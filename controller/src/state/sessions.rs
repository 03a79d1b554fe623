//! Sessions: the registrations of workers. Whether one lives is the leader's to watch; here stands only what was
//! decided.

use common::ids::{Revision, SessionId, WorkerId};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::workers::{Presence, Worker};

/// One registration of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The worker.
    pub worker: WorkerId,
    /// Where it runs, for people.
    pub address: String,
    /// Its software version, for people.
    pub software: String,
    /// Whether its process is shutting down: it gives back what it has and gets nothing more. See `is_draining`.
    pub draining: bool,
    /// The change that registered it.
    pub registered: Revision,
    /// Whether it is still to be given its even share: it came, or takes work again, and nothing moved for it yet.
    pub owed: bool,
}

impl State {
    /// Registers a session; the one it replaces ends in the same entry.
    pub(super) fn register_session(
        &mut self,
        stamp: &Stamp,
        id: SessionId,
        mut session: Session,
        replaces: Option<SessionId>,
    ) -> Result<Effect, Rejection> {
        if self.sessions().get(&id).is_some_and(|known| known.worker == session.worker) {
            return Ok(Effect::Exists);
        }
        let worker = session.worker.clone();
        let newest = self.workers.get(&worker).map(|worker| worker.session);
        if self.sessions().contains_key(&id) || newest == Some(id) {
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
            // It gets its worker's own partitions back; what was owed to that worker stays owed.
            session.owed = self.sessions[&replaced].owed;
            self.end_session(stamp, replaced, "its worker started anew");
        }
        let text = format!("session {id} of worker {worker} at {} registered", session.address);
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        let known = Worker {
            session: id,
            presence: Presence::Registered,
            drained: self.workers.get(&worker).is_some_and(|worker| worker.drained),
            address: session.address.clone(),
            software: session.software.clone(),
            since: stamp.revision,
        };
        self.workers.insert(worker, known);
        self.sessions.insert(id, session);
        Ok(Effect::Done)
    }

    /// Lets a session give back what it has.
    pub(super) fn drain_session(&mut self, stamp: &Stamp, id: SessionId) -> Result<Effect, Rejection> {
        let session = self.sessions.get_mut(&id).ok_or(Rejection::UnknownSession(id))?;
        if session.draining {
            return Ok(Effect::Exists);
        }
        session.draining = true;
        let text = format!("session {id} of worker {} drains", session.worker);
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        Ok(Effect::Done)
    }

    /// Notes that sessions were given their even share. Those that are gone need nothing.
    pub(super) fn settle_sessions(&mut self, settled: &[SessionId]) -> Effect {
        for id in settled {
            if let Some(session) = self.sessions.get_mut(id) {
                session.owed = false;
            }
        }
        Effect::Done
    }

    /// Ends a session that is known and takes its partitions from it.
    pub(super) fn end_session(&mut self, stamp: &Stamp, id: SessionId, reason: &str) {
        let is_draining = self.is_draining(id);
        let Session { worker, .. } = self.sessions.remove(&id).expect("the caller looked it up");
        let vacated = self.vacate(id);
        let (presence, how) = match vacated {
            0 if is_draining => (Presence::Left, "left".to_owned()),
            _ => (Presence::Lost, format!("ended with {vacated} partitions")),
        };
        let text = format!("session {id} of worker {worker} {how}: {reason}");
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        let known = self.workers.get_mut(&worker).expect("C3: a session's worker is known");
        known.presence = presence;
        known.since = stamp.revision;
        self.forget_workers();
    }
}
