//! The worker's side of its connection to the leader: inventories, heartbeats and progress up, snapshots down.
//!
//! Owns: one registration of the worker (a session) and its life. Never does: stop copying because the connection is
//! gone. Without a leader, what is assigned goes on.
//!
//! ```text
//! dial -> Hello -> Inventory -> { snapshot -> supervisor | engine changed -> Inventory
//!   ^                             | heartbeat -> renewed -> tether | progress }
//!   |                                 |                  |
//!   |                                 |                  +-- shutdown -> Draining -> released -> Inventory -> end
//!   +-- connection lost, nothing renewed for two heartbeats,          refused -> end, or register anew
//!       or the controllers are those of another fleet
//! ```

mod reported;

use std::pin::pin;
use std::time::Duration;

use common::assignment::{Down, Hello, RELEASE_TIMEOUT, Refusal, RefusalKind, Up};
use common::net::{Closed, LeaderLink};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::dial::Dial;
use crate::engine::Engine;
use crate::host::Host;
use crate::moment::Moment;
use crate::session::reported::{Reported, send};
use crate::supervisor::Supervisor;
use crate::tether::Tether;

/// How often changed progress goes up until the leader has said how often it wants it.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// How often a full inventory goes up although nothing changed.
pub const INVENTORY_EVERY: Duration = Duration::from_secs(30);
/// How long a worker may take to release everything when it is stopped: a release, and the client's time to give up on a
/// last store.
const DRAIN_MAX: Duration = RELEASE_TIMEOUT.saturating_mul(2);
/// How long a worker that has released everything waits for its leader to take note of it: without that, its partitions
/// go to others only when it is seen to be gone.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// How long a connection that is lost may take to hand over what it had received.
const LAST_WORD_MAX: Duration = Duration::from_millis(100);
/// How long to wait before dialling again, at first; twice as long each time.
const DIAL_AGAIN_MIN: Duration = Duration::from_millis(50);
/// The longest such wait.
const DIAL_AGAIN_MAX: Duration = Duration::from_secs(1);

/// Why a worker ended before it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Another process is this worker.
    #[error("{0}")]
    InUse(String),
    /// The leader does not take this worker.
    #[error("the controller refused this worker: {0}")]
    Refused(String),
    /// A thread of the worker panicked.
    #[error("thread {0} broke; what it last stored stands, what it copied since will be copied again")]
    Broken(String),
    /// Partitions that were not released in time when the worker was stopped.
    #[error("{0} partitions could not finish in time; what they copied since they last stored will be copied again")]
    NotReleased(usize),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to end, and everything is released.
    Shutdown,
    /// The leader has ended it, and everything is released: the worker is to register anew.
    Expired,
}

/// One session of the worker.
pub(crate) struct Session<'a, E> {
    /// Its first message. It names the fleet once a snapshot has: controllers that were wiped are another one.
    pub hello: Hello,
    /// What copies.
    pub engine: &'a E,
    /// What is to be copied.
    pub supervisor: Supervisor<E>,
    /// What it runs on.
    pub host: &'a dyn Host,
    /// When its lease was renewed.
    pub tether: &'a Tether,
    /// What is missing until the worker is ready; `None` while it is attached.
    pub readiness: &'a watch::Sender<Option<String>>,
    /// Ends it.
    pub shutdown: CancellationToken,
}

/// Why a connection ended.
enum Detached {
    /// The other side is gone: dial again.
    Lost,
    /// Another process with this worker id is connected; to be tried again for one lease.
    InUse { text: String, lease: Duration },
    /// The leader has ended the session.
    Expired(String),
    /// The controllers are those of another fleet than what it copies for.
    OtherFleet(String),
    /// The worker can't go on.
    Ended(RunError),
}

impl From<Closed> for Detached {
    fn from(_: Closed) -> Self {
        Self::Lost
    }
}

