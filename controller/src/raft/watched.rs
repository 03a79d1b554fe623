//! A medium that is watched: how long it takes to make things durable, how much room it has, and what it failed with first.
//! Does what the medium does, and nothing else.

use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use common::blocking::{Blocking, Call, Made};
use metrics::{gauge, histogram};
use tokio::time::Instant;
use tracing::{info, warn};

use super::bound::DIRECTORY_BYTES_MAX;
use super::medium::{Medium, Pairs, Tree};
use super::sync_times::{P99_MAX, SyncTimes, Verdict};
use crate::metrics::{DISK_FREE, FSYNC_SECONDS};

/// What was seen of a medium.
#[derive(Debug)]
pub(super) struct Health {
    failure: OnceLock<String>,
    times: Mutex<SyncTimes>,
    /// How many bytes more it can hold, as far as that is known.
    room: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self { failure: OnceLock::new(), times: Mutex::default(), room: AtomicU64::new(u64::MAX) }
    }
}

/// A medium that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    medium: Arc<dyn Medium>,
    pub health: Arc<Health>,
}

impl Watched {
    pub fn new(medium: Arc<dyn Medium>) -> Self {
        Self { medium, health: Arc::default() }
    }
}

impl Health {
    /// What failed first, and what to do about it. The log does not go on after a failure.
    pub fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// What will stop this controller, or slow the fleet, unless somebody sees to it.
    pub fn warning(&self) -> Option<String> {
        let room = self.room.load(Ordering::Relaxed);
        if room < DIRECTORY_BYTES_MAX {
            return Some(little_room(room));
        }
        let is_slow = self.times().is_slow();
        is_slow.then(|| format!("its disk takes {} ms to make a write durable", self.sync_p99_ms()))
    }

    /// Takes in how many bytes more the medium can hold, where that is known.
    pub fn has_room(&self, room: Option<u64>) {
        let Some(room) = room else { return };
        gauge!(DISK_FREE).set(room as f64);
        let before = self.room.swap(room, Ordering::Relaxed);
        match (before < DIRECTORY_BYTES_MAX, room < DIRECTORY_BYTES_MAX) {
            (false, true) => warn!("{}: make room before it is full, which ends this controller", little_room(room)),
            (true, false) => info!(free_bytes = room, "the data directory has room enough again"),
            _ => {}
        }
    }

    /// The slowest of the last hundred times, in milliseconds.
    pub fn sync_p99_ms(&self) -> u64 {
        u64::try_from(self.times().p99().as_millis()).unwrap_or(u64::MAX)
    }

    fn times(&self) -> std::sync::MutexGuard<'_, SyncTimes> {
        self.times.lock().expect("nothing panics while it is locked")
    }

    fn seen<T>(&self, doing: &str, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.failure.get_or_init(|| format!("{doing}: {}{}", said(error), remedy(error.kind())));
        }
        result
    }

    fn synced(&self, started: Instant) {
        let took = started.elapsed();
        histogram!(FSYNC_SECONDS).record(took);
        match self.times().add(took, Instant::now()) {
            Some(Verdict::Slow(p99)) => warn!(
                fsync_p99_ms = p99.as_millis(),
                bound_ms = P99_MAX.as_millis(),
                "the disk is slow to make writes durable: heartbeats are late then, and controllers elect anew; give the data \
                 directory a faster disk, or one that it need not share"
            ),
            Some(Verdict::Fine(p99)) => info!(fsync_p99_ms = p99.as_millis(), "the disk is fast enough again"),
            None => {}
        }
    }
}

/// What the system said. Sled hands that on as debug output.
fn said(error: &io::Error) -> String {
    match error.kind() {
        kind @ (ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::FileTooLarge
        | ErrorKind::ReadOnlyFilesystem) => kind.to_string(),
        _ => error.to_string(),
    }
}

fn little_room(bytes: u64) -> String {
    format!("its data directory has {} MiB of room left, and may need {}", bytes >> 20, DIRECTORY_BYTES_MAX >> 20)
}

/// What to do about a failure.
pub(super) fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ": the disk is full. Make room, then start the controller again; nothing that was acknowledged is lost"
        }
        ErrorKind::FileTooLarge => {
            ": files may not grow so large here (ulimit -f). Raise the limit, then start the controller again; nothing that \
             was acknowledged is lost"
        }
        // The text says what is to be done: the disk has nothing to do with it.
        ErrorKind::Unsupported => "",
        ErrorKind::PermissionDenied => ": let the user that runs the controller read and write there",
        ErrorKind::ReadOnlyFilesystem => ": see why the file system became read-only, then start the controller again",
        _ => ": see to the disk, then start the controller again",
    }
}

impl Blocking for Watched {
    fn run(&self, call: Call) -> Made {
        self.medium.run(call)
    }
}

impl Medium for Watched {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.health.seen("reading its log", self.medium.get(tree, key))
    }

    fn range(&self, tree: Tree, range: RangeInclusive<&[u8]>) -> Pairs<'_> {
        Box::new(self.medium.range(tree, range).map(|pair| self.health.seen("reading its log", pair)))
    }

    fn write(&self, tree: Tree, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()> {
        self.health.seen("writing its log", self.medium.write(tree, changes))
    }

    fn sync(&self) -> io::Result<()> {
        let started = Instant::now();
        let synced = self.health.seen("writing its log", self.medium.sync());
        self.health.synced(started);
        synced
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.health.seen(&format!("reading its file {name}"), self.medium.read_file(name))
    }

    fn replace_file(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.health.seen(&format!("writing its file {name}"), self.medium.replace_file(name, parts))
    }

    fn room(&self) -> Option<u64> {
        self.medium.room()
    }
}
