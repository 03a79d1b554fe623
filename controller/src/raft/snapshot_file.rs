//! The one snapshot that is kept: the whole table at one place of the log, as a file beside sled.
//!
//! ```text
//! format (1 byte) | postcard (what it covers, the table's bytes) | CRC-32 of all before, little endian
//! ```
//!
//! A newer one takes the older one's place by a rename, so there is always one that is whole.
//!
//! # The log waits for it
//!
//! When a leader's snapshot has arrived, openraft has it installed beside its own work and has the log purged up to it at
//! the same time. A crash between the two would leave a log without a beginning. So a purge waits until the file covers
//! what it removes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::durable_file;
use super::types::{Held, LogId, SnapshotMeta, decode, encode};

const FILE: &str = "table.snapshot";
const CRC_BYTES: usize = 4;

/// The file.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    path: PathBuf,
    kept: Mutex<Kept>,
    changed: Condvar,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Kept {
    /// What it covers. A snapshot is built beside the log's work, so that one that came from the leader meanwhile may be
    /// newer.
    newest: Option<LogId>,
    coming: Coming,
}

/// Whether a leader sent a snapshot since the start.
#[derive(Debug, Default)]
enum Coming {
    #[default]
    Nothing,
    Snapshot,
    /// It could not be kept, and why.
    Failed(String),
}

/// How long a purge waits for a snapshot that is being kept. Tables have some MiB.
const PATIENCE: Duration = Duration::from_secs(60);

impl SnapshotFile {
    /// The file of a directory, and what it holds. Blocks.
    pub fn open(dir: &Path) -> io::Result<(Self, Option<Held>)> {
        let file = Self { path: dir.join(FILE), kept: Mutex::default(), changed: Condvar::new() };
        let held = file.load()?;
        file.kept().newest = held.as_ref().and_then(|(meta, _)| meta.last_log_id);
        Ok((file, held))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect(NOT_POISONED)
    }

    /// What the file holds. Blocks.
    pub fn load(&self) -> io::Result<Option<Held>> {
        let _alone = self.kept();
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
        let mut kept = self.kept();
        if kept.newest > meta.last_log_id {
            return Ok(());
        }
        let content = encode(&(meta, table));
        let crc = crc32fast::hash(&content).to_le_bytes();
        durable_file::replace(&self.path, &[&content, &crc])?;
        kept.newest = meta.last_log_id;
        self.changed.notify_all();
        Ok(())
    }

    /// A snapshot of the leader begins to arrive.
    pub fn announce(&self) {
        self.kept().coming = Coming::Snapshot;
    }

    /// What arrived can't be kept.
    pub fn fail(&self, error: &io::Error) {
        self.kept().coming = Coming::Failed(error.to_string());
        self.changed.notify_all();
    }

    /// Waits until the file covers `upto`, if a snapshot that does may be on its way. Blocks.
    ///
    /// # Errors
    /// If it could not be kept: then nothing may be removed on its behalf.
    pub fn wait_for(&self, upto: LogId) -> io::Result<()> {
        let is_awaited = |kept: &mut Kept| kept.newest < Some(upto) && matches!(kept.coming, Coming::Snapshot);
        let (kept, late) = self.changed.wait_timeout_while(self.kept(), PATIENCE, is_awaited).expect(NOT_POISONED);
        match &kept.coming {
            Coming::Failed(error) if kept.newest < Some(upto) => {
                Err(io::Error::other(format!("the leader's snapshot could not be kept: {error}")))
            }
            _ if late.timed_out() => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the leader's snapshot is not kept yet"))
            }
            _ => Ok(()),
        }
    }
}

const NOT_POISONED: &str = "nothing panics while the snapshot file is locked";

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use openraft::testing::blank_ent;

    use super::super::types::Types;
    use super::*;

    fn at(index: u64) -> LogId {
        blank_ent::<Types>(1, 1, index).log_id
    }

    fn covering(index: u64) -> SnapshotMeta {
        SnapshotMeta { last_log_id: Some(at(index)), ..SnapshotMeta::default() }
    }

    #[test]
    fn what_a_coming_snapshot_covers_is_waited_for_until_it_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Arc::new(SnapshotFile::open(dir.path()).expect("it opens").0);
        file.announce();
        let (done, waited) = channel();
        let waiting = std::thread::spawn({
            let file = file.clone();
            move || done.send(file.wait_for(at(20)).is_ok())
        });
        file.save(&covering(19), b"older").expect("kept");
        assert!(waited.recv_timeout(Duration::from_millis(50)).is_err(), "19 is not 20");
        file.save(&covering(20), b"table").expect("kept");
        assert_eq!(waited.recv_timeout(Duration::from_secs(10)), Ok(true));
        waiting.join().expect("no panic").expect("heard");
    }

    #[test]
    fn nothing_may_be_removed_for_a_snapshot_that_could_not_be_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = SnapshotFile::open(dir.path()).expect("it opens").0;
        file.save(&covering(10), b"table").expect("kept");
        file.announce();
        file.fail(&io::Error::other("no space left"));
        assert!(file.wait_for(at(20)).expect_err("not kept").to_string().contains("no space left"));
        file.wait_for(at(10)).expect("it is covered");
    }
}
