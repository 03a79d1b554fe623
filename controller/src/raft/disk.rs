//! The log and the vote as they are kept: what stands under which key, and what is synced before what.
//!
//! ```text
//! log    index (u64, big endian), piece (u32, big endian) -> up to 4 KiB of the encoded entry
//! meta   "vote", "purged", "committed", "probe" (nothing) -> encoded
//! ```
//!
//! All functions wait for the medium: call them by way of `access`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::bug::{self, Bug};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::medium::{Medium, Tree};
use super::types::{Entry, LogId, Vote, decode, encode};

/// Greater values would let a leaf of sled's, of sixteen, become a file that it never syncs.
const PIECE_BYTES: usize = 4096;
/// What one read for replication takes: it must reach a peer within one heartbeat, or it is sent for ever.
const READ_BYTES_MAX: usize = 1024 * 1024;

const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";
const PROBE: &str = "probe";

/// The log and the vote.
#[derive(Debug)]
pub(super) struct Disk {
    pub medium: Arc<dyn Medium>,
    /// How many bytes the entries have.
    log_bytes: AtomicU64,
}

impl Disk {
    /// What a medium holds, or nothing yet.
    pub fn open(medium: Arc<dyn Medium>) -> io::Result<Self> {
        let disk = Self { medium, log_bytes: AtomicU64::new(0) };
        let (first, last) = (key(0, 0), key(u64::MAX, u32::MAX));
        for pair in disk.medium.range(Tree::Log, &first..=&last) {
            disk.log_bytes.fetch_add(pair?.1.len() as u64, Ordering::Relaxed);
        }
        Ok(disk)
    }

    /// How many bytes the entries have that are in the log.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// Writes something that means nothing, as durably as an entry.
    pub fn probe(&self) -> io::Result<()> {
        self.set_value(PROBE, Some(&0u8))?;
        self.medium.sync()
    }

    /// The vote that was saved last.
    pub fn vote(&self) -> io::Result<Option<Vote>> {
        self.value(VOTE)
    }

    /// Saves the vote. Durable when it returns.
    pub fn save_vote(&self, vote: &Vote) -> io::Result<()> {
        self.set_value(VOTE, Some(vote))?;
        if bug::is(Bug::VoteNotFlushed) { Ok(()) } else { self.medium.sync() }
    }

    /// The last entry known to be committed when something was synced last.
    pub fn committed(&self) -> io::Result<Option<LogId>> {
        self.value(COMMITTED)
    }

    /// Notes the last committed entry. Becomes durable with what is synced next: it only shortens the way back.
    pub fn save_committed(&self, committed: Option<LogId>) -> io::Result<()> {
        self.set_value(COMMITTED, committed.as_ref())
    }

    /// The last entry that was removed because a snapshot holds it.
    pub fn purged(&self) -> io::Result<Option<LogId>> {
        self.value(PURGED)
    }

    /// The last entry, or the last purged one if there is none.
    pub fn last(&self) -> io::Result<Option<LogId>> {
        let purged = self.purged()?;
        let (first, last) = (key(0, 0), key(u64::MAX, u32::MAX));
        let Some(pair) = self.medium.range(Tree::Log, &first..=&last).next_back() else { return Ok(purged) };
        let index = index_of(&pair?.0)?;
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
        let (first, last) = (key(*range.start(), 0), key(*range.end(), u32::MAX));
        for pair in self.medium.range(Tree::Log, &first..=&last) {
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
                    open = Some((index, piece, 1));
                }
                _ => return Err(invalid(format!("piece {number} of entry {index} has no predecessor"))),
            }
        }
        if let Some((_, encoded, _)) = open {
            entries.push(decode(&encoded)?);
        }
        Ok(entries)
    }

    /// Reads every entry; the first and the last one's index, if there are any. Fails if one is missing or can't be read.
    pub fn check(&self) -> io::Result<Option<(u64, u64)>> {
        let (first, last) = (key(0, 0), key(u64::MAX, u32::MAX));
        let Some(pair) = self.medium.range(Tree::Log, &first..=&last).next() else { return Ok(None) };
        let first = self.purged()?.map_or(index_of(&pair?.0)?, |purged| purged.index + 1);
        let mut next = first;
        loop {
            let entries = self.some_entries(next, u64::MAX)?;
            if entries.is_empty() {
                return Ok((next > first).then(|| (first, next - 1)));
            }
            for entry in entries {
                if entry.log_id.index != next {
                    return Err(invalid(format!("entry {next} is missing, {} is there", entry.log_id.index)));
                }
                next += 1;
            }
        }
    }

    /// Appends entries, all or none. Durable when it returns.
    pub fn append(&self, entries: &[Entry]) -> io::Result<()> {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            for (number, piece) in (0..).zip(encode(entry).chunks(PIECE_BYTES)) {
                bytes += piece.len() as u64;
                changes.push((key(entry.log_id.index, number).to_vec(), Some(piece.to_vec())));
            }
        }
        self.medium.write(Tree::Log, changes)?;
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        if bug::is(Bug::LogNotFlushed) { Ok(()) } else { self.medium.sync() }
    }

    /// Removes the entries from `index` on. Durable when it returns.
    pub fn truncate(&self, index: u64) -> io::Result<()> {
        self.remove(key(index, 0), key(u64::MAX, u32::MAX))
    }

    /// Removes the entries up to `upto`. Durable when it returns.
    pub fn purge(&self, upto: LogId) -> io::Result<()> {
        // First what is gone, then its removal: the other way round, a crash between the two leaves a log that begins
        // nobody knows where.
        self.set_value(PURGED, Some(&upto))?;
        self.medium.sync()?;
        self.remove(key(0, 0), key(upto.index, u32::MAX))
    }

    fn remove(&self, first: [u8; 12], last: [u8; 12]) -> io::Result<()> {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for pair in self.medium.range(Tree::Log, &first..=&last) {
            let (key, piece) = pair?;
            bytes += piece.len() as u64;
            changes.push((key, None));
        }
        self.medium.write(Tree::Log, changes)?;
        self.log_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.medium.sync()
    }

    fn value<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        self.medium.get(Tree::Meta, name.as_bytes())?.map(|bytes| decode(&bytes)).transpose()
    }

    fn set_value(&self, name: &str, value: Option<&impl Serialize>) -> io::Result<()> {
        self.medium.write(Tree::Meta, vec![(name.into(), value.map(encode))])
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
