//! The log and the vote on disk: two sled trees, and an `fsync` that sled doesn't do.
//!
//! ```text
//! log    index (u64, big endian), piece (u32, big endian) -> up to 4 KiB of the encoded entry
//! meta   "vote", "purged", "committed" -> encoded
//! ```
//!
//! # What sled does not do
//!
//! `flush` writes and waits with `sync_file_range`, which flushes neither the disk's cache nor the file's size; so
//! `sync_data` on sled's file follows each flush. And a page above a quarter segment (128 KiB) goes to a file of its own
//! under `blobs/`, which sled never syncs at all; so entries are cut into pieces small enough that a leaf of sixteen
//! stays far below.
//!
//! All functions block: call them where that is allowed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::{Batch, Db, Tree};

use super::data_dir::LOST;
use super::durable_file::sync_dir;
use super::settings::OpenError;
use super::types::{Entry, LogId, Vote, decode, encode};

/// Sled's own directory within the data directory.
const DIR: &str = "log";
/// Greater values would let a leaf of sixteen entries become a blob.
const PIECE_BYTES: usize = 4096;
/// Sled's default is a gigabyte; the log is short.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How long a directory that is in use is waited for: a predecessor that was just killed, or sled's own threads.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// What one read for replication takes: it must reach a peer within one heartbeat, or it is sent for ever.
const READ_BYTES_MAX: usize = 1024 * 1024;

const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";

/// The log and the vote. Closed when the last owner drops it.
#[derive(Debug)]
pub(super) struct Disk {
    db: Db,
    log: Tree,
    meta: Tree,
    /// Sled's file, for the `fsync` that sled leaves out.
    file: File,
}

impl Disk {
    /// Whether a log was ever kept in the data directory.
    pub fn exists(dir: &Path) -> bool {
        dir.join(DIR).join("db").exists()
    }

