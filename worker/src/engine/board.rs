//! Where lanes write how their partitions are, and everyone else reads it. Written a few times a second, never per record.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::assignment::{Grant, Phase, Running, UncleanRelease};
use common::ids::RoutePartition;
use tokio::sync::{Notify, watch};

use crate::engine::lane::PartitionStatus;
use crate::engine::{Released, Status};

/// The statuses of all partitions of an engine.
#[derive(Debug, Default)]
pub struct Board {
    entries: Mutex<BTreeMap<RoutePartition, Status>>,
    released: Mutex<Releases>,
    changed: Notify,
    /// The name of a thread that panicked.
    broken: watch::Sender<Option<String>>,
}

/// What was released.
#[derive(Debug, Default)]
struct Releases {
    /// Since that was last taken.
    latest: Vec<RoutePartition>,
    /// What was not clean, the oldest first.
    unclean: VecDeque<UncleanRelease>,
}

/// How many unclean releases are told: what a route's lanes hold when a cluster stops answering. One that is forgotten is
/// taken for a clean one, and the same happens to the partition.
const UNCLEAN_MAX: usize = 1_000;

/// Held by a lane or a keeper: tells the board if it panics, since its partitions would look busy for ever.
pub struct Watchdog {
    board: Arc<Board>,
    work: String,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.board.broken.send_replace(Some(self.work.clone()));
        }
    }
}

impl Board {
    /// A partition was given to a lane.
    pub fn started(&self, grant: &Grant) {
        let running = Running { partition: grant.partition.clone(), epoch: grant.epoch, phase: Phase::Claiming };
        let status = Status { running, stopping: false, progress: None };
        // The leader has taken note, since it grants the partition anew.
        self.releases().unclean.retain(|release| release.partition != grant.partition);
        self.entries().insert(grant.partition.clone(), status);
        self.changed.notify_one();
    }

    /// A partition was told to stop.
    pub fn stopping(&self, partition: &RoutePartition) {
        if let Some(status) = self.entries().get_mut(partition) {
            status.stopping = true;
        }
        self.changed.notify_one();
    }

    /// What a lane says of its partitions. Those it has not heard of yet stay as they are.
    pub fn update(&self, statuses: Vec<PartitionStatus>, released: Vec<Released>) {
        let mut entries = self.entries();
        let mut changed = !released.is_empty();
        for PartitionStatus { phase, progress } in statuses {
            if let Some(status) = entries.get_mut(&progress.partition) {
                changed |= status.running.phase != phase;
                status.running.phase = phase;
                status.progress = Some(progress);
            }
        }
        // Together with their entries: whoever sees that a partition is gone must also see its release.
        let mut releases = self.releases();
        for Released { partition, epoch, clean } in released {
            entries.remove(&partition);
            releases.latest.push(partition.clone());
            if !clean {
                releases.unclean.push_back(UncleanRelease { partition, epoch });
            }
        }
        let beyond = releases.unclean.len().saturating_sub(UNCLEAN_MAX);
        releases.unclean.drain(..beyond);
        drop((releases, entries));
        if changed {
            self.changed.notify_one();
        }
    }

    /// All statuses.
    pub fn statuses(&self) -> Vec<Status> {
        self.entries().values().cloned().collect()
    }

    /// The partitions released since the last call.
    pub fn take_released(&self) -> Vec<RoutePartition> {
        std::mem::take(&mut self.releases().latest)
    }

    /// The latest releases that were not clean.
    pub fn unclean(&self) -> Vec<UncleanRelease> {
        self.releases().unclean.iter().cloned().collect()
    }

    /// A watchdog for the work of this name.
    pub fn watch(self: &Arc<Self>, work: &str) -> Watchdog {
        Watchdog { board: self.clone(), work: work.to_owned() }
    }

    /// Returns the name of a thread that panicked, once one has. Cancel-safe.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        let name = broken.wait_for(Option::is_some).await.map(|name| name.clone());
        // The sender is this board's own, so it is there.
        name.ok().flatten().unwrap_or_default()
    }

    /// Returns when something else than progress changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn releases(&self) -> MutexGuard<'_, Releases> {
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<RoutePartition, Status>> {
        // Each writer leaves the map whole at every step, so one that panicked has not damaged it.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_is_told_and_one_that_ends_is_not() {
        let board = Arc::new(Board::default());
        let watchdog = board.watch("quiet");
        std::thread::spawn(move || drop(watchdog)).join().expect("ends well");
        let watchdog = board.watch("loud");
        let thread = std::thread::spawn(move || {
            let _watchdog = watchdog;
            panic!("as the test wants");
        });
        assert!(thread.join().is_err());
        assert_eq!(board.broken().await, "loud");
    }
}
