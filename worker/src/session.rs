//! The worker's side of its connection to the leader: inventories, heartbeats and progress up, snapshots down.
//!
//! Owns: one registration of the worker (a session) and its life. Never does: stop copying because the connection is
//! gone. Without a leader, what is assigned goes on.
//!
//! ```text
//! dial -> Hello -> Inventory -> { snapshot -> supervisor | engine changed -> Inventory
//!   ^                             | heartbeat | progress }  -- shutdown --> Draining -> released -> Inventory -> end
//!   +---- connection lost --------+
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use common::assignment::{Down, Hello, Inventory, Progress, Up};
use common::ids::RoutePartition;
use common::net::{Closed, LeaderLink};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::metrics;
use crate::supervisor::{RELEASE_TIMEOUT, Supervisor};

/// How often a worker says that it lives.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// How often changed progress goes up.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// How often a full inventory goes up although nothing changed.
const INVENTORY_EVERY: Duration = Duration::from_secs(30);
/// How long a worker may take to release everything when it is stopped: a release, and the client's time to give up on a
/// last store.
const DRAIN_MAX: Duration = RELEASE_TIMEOUT.saturating_mul(2);
/// How long to wait before dialling again.
const DIAL_AGAIN: Duration = Duration::from_millis(100);

/// Finds the leader and connects to it.
pub trait Dial: Send {
    /// One attempt.
    fn dial(&mut self) -> impl Future<Output = Result<LeaderLink, Closed>> + Send;
}

/// Why a session ended before it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The leader does not take this session.
    #[error("the controller refused this worker: {0}")]
    Refused(String),
    /// A thread of the worker panicked.
    #[error("thread {0} broke; what it last stored stands, what it copied since will be copied again")]
    Broken(String),
    /// Partitions that were not released in time when the worker was stopped.
    #[error("{0} partitions could not finish in time; what they copied since they last stored will be copied again")]
    NotReleased(usize),
}

/// Keeps one session until `shutdown`, then releases everything.
pub(crate) async fn keep<E: Engine>(
    hello: Hello,
    engine: &E,
    mut supervisor: Supervisor<E>,
    mut dial: impl Dial,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let mut reported = Reported::default();
    while !shutdown.is_cancelled() {
        let dialled = tokio::select! {
            dialled = dial.dial() => dialled,
            () = shutdown.cancelled() => break,
        };
        let outcome = match dialled {
            Ok(mut link) => attached(&hello, engine, &mut supervisor, &mut reported, &mut link, &shutdown).await,
            Err(Closed) => Err(Detached::Lost),
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(Detached::Ended(error)) => {
                if matches!(error, RunError::Refused(_)) {
                    drain(engine, &mut supervisor).await?;
                }
                return Err(error);
            }
            Err(Detached::Lost) => {
                tracing::warn!("no connection to a controller, copying goes on");
                tokio::select! {
                    () = tokio::time::sleep(DIAL_AGAIN) => {}
                    () = engine.changed() => supervisor.reconcile(Instant::now()),
                    thread = engine.broken() => return Err(RunError::Broken(thread)),
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }
    drain(engine, &mut supervisor).await
}

/// Why a connection ended.
enum Detached {
    /// The other side is gone: dial again.
    Lost,
    /// The worker can't go on.
    Ended(RunError),
}

impl From<Closed> for Detached {
    fn from(_: Closed) -> Self {
        Self::Lost
    }
}

/// One connection, from the first message to the last.
async fn attached<E: Engine>(
    hello: &Hello,
    engine: &E,
    supervisor: &mut Supervisor<E>,
    reported: &mut Reported,
    link: &mut LeaderLink,
    shutdown: &CancellationToken,
) -> Result<(), Detached> {
    link.send(Up::Hello(hello.clone())).await?;
    *reported = Reported::default();
    reported.inventory(supervisor, link).await?;
    let mut heartbeat = ticks(HEARTBEAT_EVERY);
    let mut progress = ticks(PROGRESS_EVERY);
    let mut inventory = ticks(INVENTORY_EVERY);
    let mut drain_by: Option<Instant> = None;
    loop {
        if drain_by.is_some() && supervisor.is_idle() {
            supervisor.reconcile(Instant::now());
            let _ = reported.progress(supervisor, link).await;
            let _ = reported.inventory(supervisor, link).await;
            return Ok(());
        }
        tokio::select! {
            message = link.receive() => match message? {
                Down::Snapshot(_) if drain_by.is_some() => {}
                Down::Snapshot(snapshot) => {
                    supervisor.apply(&snapshot, Instant::now());
                    reported.inventory(supervisor, link).await?;
                }
                Down::Refused(text) => return Err(Detached::Ended(RunError::Refused(text))),
            },
            () = engine.changed() => {
                supervisor.reconcile(Instant::now());
                reported.inventory(supervisor, link).await?;
            }
            thread = engine.broken() => return Err(Detached::Ended(RunError::Broken(thread))),
            _ = heartbeat.tick() => {
                link.send(Up::Heartbeat).await?;
                if supervisor.has_failed_starts() {
                    supervisor.reconcile(Instant::now());
                }
            }
            _ = progress.tick() => {
                metrics::publish(&engine.statuses());
                reported.progress(supervisor, link).await?;
            }
            _ = inventory.tick() => {
                reported.last = None;
                reported.inventory(supervisor, link).await?;
            }
            () = shutdown.cancelled(), if drain_by.is_none() => {
                drain_by = Some(Instant::now() + DRAIN_MAX);
                link.send(Up::Draining).await?;
                supervisor.want_nothing(Instant::now());
            }
            () = until(drain_by) => return Err(Detached::Ended(RunError::NotReleased(engine.statuses().len()))),
        }
    }
}

/// Releases everything without a connection, within the time a release may take.
async fn drain<E: Engine>(engine: &E, supervisor: &mut Supervisor<E>) -> Result<(), RunError> {
    let drain_by = Some(Instant::now() + DRAIN_MAX);
    supervisor.want_nothing(Instant::now());
    while !supervisor.is_idle() {
        tokio::select! {
            () = engine.changed() => {}
            thread = engine.broken() => return Err(RunError::Broken(thread)),
            () = until(drain_by) => return Err(RunError::NotReleased(engine.statuses().len())),
        }
    }
    supervisor.reconcile(Instant::now());
    Ok(())
}

/// Returns at the deadline, if there is one.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What the leader was told last.
#[derive(Default)]
struct Reported {
    last: Option<Inventory>,
    progress: BTreeMap<RoutePartition, Progress>,
}

impl Reported {
    /// Sends the inventory if it is another one.
    async fn inventory<E: Engine>(&mut self, supervisor: &Supervisor<E>, link: &LeaderLink) -> Result<(), Closed> {
        let inventory = supervisor.inventory();
        if self.last.as_ref() != Some(&inventory) {
            self.last = Some(inventory.clone());
            link.send(Up::Inventory(inventory)).await?;
        }
        Ok(())
    }

    /// Sends the progress that changed.
    async fn progress<E: Engine>(&mut self, supervisor: &Supervisor<E>, link: &LeaderLink) -> Result<(), Closed> {
        let changed: Vec<Progress> = supervisor
            .progress()
            .into_iter()
            .filter(|progress| self.progress.get(&progress.partition) != Some(progress))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.progress.extend(changed.iter().map(|progress| (progress.partition.clone(), progress.clone())));
        link.send(Up::Progress(changed)).await
    }
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