    /// Opens the log, or makes it.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let io = |doing| move |error| OpenError::Io { dir: dir.to_owned(), doing, error };
        let path = dir.join(DIR);
        fs::create_dir_all(&path).map_err(io("making it"))?;
        let db = open_sled(&path).map_err(|error| explain(dir, error))?;
        let sled_failed = |error| explain(dir, error);
        let log = db.open_tree("log").map_err(sled_failed)?;
        let meta = db.open_tree("meta").map_err(sled_failed)?;
        let file = File::open(path.join("db")).map_err(io("opening sled's file"))?;
        let disk = Self { db, log, meta, file };
        disk.sync().map_err(io("the first sync"))?;
        // The names of the directory itself, of sled's, and of the files in it.
        let above = dir.canonicalize().ok().and_then(|dir| dir.parent().map(PathBuf::from));
        for dir in [Some(path.clone()), Some(dir.to_owned()), above].into_iter().flatten() {
            sync_dir(&dir).map_err(io("making its names durable"))?;
        }
        Ok(disk)
    }

    /// The vote that was saved last.
    pub fn vote(&self) -> io::Result<Option<Vote>> {
        self.value(VOTE)
    }

    /// Saves the vote. Durable when it returns.
    pub fn save_vote(&self, vote: &Vote) -> io::Result<()> {
        self.set_value(VOTE, vote)?;
        self.sync()
    }

    /// The last entry known to be committed when something was synced last.
    pub fn committed(&self) -> io::Result<Option<LogId>> {
        self.value(COMMITTED)
    }

    /// Notes the last committed entry. Becomes durable with what is synced next: it only shortens the way back.
    pub fn save_committed(&self, committed: Option<LogId>) -> io::Result<()> {
        match committed {
            Some(committed) => self.set_value(COMMITTED, &committed),
            None => self.meta.remove(COMMITTED).map(drop).map_err(Into::into),
        }
    }

    /// The last entry that was removed because a snapshot holds it.
    pub fn purged(&self) -> io::Result<Option<LogId>> {
        self.value(PURGED)
    }

    /// The last entry, or the last purged one if there is none.
    pub fn last(&self) -> io::Result<Option<LogId>> {
        let purged = self.purged()?;
        let Some((key, _)) = self.log.last()? else { return Ok(purged) };
        let index = index_of(&key)?;
        if purged.is_some_and(|purged| purged.index >= index) {
            return Ok(purged);
        }
        Ok(self.entries(index..=index, usize::MAX)?.pop().map(|entry| entry.log_id))
    }

    /// Entries of a range, as many as READ_BYTES_MAX holds and at least one.
    pub fn some_entries(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        match end.checked_sub(1) {
            Some(last) if start <= last => self.entries(start..=last, READ_BYTES_MAX),
            _ => Ok(Vec::new()),
        }
    }

    /// The entries of a range, until they have `bytes_max` bytes; at least one if there is one.
    pub fn entries(&self, range: std::ops::RangeInclusive<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut open: Option<(u64, Vec<u8>, u32)> = None;
        for pair in self.log.range(key(*range.start(), 0)..=key(*range.end(), u32::MAX)) {
            let (key, piece) = pair?;
            let (index, number) = (index_of(&key)?, piece_of(&key)?);
            match &mut open {
                Some((open_index, encoded, next)) if *open_index == index && *next == number => {
                    encoded.extend_from_slice(&piece);
                    *next += 1;
                }
                _ if number == 0 => {
                    if let Some((_, encoded, _)) = open.take() {
                        bytes += encoded.len();
                        entries.push(decode(&encoded)?);
                        if bytes >= bytes_max {
                            return Ok(entries);
                        }
                    }
                    open = Some((index, piece.to_vec(), 1));
                }
                _ => return Err(invalid(format!("piece {number} of entry {index} has no predecessor"))),
            }
        }
        if let Some((_, encoded, _)) = open {
            entries.push(decode(&encoded)?);
        }
        Ok(entries)
    }

    /// Appends entries, all or none. Durable when it returns.
    pub fn append(&self, entries: &[Entry]) -> io::Result<()> {
        let mut batch = Batch::default();
        for entry in entries {
            for (number, piece) in (0..).zip(encode(entry).chunks(PIECE_BYTES)) {
                batch.insert(&key(entry.log_id.index, number), piece);
            }
        }
        self.log.apply_batch(batch)?;
        self.sync()
    }

    /// Removes the entries from `index` on. Durable when it returns.
    pub fn truncate(&self, index: u64) -> io::Result<()> {
        self.remove(key(index, 0)..=key(u64::MAX, u32::MAX))
    }

    /// Removes the entries up to `upto`. Durable when it returns.
    pub fn purge(&self, upto: LogId) -> io::Result<()> {
        // First what is gone, then its removal: the other way round, a crash between the two leaves a log that begins
        // nobody knows where.
        self.set_value(PURGED, &upto)?;
        self.sync()?;
        self.remove(key(0, 0)..=key(upto.index, u32::MAX))
    }

    fn remove(&self, range: std::ops::RangeInclusive<[u8; 12]>) -> io::Result<()> {
        let mut batch = Batch::default();
        for key in self.log.range(range).keys() {
            batch.remove(key?);
        }
        self.log.apply_batch(batch)?;
        self.sync()
    }

    fn value<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        self.meta.get(name)?.map(|bytes| decode(&bytes)).transpose()
    }

    fn set_value(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.meta.insert(name, encode(value)).map(drop).map_err(Into::into)
    }

    fn sync(&self) -> io::Result<()> {
        self.db.flush()?;
        self.file.sync_data()
    }
}

fn key(index: u64, piece: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&piece.to_be_bytes());
    key
}

fn index_of(key: &[u8]) -> io::Result<u64> {
    key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).ok_or_else(|| invalid("a key of the log is too short"))
}

fn piece_of(key: &[u8]) -> io::Result<u32> {
    key.last_chunk().map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(|| invalid("a key of the log is too short"))
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
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
