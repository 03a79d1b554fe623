//! Workers: listed, drained, undrained, removed, given up.

use std::collections::BTreeMap;

use common::ids::{SessionId, WorkerId};
use proto::v1;

use super::super::errors::ApiError;
use super::super::view::Observed;
use super::super::{Api, parse};
use crate::state::{Command, Presence, State, Worker};

/// Takes everything from a worker and gives it nothing more.
pub async fn drain(api: &Api, asked: v1::DrainWorkerRequest) -> Result<v1::ChangeReply, ApiError> {
    let worker = parse::name(&asked.id)?;
    api.change(parse::asked(asked.context)?, Command::DrainWorker { worker }, Vec::new()).await
}

/// Ends that.
pub async fn undrain(api: &Api, asked: v1::UndrainWorkerRequest) -> Result<v1::ChangeReply, ApiError> {
    let worker = parse::name(&asked.id)?;
    api.change(parse::asked(asked.context)?, Command::UndrainWorker { worker }, Vec::new()).await
}

/// Forgets a worker that is not there.
pub async fn remove(api: &Api, asked: v1::RemoveWorkerRequest) -> Result<v1::ChangeReply, ApiError> {
    let worker = parse::name(&asked.id)?;
    api.change(parse::asked(asked.context)?, Command::RemoveWorker { worker }, Vec::new()).await
}

/// Gives up the workers that are missing while moves are held, in one pool or in all.
pub async fn release_hold(api: &Api, asked: v1::ReleaseHoldRequest) -> Result<v1::ChangeReply, ApiError> {
    let reason = "an operator gave the missing workers up".to_owned();
    let command = Command::EndHold { pool: parse::filter(&asked.pool)?, reason };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Lists workers.
pub async fn list(api: &Api, asked: v1::ListWorkersRequest) -> Result<v1::ListWorkersReply, ApiError> {
    let only: Option<WorkerId> = parse::filter(&asked.id)?;
    let mut workers = api.look(|leading| all(&leading.handle.state(), &Observed::of(&leading.handle))).await?;
    if let Some(only) = only {
        workers.retain(|worker| worker.id == only.as_str());
        if workers.is_empty() {
            return Err(ApiError::NotFound(format!("there is no worker {only}")));
        }
    }
    Ok(v1::ListWorkersReply { workers })
}

/// All workers but those that left by themselves, by id.
pub fn all(state: &State, observed: &Observed) -> Vec<v1::Worker> {
    let mut partitions = BTreeMap::<SessionId, u32>::new();
    for (session, _) in state.slots().values().filter_map(|slot| slot.life.owner()) {
        *partitions.entry(session).or_default() += 1;
    }
    let rates = observed.rates_of_sessions(state);
    let row = |(id, worker): (&WorkerId, &Worker)| {
        let partitions = partitions.get(&worker.session).copied().unwrap_or_default();
        let session = state.sessions().get(&worker.session);
        let heard = observed.liveness.get(&worker.session);
        Some(v1::Worker {
            id: id.to_string(),
            session: worker.session.to_string(),
            state: word(state, worker, partitions, observed)?.to_owned(),
            address: worker.address.clone(),
            partitions,
            version: worker.software.clone(),
            rss_bytes: heard.map(|heard| heard.rss_bytes).unwrap_or_default(),
            bytes_per_second: session.map(|_| rates.get(&worker.session).copied().unwrap_or_default()),
            weight: session.map(|session| session.weight.number()).unwrap_or_default(),
            pool: worker.pool.to_string(),
        })
    };
    state.workers().iter().filter_map(row).collect()
}

/// How a worker does; `None` if it is not to be spoken of any more.
fn word(state: &State, worker: &Worker, partitions: u32, observed: &Observed) -> Option<&'static str> {
    let is_draining = match worker.presence {
        Presence::Registered => state.is_draining(worker.session),
        // An operator who drains a worker that is not there says that it is not awaited.
        Presence::Left | Presence::Lost if worker.drained => return Some("drained"),
        Presence::Lost => return Some("lost"),
        Presence::Left => return None,
    };
    Some(match (observed.is_heard(worker.session), is_draining) {
        (false, _) => "suspect",
        (true, true) if partitions > 0 => "draining",
        (true, true) => "drained",
        (true, false) => "live",
    })
}
