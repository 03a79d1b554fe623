//! What the leader was told last, so that only what changed goes up.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use common::assignment::{Heartbeat, Inventory, Progress, Renewal, Up};
use common::ids::RoutePartition;
use common::net::{Closed, LeaderLink};
use tokio::time::timeout;

use crate::engine::Engine;
use crate::moment::Moment;
use crate::supervisor::Supervisor;

/// Heartbeats whose answer is awaited. More than a lease's worth means that the leader is gone.
const AWAITED_MAX: usize = 64;

/// A leader that takes nothing for this long is none: the queue on the way to it is full.
const SEND_MAX: Duration = Duration::from_secs(2);

/// Sends a message, or gives the connection up.
pub(super) async fn send(link: &LeaderLink, message: Up) -> Result<(), Closed> {
    timeout(SEND_MAX, link.send(message)).await.unwrap_or(Err(Closed))
}

/// What was sent over one connection.
pub(super) struct Reported {
    inventory: Option<Inventory>,
    progress: BTreeMap<RoutePartition, Progress>,
    /// The number of the last heartbeat, and when those not yet answered were sent; the hello counts as number 0.
    heartbeat: u64,
    awaited: VecDeque<(u64, Moment)>,
}

impl Reported {
    /// Nothing but the hello.
    pub(super) fn hello(now: Moment) -> Self {
        Self { inventory: None, progress: BTreeMap::new(), heartbeat: 0, awaited: VecDeque::from([(0, now)]) }
    }

    /// Sends the inventory if it is another one, or if it is due all the same.
    pub(super) async fn inventory<E: Engine>(
        &mut self,
        supervisor: &Supervisor<E>,
        link: &LeaderLink,
        due: bool,
    ) -> Result<(), Closed> {
        let inventory = supervisor.inventory();
        if due || self.inventory.as_ref() != Some(&inventory) {
            self.inventory = Some(inventory.clone());
            send(link, Up::Inventory(inventory)).await?;
        }
        Ok(())
    }

    /// Sends the progress that changed.
    pub(super) async fn progress<E: Engine>(
        &mut self,
        supervisor: &Supervisor<E>,
        link: &LeaderLink,
    ) -> Result<(), Closed> {
        let changed: Vec<Progress> = supervisor
            .progress()
            .into_iter()
            .filter(|progress| self.progress.get(&progress.partition) != Some(progress))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.progress.extend(changed.iter().map(|progress| (progress.partition.clone(), progress.clone())));
        send(link, Up::Progress(changed)).await
    }

    /// Sends a heartbeat.
    pub(super) async fn heartbeat(&mut self, link: &LeaderLink, rss_bytes: u64, now: Moment) -> Result<(), Closed> {
        self.heartbeat += 1;
        self.awaited.push_back((self.heartbeat, now));
        if self.awaited.len() > AWAITED_MAX {
            self.awaited.pop_front();
        }
        send(link, Up::Heartbeat(Heartbeat { number: self.heartbeat, rss_bytes })).await
    }

    /// Whether the leader has heard all that was sent up to the newest heartbeat.
    pub(super) fn is_heard(&self) -> bool {
        self.awaited.is_empty()
    }

    /// When that was sent which a renewal answers.
    pub(super) fn sent(&mut self, renewal: &Renewal) -> Option<Moment> {
        let mut sent = None;
        while let Some((number, at)) = self.awaited.front().copied().filter(|(number, _)| *number <= renewal.heartbeat)
        {
            self.awaited.pop_front();
            sent = (number == renewal.heartbeat).then_some(at);
        }
        sent
    }
}
