//! A data directory on a real disk: sled for the trees, files beside it, and an `fsync` that sled doesn't do.
//!
//! # What sled does not do
//!
//! `flush` writes and waits with `sync_file_range`, which flushes neither the disk's cache nor the file's size; so
//! `sync_data` on sled's file follows each flush. And a page above a quarter segment (128 KiB) goes to a file of its own
//! under `blobs/`, which sled never syncs at all; so values must be small enough that a leaf of sixteen stays far below
//! (`disk` cuts entries into pieces).

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::blocking::Blocking;
use sled::{Batch, Db, IVec};

use super::data_dir::LOST;
use super::durable_file::{self, sync_dir};
use super::medium::{Medium, Pairs, Tree};
use super::settings::OpenError;

/// Sled's own directory within the data directory.
const DIR: &str = "log";
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
        let opened = Self { dir: dir.to_owned(), db, log, meta, file };
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
        self.db.flush()?;
        self.file.sync_data()
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        durable_file::read(&self.dir.join(name))
    }

    fn replace_file(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        durable_file::replace(&self.dir.join(name), parts)
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
        error => damaged(&dir, &error.to_string()),
    }
}

/// A log that sled can't open, and what to do about it.
pub(super) fn damaged(dir: &Path, error: &str) -> OpenError {
    let problem = format!(
        "sled finds its log damaged ({error}). The files {0}/snap.* hold nothing that {0}/db doesn't: move them out of \
         the directory and start again. If that fails too: {LOST}",
        dir.join(DIR).display()
    );
    OpenError::Refused { dir: dir.to_owned(), problem }
}
