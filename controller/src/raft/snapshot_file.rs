//! The one snapshot that is kept: the whole table at one place of the log, as a file beside sled.
//!
//! ```text
//! format (1 byte) | postcard (what it covers, the table's bytes) | CRC-32 of all before, little endian
//! ```
//!
//! A newer one takes the older one's place by a rename, so there is always one that is whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::durable_file;
use super::types::{Held, LogId, SnapshotMeta, decode, encode};

const FILE: &str = "table.snapshot";
const CRC_BYTES: usize = 4;

/// The file.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    path: PathBuf,
    /// What the file covers. A snapshot is built beside the log's work, so that one that came from the leader meanwhile
    /// may be newer.
    newest: Mutex<Option<LogId>>,
}

impl SnapshotFile {
    /// The file of a directory, and what it holds. Blocks.
    pub fn open(dir: &Path) -> io::Result<(Self, Option<Held>)> {
        let file = Self { path: dir.join(FILE), newest: Mutex::default() };
        let held = file.load()?;
        *file.newest.lock().expect(NOT_POISONED) = held.as_ref().and_then(|(meta, _)| meta.last_log_id);
        Ok((file, held))
    }

    /// What the file holds. Blocks.
    pub fn load(&self) -> io::Result<Option<Held>> {
        let _alone = self.newest.lock().expect(NOT_POISONED);
        let Some(bytes) = durable_file::read(&self.path)? else { return Ok(None) };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", self.path.display()));
        let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or_else(damaged)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        decode(content).map(Some)
    }

    /// Keeps a snapshot, unless a newer one is there. Durable when it returns. Blocks.
    pub fn save(&self, meta: &SnapshotMeta, table: &[u8]) -> io::Result<()> {
        let mut newest = self.newest.lock().expect(NOT_POISONED);
        if *newest > meta.last_log_id {
            return Ok(());
        }
        let content = encode(&(meta, table));
        let crc = crc32fast::hash(&content).to_le_bytes();
        durable_file::replace(&self.path, &[&content, &crc])?;
        *newest = meta.last_log_id;
        Ok(())
    }
}

const NOT_POISONED: &str = "nothing panics while the snapshot file is locked";
