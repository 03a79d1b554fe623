//! Keeps the log from growing by bytes, and looks whether there is room for it. How many entries it keeps is openraft's to
//! see to (`RaftTuning`), but one entry may have a mebibyte.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::disk::Disk;
use super::medium::access;
use super::node::Inner;

/// Above this the log is cut back to what no snapshot holds, whatever its number of entries. Greater than what a node that
/// was away for a moment has missed, and small beside any disk.
pub(super) const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// What a data directory takes at most beside the table: sled takes three times as much as its entries have, and a busy leader
/// commits as much again until a snapshot is made.
pub(super) const DIRECTORY_BYTES_MAX: u64 = 8 * LOG_BYTES_MAX;
/// How often its size is looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long a snapshot is waited for.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(10);

impl Inner {
    /// Has a snapshot made and the log purged up to it whenever the log is too large.
    pub async fn bound_log(&self) -> Infallible {
        loop {
            sleep(INTERVAL).await;
            let Some(disk) = self.disk.upgrade() else { continue };
            self.health.has_room(room(&disk).await);
            if disk.log_bytes() <= LOG_BYTES_MAX {
                continue;
            }
            drop(disk);
            let applied = self.metrics().last_applied;
            // All of it fails only once the log has stopped, which ends more than this.
            let _ = self.raft.trigger().snapshot().await;
            let mut shown = self.raft.metrics();
            let made = shown.wait_for(|metrics| metrics.snapshot >= applied);
            let is_made = timeout(SNAPSHOT_PATIENCE, made).await.is_ok_and(|seen| seen.is_ok());
            if let Some(applied) = applied.filter(|_| is_made) {
                let _ = self.raft.trigger().purge_log(applied.index).await;
            }
        }
    }
}

async fn room(disk: &Disk) -> Option<u64> {
    let medium = disk.medium.clone();
    access(&*disk.medium, move || Ok(medium.room())).await.ok().flatten()
}
