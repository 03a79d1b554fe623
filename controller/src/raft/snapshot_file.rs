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
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::checksum;
use super::medium::Medium;
use super::types::{Held, LogId, SnapshotMeta, decode, encode};

const FILE: &str = "table.snapshot";

/// The file.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    pub medium: Arc<dyn Medium>,
    kept: Mutex<Kept>,
    changed: Notify,
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
    /// The file, and what it holds. Blocks.
    pub fn open(medium: Arc<dyn Medium>) -> io::Result<(Self, Option<Held>)> {
        let file = Self { medium, kept: Mutex::default(), changed: Notify::new() };
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
        let Some(bytes) = self.medium.read_file(FILE)? else { return Ok(None) };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{FILE} is damaged"));
        decode(checksum::checked(&bytes).ok_or_else(damaged)?).map(Some)
    }

    /// Keeps a snapshot, unless a newer one is there. Durable when it returns. Blocks.
    pub fn save(&self, meta: &SnapshotMeta, table: &[u8]) -> io::Result<()> {
        let mut kept = self.kept();
        if kept.newest > meta.last_log_id {
            return Ok(());
        }
        let content = encode(&(meta, table));
        self.medium.replace_file(FILE, &[&content, &checksum::of(&content)])?;
        kept.newest = meta.last_log_id;
        self.changed.notify_waiters();
        Ok(())
    }

    /// A snapshot of the leader begins to arrive.
    pub fn announce(&self) {
        self.kept().coming = Coming::Snapshot;
    }

    /// What arrived can't be kept.
    pub fn fail(&self, error: &io::Error) {
        self.kept().coming = Coming::Failed(error.to_string());
        self.changed.notify_waiters();
    }

    /// Waits until the file covers `upto`, if a snapshot that does may be on its way.
    ///
    /// # Errors
    /// If it could not be kept: then nothing may be removed on its behalf.
    pub async fn wait_for(&self, upto: LogId) -> io::Result<()> {
        let kept = async {
            loop {
                let mut changed = pin!(self.changed.notified());
                changed.as_mut().enable();
                match self.covers(upto) {
                    Some(outcome) => return outcome,
                    None => changed.await,
                }
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the leader's snapshot is not kept yet");
        timeout(PATIENCE, kept).await.unwrap_or_else(|_| Err(late()))
    }

    /// Whether the log may be removed up to `upto`; `None` while a snapshot that covers it may be on its way.
    fn covers(&self, upto: LogId) -> Option<io::Result<()>> {
        let kept = self.kept();
        match &kept.coming {
            Coming::Snapshot if kept.newest < Some(upto) => None,
            Coming::Failed(error) if kept.newest < Some(upto) => {
                Some(Err(io::Error::other(format!("the leader's snapshot could not be kept: {error}"))))
            }
            _ => Some(Ok(())),
        }
    }
}

const NOT_POISONED: &str = "nothing panics while the snapshot file is locked";

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use openraft::testing::blank_ent;
    use tempfile::TempDir;

    use super::super::sled_dir::SledDir;
    use super::super::types::Types;
    use super::*;

    fn at(index: u64) -> LogId {
        blank_ent::<Types>(1, 1, index).log_id
    }

    fn covering(index: u64) -> SnapshotMeta {
        SnapshotMeta { last_log_id: Some(at(index)), ..SnapshotMeta::default() }
    }

    fn file() -> (TempDir, SnapshotFile) {
        let dir = tempfile::tempdir().expect("a directory");
        let medium = Arc::new(SledDir::open(dir.path()).expect("it opens"));
        let file = SnapshotFile::open(medium).expect("it opens").0;
        (dir, file)
    }

    #[tokio::test]
    async fn what_a_coming_snapshot_covers_is_waited_for_until_it_is_kept() {
        let (_dir, file) = file();
        file.announce();
        let mut waiting = pin!(file.wait_for(at(20)));
        assert!(waiting.as_mut().now_or_never().is_none());
        file.save(&covering(19), b"older").expect("kept");
        assert!(waiting.as_mut().now_or_never().is_none(), "19 is not 20");
        file.save(&covering(20), b"table").expect("kept");
        assert!(waiting.now_or_never().is_some_and(|kept| kept.is_ok()));
    }

    #[tokio::test]
    async fn nothing_may_be_removed_for_a_snapshot_that_could_not_be_kept() {
        let (_dir, file) = file();
        file.save(&covering(10), b"table").expect("kept");
        file.announce();
        file.fail(&io::Error::other("no space left"));
        assert!(file.wait_for(at(20)).await.expect_err("not kept").to_string().contains("no space left"));
        file.wait_for(at(10)).await.expect("it is covered");
    }
}
