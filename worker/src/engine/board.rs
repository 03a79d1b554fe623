//! Where lanes write how their partitions are, and everyone else reads it. Written a few times a second, never per record.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::assignment::{Grant, Phase, Running};
use common::ids::RoutePartition;
use tokio::sync::Notify;

use crate::engine::Status;
use crate::engine::lane::PartitionStatus;

/// The statuses of all partitions of an engine.
#[derive(Debug, Default)]
pub struct Board {
    entries: Mutex<BTreeMap<RoutePartition, Status>>,
    changed: Notify,
}

impl Board {
    /// A partition was given to a lane.
    pub fn started(&self, grant: &Grant) {
        let running = Running { partition: grant.partition.clone(), epoch: grant.epoch, phase: Phase::Claiming };
        let status = Status { running, stopping: false, progress: None };
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
    pub fn update(&self, statuses: Vec<PartitionStatus>, released: &[RoutePartition]) {
        let mut entries = self.entries();
        let mut changed = !released.is_empty();
        for PartitionStatus { phase, progress } in statuses {
            if let Some(status) = entries.get_mut(&progress.partition) {
                changed |= status.running.phase != phase;
                status.running.phase = phase;
                status.progress = Some(progress);
            }
        }
        for partition in released {
            entries.remove(partition);
        }
        drop(entries);
        if changed {
            self.changed.notify_one();
        }
    }

    /// All statuses.
    pub fn statuses(&self) -> Vec<Status> {
        self.entries().values().cloned().collect()
    }

    /// Whether a partition is on it.
    pub fn has(&self, partition: &RoutePartition) -> bool {
        self.entries().contains_key(partition)
    }

    /// Returns when something else than progress changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<RoutePartition, Status>> {
        // Each writer leaves the map whole at every step, so one that panicked has not damaged it.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