impl<E: Engine> Session<'_, E> {
    /// Keeps the session until it is shut down or ended, then releases everything.
    pub async fn keep(mut self, dial: &mut impl Dial) -> Result<End, RunError> {
        let mut again = DIAL_AGAIN_MIN;
        let mut in_use_since: Option<Instant> = None;
        let mut other_fleet = String::new();
        while let Some(dialled) = self.meanwhile(dial.dial()).await? {
            let outcome = match dialled {
                Ok(mut link) => match self.attached(&mut link, dial).await {
                    Err(Detached::Lost) => Err(last_word(&mut link).await.map_or(Detached::Lost, refused)),
                    outcome => outcome,
                },
                Err(Closed) => Err(Detached::Lost),
            };
            self.tether.cut();
            if self.readiness.borrow().is_none() {
                again = DIAL_AGAIN_MIN;
            }
            self.readiness.send_replace(Some("no controller serves this worker".to_owned()));
            if !matches!(outcome, Err(Detached::InUse { .. })) {
                in_use_since = None;
            }
            match outcome {
                Ok(()) => return Ok(End::Shutdown),
                Err(Detached::Lost) => {}
                Err(Detached::InUse { text, lease }) => {
                    let since = *in_use_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= lease {
                        self.drain().await?;
                        return Err(RunError::InUse(text));
                    }
                }
                Err(Detached::Expired(why)) => {
                    tracing::warn!(why, "the session has ended; everything is released, then a new one begins");
                    self.drain().await?;
                    return Ok(End::Expired);
                }
                Err(Detached::OtherFleet(why)) if self.supervisor.is_idle() => {
                    tracing::warn!(why, "this worker copies nothing: it joins the fleet that is there");
                    return Ok(End::Expired);
                }
                // Its own fleet was lost, perhaps, and may be restored: what it was told is the last word until then.
                Err(Detached::OtherFleet(why)) => {
                    let text =
                        format!("{why}; it copies on. Restore its fleet from a backup, or restart it to join this one");
                    if text != other_fleet {
                        tracing::warn!("{text}");
                        other_fleet.clone_from(&text);
                    }
                    self.readiness.send_replace(Some(text));
                }
                Err(Detached::Ended(error)) => {
                    if matches!(error, RunError::Refused(_)) {
                        self.drain().await?;
                    }
                    return Err(error);
                }
            }
            if self.meanwhile(tokio::time::sleep(again)).await?.is_none() {
                break;
            }
            again = (again * 2).min(DIAL_AGAIN_MAX);
        }
        self.drain().await?;
        Ok(End::Shutdown)
    }

    /// Does `work` while there is no connection; what was assigned goes on. `None` when the session is shut down.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<Option<T>, RunError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                () = self.engine.changed() => self.supervisor.reconcile(Instant::now()),
                thread = self.engine.broken() => return Err(RunError::Broken(thread)),
                () = self.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    /// One connection, from the first message to the last.
    async fn attached(&mut self, link: &mut LeaderLink, dial: &mut impl Dial) -> Result<(), Detached> {
        let Self { hello, engine, supervisor, host, tether, readiness, shutdown } = self;
        let mut reported = Reported::hello(Moment::now());
        send(link, Up::Hello(hello.clone())).await?;
        reported.inventory(supervisor, link, true).await?;
        let dialled = Instant::now();
        let mut every = tether.every();
        let mut heartbeat = ticks(every);
        let mut progress_every = PROGRESS_EVERY;
        let mut progress = ticks(progress_every);
        let mut inventory = ticks(INVENTORY_EVERY);
        let mut drain_by: Option<Instant> = None;
        let mut farewell_by: Option<Instant> = None;
        loop {
            if drain_by.is_some() && supervisor.is_idle() {
                if farewell_by.is_none() {
                    supervisor.reconcile(Instant::now());
                    reported.progress(supervisor, link).await?;
                    reported.inventory(supervisor, link, false).await?;
                    reported.heartbeat(link, host.rss_bytes(), Moment::now()).await?;
                }
                let farewell_by = *farewell_by.get_or_insert(Instant::now() + FAREWELL_MAX);
                if supervisor.owes_nothing() && reported.is_heard() || Instant::now() >= farewell_by {
                    return Ok(());
                }
            }
            tokio::select! {
                message = link.receive() => match message? {
                    Down::Snapshot(snapshot) => {
                        let fleet = hello.fleet.get_or_insert_with(|| snapshot.fleet.clone());
                        if *fleet != snapshot.fleet {
                            let there = &snapshot.fleet;
                            let text = format!("the controllers are those of fleet {there}, this worker is of {fleet}");
                            return Err(Detached::OtherFleet(text));
                        }
                        supervisor.apply(&snapshot, Instant::now());
                        reported.inventory(supervisor, link, false).await?;
                    }
                    Down::Renewed(renewal) => {
                        if let Some(sent) = reported.sent(&renewal) {
                            tether.renew(&renewal, sent);
                        }
                        dial.learn(&renewal.controllers);
                        if readiness.send_replace(None).is_some() {
                            tracing::info!("attached: a leader keeps this session");
                        }
                        if every != renewal.every {
                            every = renewal.every;
                            heartbeat = ticks(every);
                        }
                        if progress_every != renewal.progress_every {
                            progress_every = renewal.progress_every;
                            progress = ticks(progress_every);
                        }
                    }
                    Down::Refused(refusal) => return Err(refused(refusal)),
                },
                () = engine.changed() => {
                    supervisor.reconcile(Instant::now());
                    reported.inventory(supervisor, link, false).await?;
                    reported.progress(supervisor, link).await?;
                }
                thread = engine.broken() => return Err(Detached::Ended(RunError::Broken(thread))),
                _ = heartbeat.tick() => {
                    // A leader that takes what is sent and answers nothing is none: another one may be there.
                    if tether.is_detached(Moment::now()) && dialled.elapsed() > every * 2 {
                        tracing::warn!("the controller renews nothing; looking for another one");
                        return Err(Detached::Lost);
                    }
                    reported.heartbeat(link, host.rss_bytes(), Moment::now()).await?;
                    if supervisor.has_failed_starts() {
                        supervisor.reconcile(Instant::now());
                    }
                }
                _ = progress.tick() => reported.progress(supervisor, link).await?,
                _ = inventory.tick() => reported.inventory(supervisor, link, true).await?,
                () = shutdown.cancelled(), if drain_by.is_none() => {
                    drain_by = Some(Instant::now() + DRAIN_MAX);
                    send(link, Up::Draining).await?;
                    supervisor.want_nothing(Instant::now());
                }
                () = until(farewell_by) => {}
                () = until(drain_by) => return Err(Detached::Ended(RunError::NotReleased(engine.statuses().len()))),
            }
        }
    }

    /// Releases everything without a connection, within the time a release may take.
    async fn drain(&mut self) -> Result<(), RunError> {
        let drain_by = Some(Instant::now() + DRAIN_MAX);
        self.supervisor.want_nothing(Instant::now());
        while !self.supervisor.is_idle() {
            tokio::select! {
                () = self.engine.changed() => {}
                thread = self.engine.broken() => return Err(RunError::Broken(thread)),
                () = until(drain_by) => return Err(RunError::NotReleased(self.engine.statuses().len())),
            }
        }
        self.supervisor.reconcile(Instant::now());
        Ok(())
    }
}

/// What the leader said before it closed the connection: sending to it may fail before that is heard.
async fn last_word(link: &mut LeaderLink) -> Option<Refusal> {
    let refusal = async {
        loop {
            match link.receive().await {
                Ok(Down::Refused(refusal)) => return Some(refusal),
                Ok(_) => {}
                Err(Closed) => return None,
            }
        }
    };
    timeout(LAST_WORD_MAX, refusal).await.unwrap_or(None)
}

fn refused(Refusal { kind, lease, text }: Refusal) -> Detached {
    match kind {
        RefusalKind::InUse => Detached::InUse { text, lease },
        RefusalKind::SessionEnded => Detached::Expired(text),
        RefusalKind::Fatal => Detached::Ended(RunError::Refused(text)),
        RefusalKind::OtherFleet => Detached::OtherFleet(text),
    }
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

#[cfg(test)]
mod session_test;
