//! A worker's session without a worker: it finds the leader, keeps its lease, runs on paper what it is granted, and says
//! that it makes headway. The messages, and when they are sent, are a worker's; see `worker/src/session`.

use std::sync::Arc;
use std::time::Duration;

use common::assignment::{
    Down, Heartbeat, Hello, Inventory, PROTOCOL, Phase, Progress, Running, Snapshot, Up, Version,
};
use common::ids::{PoolName, SessionId};
use common::net::{Closed, LeaderLink};
use common::offsets::NextOffset;
use common::weight::Weight;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use worker::dial::{Controllers, Dial};

use crate::shape;

const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
const DIAL_AGAIN: Duration = Duration::from_millis(50);
const DIAL_AGAIN_MAX: Duration = Duration::from_secs(1);
/// What a busy partition copies in a second.
const RECORDS_PER_SECOND: i64 = 1_000;

/// A session that goes on until it is dropped. Its connection is closed then, as a dead process's is.
pub struct Session {
    told: watch::Receiver<Option<Arc<Snapshot>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Session {
    /// Begins one. `tick` spreads the sessions' messages over time, as chance does in a fleet.
    pub fn begin(number: usize, controllers: &[String], tick: Duration) -> Self {
        let hello = Hello {
            protocol: PROTOCOL,
            worker: shape::worker(number),
            session: SessionId::generate(),
            address: format!("127.0.0.1:{number}"),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            weight: Weight::default(),
            pool: PoolName::default(),
            fleet: None,
        };
        let (sender, told) = watch::channel(None);
        let begun = Instant::now();
        let paper = Paper { hello, told: sender, begun, tick };
        let task = tokio::spawn(paper.live(Controllers::new(controllers.to_vec())));
        Self { told, task }
    }

    /// What it was told last.
    pub fn told(&self) -> Option<Arc<Snapshot>> {
        self.told.borrow().clone()
    }

    /// How many partitions it has.
    pub fn granted(&self) -> usize {
        self.told.borrow().as_ref().map_or(0, |told| told.grants.len())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What runs on paper.
struct Paper {
    hello: Hello,
    told: watch::Sender<Option<Arc<Snapshot>>>,
    begun: Instant,
    tick: Duration,
}

impl Paper {
    async fn live(self, mut controllers: Controllers) {
        let mut again = DIAL_AGAIN;
        loop {
            if let Ok(mut link) = controllers.dial().await {
                again = DIAL_AGAIN;
                // However it ends, the leader is looked for again.
                let _ = self.attached(&mut link).await;
            }
            sleep(again).await;
            again = (again * 2).min(DIAL_AGAIN_MAX);
        }
    }

    async fn attached(&self, link: &mut LeaderLink) -> Result<(), Closed> {
        link.send(Up::Hello(self.hello.clone())).await?;
        link.send(Up::Inventory(self.inventory())).await?;
        let mut heartbeat = self.every(HEARTBEAT_EVERY);
        let mut progress_every = HEARTBEAT_EVERY;
        let mut progress = self.every(progress_every);
        let mut inventory = self.every(worker::session::INVENTORY_EVERY);
        let mut number = 0;
        loop {
            tokio::select! {
                message = link.receive() => match message? {
                    Down::Snapshot(snapshot) => {
                        self.told.send_replace(Some(snapshot));
                        link.send(Up::Inventory(self.inventory())).await?;
                    }
                    Down::Renewed(renewal) if renewal.progress_every != progress_every => {
                        progress_every = renewal.progress_every;
                        progress = self.every(progress_every);
                    }
                    Down::Renewed(_) => {}
                    Down::Refused(refusal) => {
                        eprintln!("{} is refused: {}", self.hello.worker, refusal.text);
                        return Err(Closed);
                    }
                },
                _ = heartbeat.tick() => {
                    number += 1;
                    link.send(Up::Heartbeat(Heartbeat { number, rss_bytes: 64 << 20 })).await?;
                }
                _ = progress.tick() => link.send(Up::Progress(self.progress())).await?,
                _ = inventory.tick() => link.send(Up::Inventory(self.inventory())).await?,
            }
        }
    }

    /// Ticks that begin where this session's do.
    fn every(&self, period: Duration) -> tokio::time::Interval {
        let mut ticks = interval_at(Instant::now() + self.tick.min(period), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    fn inventory(&self) -> Inventory {
        let told = self.told.borrow();
        let Some(snapshot) = told.as_ref() else {
            return Inventory { applied: Version::default(), ..Inventory::default() };
        };
        let running = snapshot.grants.iter().map(|grant| Running {
            partition: grant.partition.clone(),
            epoch: grant.epoch,
            phase: Phase::Copying,
        });
        Inventory { applied: snapshot.version, running: running.collect(), ..Inventory::default() }
    }

    /// Every partition is busy.
    fn progress(&self) -> Vec<Progress> {
        let told = self.told.borrow();
        let grants = told.iter().flat_map(|told| told.grants.iter());
        let records = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX) * RECORDS_PER_SECOND / 1_000;
        let next = Some(NextOffset(records));
        let of = |grant: &common::assignment::Grant| Progress {
            partition: grant.partition.clone(),
            epoch: grant.epoch,
            next_offset: next,
            stored_offset: next,
            source_end: next,
            source_high_watermark: next,
            lag_time: Duration::ZERO,
            records: records.unsigned_abs(),
            bytes: records.unsigned_abs() * 1_000,
        };
        grants.map(of).collect()
    }
}
