//! A worker's host: `worker::run` as it is, on a simulated network, with tasks instead of threads. A worker that ends by
//! itself is started again a little later, as by a service manager.

use std::sync::Arc;
use std::time::Duration;

use common::weight::Weight;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use worker::dial::Controllers;
use worker::{RunError, WorkerConfig};

use crate::brokers::{Process, View};
use crate::dice::Dice;
use crate::hosts::clock::Clock;
use crate::hosts::relay::Relay;
use crate::hosts::tasks::SimHost;
use crate::site::Site;
use crate::wire::SimWire;
use crate::world::lock;

/// How soon a worker that ended is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// What all lanes may hold: little, so that bounds are reached.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;
/// How many of a thousand processes take three times the work of others.
const WEIGHTY: u64 = 250;

/// Runs a worker, again and again.
pub async fn run(site: Arc<Site>, name: String, mut dice: Dice) -> turmoil::Result {
    loop {
        let process = site.next_process(&name);
        let (view, wire) = (View::new(&site.brokers, process.clone()), SimWire::new(&site.links, &name));
        let controllers = Controllers::over(Arc::new(wire), site.addresses());
        let dial = Relay::new(&site.brokers, &process, controllers, Dice::new(dice.draw(), "relay"));
        let host = Arc::new(SimHost::new(&site.stops, &name, Dice::new(dice.draw(), "turns")));
        let config = WorkerConfig {
            id: name.parse()?,
            address: process.to_string(),
            lanes: usize::try_from(dice.between(1, 2))?,
            memory_bytes: MEMORY_BYTES,
            weight: Weight::try_from(if dice.hits(WEIGHTY) { 3 } else { 1 })?,
            pool: site.pools.of_worker(&name, &mut dice),
        };
        let clock = Clock::draw(&mut dice);
        let (readiness, shutdown) = (watch::Sender::new(None), CancellationToken::new());
        site.world.note(&name, format_args!("{process} started, {clock:?}"));
        site.worker_started(&process, &shutdown);
        let work = worker::run(config, Arc::new(view), host, dial, &readiness, shutdown);
        let ended = clock.time(&site.world, site.stops.stoppable(&name, work)).await;
        site.world.note(&name, format_args!("{process} ended: {ended:?}"));
        ended_well(&site, &process, ended);
        lock(&site.brokers.copies).ended(&process);
        sleep(RESTART_AFTER).await;
    }
}

/// What a worker may end with under faults, and what it never may.
fn ended_well(site: &Site, process: &Process, ended: Result<(), RunError>) {
    match ended {
        Ok(()) | Err(RunError::InUse(_) | RunError::NotReleased(_)) => {}
        Err(error @ (RunError::Refused(_) | RunError::Broken(_))) => {
            site.world.violated("PROCESS", "a worker ends only when told to", format!("{process}: {error}"));
        }
    }
}
