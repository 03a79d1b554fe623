//! A data directory on a real disk: sled for the trees, files beside it, and an `fsync` that sled doesn't do.
//!
//! # What sled does not do
//!
//! `flush` writes and waits with `sync_file_range`, which flushes neither the disk's cache nor the file's size; so
//! `sync_data` on sled's file follows each flush. And a page above a quarter segment (128 KiB) goes to a file of its own
//! under `blobs/`, which sled never syncs at all; so values must be small enough that a leaf of sixteen stays far below
//! (`disk` cuts entries into pieces). It also goes on without the end of a file that it can't read; `witness` tells.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::blocking::Blocking;
use sled::{Batch, Db, IVec};

use super::durable_file::{self, sync_dir};
use super::medium::{Medium, Pairs, Tree};
use super::settings::OpenError;
use super::witness::Witness;

/// Sled's own directory within the data directory.
pub(super) const DIR: &str = "log";
/// How often it was synced, in sled's default tree.
const SYNCS: &str = "syncs";
/// Sled's default is a gigabyte; the log is short.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How long a directory that is in use is waited for: a predecessor that was just killed, or sled's own threads.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A directory, opened. Closed when the last owner drops it.
#[derive(Debug)]
pub(super) struct SledDir {
    dir: PathBuf,
    db: Db,
    log: sled::Tree,
    meta: sled::Tree,
    /// Sled's file, for the `fsync` that sled leaves out.
    file: File,
    /// How often that was done. Locked by who does it.
    witness: Mutex<Witness>,
}

impl SledDir {
    /// Whether a log was ever kept in the directory.
    pub fn exists(dir: &Path) -> bool {
        dir.join(DIR).join("db").exists()
    }

    /// Opens it, or makes it.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let io = |doing| move |error| OpenError::Io { dir: dir.to_owned(), doing, error };
        let path = dir.join(DIR);
        fs::create_dir_all(&path).map_err(io("making it"))?;
        let db = open_sled(&path).map_err(|error| explain(dir, error))?;
        let sled_failed = |error| explain(dir, error);
        let log = db.open_tree("log").map_err(sled_failed)?;
        let meta = db.open_tree("meta").map_err(sled_failed)?;
        let file = File::open(path.join("db")).map_err(io("opening sled's file"))?;
        let witness = Witness::open(dir).map_err(io("opening the file `syncs`"))?;
        let found = db.get(SYNCS).map_err(sled_failed)?.and_then(|count| count.as_ref().try_into().ok());
        let found = found.map_or(0, u64::from_be_bytes);
        if found < witness.count() {
            let what = format!("its end is lost: it was made durable {} times, and shows {found}", witness.count());
            return Err(OpenError::Damaged { dir: dir.to_owned(), what });
        }
        let opened = Self { dir: dir.to_owned(), db, log, meta, file, witness: Mutex::new(witness) };
        opened.sync().map_err(io("the first sync"))?;
        // The names of the directory itself, of sled's, and of the files in it.
        let above = dir.canonicalize().ok().and_then(|dir| dir.parent().map(PathBuf::from));
        for dir in [Some(path.clone()), Some(dir.to_owned()), above].into_iter().flatten() {
            sync_dir(&dir).map_err(io("making its names durable"))?;
        }
        Ok(opened)
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Log => &self.log,
            Tree::Meta => &self.meta,
        }
    }
}

impl Blocking for SledDir {}

impl Medium for SledDir {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.tree(tree).get(key)?.map(|value| value.to_vec()))
    }

    fn range(&self, tree: Tree, range: RangeInclusive<&[u8]>) -> Pairs<'_> {
        let bytes = |(key, value): (IVec, IVec)| (key.to_vec(), value.to_vec());
        Box::new(self.tree(tree).range(range).map(move |pair| pair.map(bytes).map_err(io::Error::from)))
    }

    fn write(&self, tree: Tree, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()> {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.tree(tree).apply_batch(batch).map_err(io::Error::from)
    }

    fn sync(&self) -> io::Result<()> {
        let mut witness = self.witness.lock().expect("nothing panics while it is locked");
        let count = witness.count() + 1;
        self.db.insert(SYNCS, &count.to_be_bytes())?;
        self.db.flush()?;
        self.file.sync_data()?;
        witness.note(count)
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        durable_file::read(&self.dir.join(name))
    }

    fn replace_file(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        durable_file::replace(&self.dir.join(name), parts)
    }

    fn room(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.dir).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

fn open_sled(path: &Path) -> sled::Result<Db> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        match config.open() {
            Err(error) if is_lock(&error) && Instant::now() < give_up => sleep(Duration::from_millis(50)),
            result => return result,
        }
    }
}

/// Whether a process has a directory's log open: sled holds a lock on its file.
pub(super) fn is_in_use(dir: &Path) -> io::Result<bool> {
    let file = File::open(dir.join(DIR).join("db"))?;
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < give_up => sleep(Duration::from_millis(50)),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sled says this only in its text (`Config::try_lock`).
fn is_lock(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn explain(dir: &Path, error: sled::Error) -> OpenError {
    let dir = dir.to_owned();
    if is_lock(&error) {
        return OpenError::InUse { dir };
    }
    match error {
        sled::Error::Io(error) => OpenError::Io { dir, doing: "opening its log", error },
        // Its own text ends with an empty backtrace.
        sled::Error::Corruption { .. } => OpenError::Damaged { dir, what: "a checksum does not match".to_owned() },
        error => OpenError::Damaged { dir, what: error.to_string() },
    }
}
