//! Sessions: the registrations of workers. Whether one lives is the leader's to watch; here stands only what was
//! decided.

use common::ids::{PoolName, Revision, RoutePartition, SessionId, WorkerId};
use common::weight::Weight;
use serde::{Deserialize, Serialize};

use super::State;
use super::apply::batch;
use super::command::{Cause, Move, Step};
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::slots::{Destination, Life, Slot};
use super::workers::{Presence, Worker};

/// How many ended sessions are remembered, beside the last one of each worker that is known. One that comes back after a thousand
/// others is taken for a new one, and what it still runs is told from what is granted by the epochs.
pub const ENDED_SESSIONS_MAX: usize = 1_000;

/// One registration of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The worker.
    pub worker: WorkerId,
    /// Where it runs, for people.
    pub address: String,
    /// Its software version, for people.
    pub software: String,
    /// How much work it takes, in proportion to others.
    pub weight: Weight,
    /// The pool that it is in.
    pub pool: PoolName,
    /// Whether its process is shutting down: it gives back what it has and gets nothing more. See `is_draining`.
    pub draining: bool,
    /// The change that registered it.
    pub registered: Revision,
    /// How many partitions may still move for nothing but to give it its even share, since it came or takes work again.
    pub owed: u32,
}

impl State {
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
        let newest = self.workers.get(&worker).map(|worker| worker.session);
        if self.sessions().contains_key(&id) || newest == Some(id) || self.ended_sessions.contains(&id) {
            return Err(Rejection::SessionEnded(id));
        }
        let current = self.session_of(&worker);
        if current != replaces {
            return Err(match current {
                Some(session) => Rejection::WorkerInUse { worker, session },
                None => Rejection::UnknownSession(replaces.expect("it differs from none")),
            });
        }
        // It takes its worker's place, unless that one was giving it away or was in another pool: its own partitions are for
        // it, and what was owed stays owed.
        let takes_place =
            |replaced: &SessionId| !self.is_draining(*replaced) && self.sessions[replaced].pool == session.pool;
        let replaced = replaces.filter(takes_place);
        let owed = replaced.map(|replaced| self.sessions[&replaced].owed);
        let place = replaced.map(|replaced| self.place_of(replaced, id)).unwrap_or_default();
        if let Some(replaced) = replaces {
            self.end_session(stamp, replaced, "its worker started anew");
        }
        let Session { address, pool, .. } = &session;
        let text = format!("session {id} of worker {worker} at {address} registered in pool {pool}");
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        let known = Worker {
            session: id,
            presence: Presence::Registered,
            drained: self.workers.get(&worker).is_some_and(|worker| worker.drained),
            pool: session.pool.clone(),
            address: session.address.clone(),
            software: session.software.clone(),
            since: stamp.revision,
        };
        self.workers.insert(worker, known);
        self.sessions.insert(id, session);
        for (partition, destination) in place {
            // What nobody wants went with its owner.
            if let Some(slot) = self.slots.get_mut(&partition) {
                slot.destination = Some(Box::new(destination));
            }
        }
        let owed = owed.unwrap_or_else(|| self.even_share(id));
        self.sessions.get_mut(&id).expect("just inserted").owed = owed;
        Ok(Effect::Done)
    }

    /// What a session has or is to get, each with where it is to go if `next` takes its place. What it is giving back goes to
    /// others.
    fn place_of(&self, session: SessionId, next: SessionId) -> Vec<(RoutePartition, Destination)> {
        let entry = |(id, slot): (&RoutePartition, &Slot)| match (slot.life, &slot.destination) {
            (Life::Assigned { session: owner, .. }, _) if owner == session => {
                let (cause, why) = (Cause::Returned, Cause::Returned.to_string());
                Some((id.clone(), Destination { session: next, cause, why }))
            }
            (_, Some(sent)) if sent.session == session => {
                Some((id.clone(), Destination { session: next, ..(**sent).clone() }))
            }
            _ => None,
        };
        self.slots.iter().filter_map(entry).collect()
    }

    /// Has a session give back what it has.
    pub(super) fn drain_session(&mut self, stamp: &Stamp, id: SessionId) -> Result<Effect, Rejection> {
        let session = self.sessions.get_mut(&id).ok_or(Rejection::UnknownSession(id))?;
        if session.draining {
            return Ok(Effect::Exists);
        }
        session.draining = true;
        session.owed = 0;
        let text = format!("session {id} of worker {} drains", session.worker);
        self.events.record(stamp, NewEvent::new(EventKind::Session, text));
        let release = |(partition, slot): (&RoutePartition, &Slot)| match slot.life {
            Life::Assigned { session, epoch: planned_on } if session == id => {
                let (partition, step) = (partition.clone(), Step::Release { from: id });
                Some(Move { partition, planned_on, step, cause: Cause::Drain })
            }
            _ => None,
        };
        let releases = self.slots.iter().filter_map(release).collect();
        Ok(batch(releases, |step| self.apply_move(stamp, &step)))
    }

    /// Ends a session that is known and takes its partitions from it.
    pub(super) fn end_session(&mut self, stamp: &Stamp, id: SessionId, reason: &str) {
        let is_draining = self.is_draining(id);
        let Session { worker, .. } = self.sessions.remove(&id).expect("the caller looked it up");
        self.ended_sessions.push_back(id);
        if self.ended_sessions.len() > ENDED_SESSIONS_MAX {
            self.ended_sessions.pop_front();
        }
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
