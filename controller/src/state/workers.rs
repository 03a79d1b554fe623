//! Workers: every process that ever had a session, by its stable id. What operators want of it stands here, so that it
//! outlives the worker's restarts.
//!
//! ```text
//!            register                 its session ends: draining and without partitions -> Left
//!  (unknown) --------> Registered --------------------> Left | Lost --register--> Registered
//!                                     otherwise -> Lost            (unknown) <--remove-- Left | Lost
//! ```

use common::ids::{PoolName, Revision, RoutePartition, SessionId, WorkerId};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};

/// How many workers without a session are kept of which no operator said anything: that one is drained, or that a
/// partition is pinned to it. The oldest go first.
pub const ABSENT_WORKERS_MAX: usize = 1_000;

/// One worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Worker {
    /// The newest session it ever had: one that ended never comes back.
    pub session: SessionId,
    /// Whether that is still registered.
    pub presence: Presence,
    /// Whether an operator drained it: it gets nothing, whichever session it has.
    pub drained: bool,
    /// The pool it was in last.
    pub pool: PoolName,
    /// Where it ran last, for people.
    pub address: String,
    /// Its software version, for people.
    pub software: String,
    /// The change by which it came or went last.
    pub since: Revision,
}

/// Whether a worker is there, as the table has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It has a session.
    Registered,
    /// It gave all back and ended.
    Left,
    /// It ended otherwise.
    Lost,
}

impl State {
    /// The session of a worker, if it has one.
    pub fn session_of(&self, worker: &WorkerId) -> Option<SessionId> {
        self.workers.get(worker).filter(|worker| worker.presence == Presence::Registered).map(|worker| worker.session)
    }

    /// Whether a worker gets work: it has a session, and that is not draining.
    pub fn takes_work(&self, worker: &WorkerId) -> bool {
        self.session_of(worker).is_some_and(|session| !self.is_draining(session))
    }

    /// Whether a session gets nothing more: it is shutting down, or an operator drained its worker. True of one that is
    /// not registered.
    pub fn is_draining(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_none_or(|session| session.draining || self.workers[&session.worker].drained)
    }

    /// Drains a worker, or ends that.
    pub(super) fn set_drained(&mut self, stamp: &Stamp, id: &WorkerId, drained: bool) -> Result<Effect, Rejection> {
        let worker = self.workers.get_mut(id).ok_or_else(|| Rejection::UnknownWorker(id.clone()))?;
        if worker.drained == drained {
            return Ok(Effect::Exists);
        }
        worker.drained = drained;
        let session = worker.session;
        let owed = self.even_share(session);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.owed = owed;
        }
        let text = if drained { format!("worker {id} drained") } else { format!("worker {id} takes work again") };
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text));
        self.forget_workers();
        Ok(Effect::Done)
    }

    /// Forgets a worker that is not there. What was said about it goes with it: a process that comes under its id is a new
    /// worker.
    pub(super) fn remove_worker(&mut self, stamp: &Stamp, id: &WorkerId) -> Result<Effect, Rejection> {
        let worker = self.workers.get(id).ok_or_else(|| Rejection::UnknownWorker(id.clone()))?;
        if worker.presence == Presence::Registered {
            return Err(Rejection::WorkerPresent(id.clone()));
        }
        let pinned: Vec<RoutePartition> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.pin.as_ref() == Some(id))
            .map(|(pinned, _)| pinned.clone())
            .collect();
        for partition in &pinned {
            self.unpin_partition(stamp, partition)?;
        }
        self.workers.remove(id);
        self.events.record(stamp, NewEvent::new(EventKind::Admin, format!("worker {id} is removed")));
        Ok(Effect::Done)
    }

    /// The workers without a session of which no operator said anything.
    pub(super) fn forgettable_workers(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        let pinned = self.pinned_workers();
        self.absent_workers().filter(move |(id, _)| !pinned.contains(id))
    }

    /// The same with those that are pinned to.
    fn absent_workers(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.iter().filter(|(_, worker)| worker.presence != Presence::Registered && !worker.drained)
    }

    /// Forgets the oldest of these beyond the bound. Where there are no more at all, no slot has to be looked at.
    pub(super) fn forget_workers(&mut self) {
        if self.absent_workers().count() <= ABSENT_WORKERS_MAX {
            return;
        }
        let mut oldest: Vec<(Revision, WorkerId)> =
            self.forgettable_workers().map(|(id, worker)| (worker.since, id.clone())).collect();
        let beyond = oldest.len().saturating_sub(ABSENT_WORKERS_MAX);
        oldest.sort_unstable();
        for (_, worker) in oldest.into_iter().take(beyond) {
            self.workers.remove(&worker);
        }
    }
}
