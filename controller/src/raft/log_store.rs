//! openraft's view of the disk. Each access is made where it may wait, and is awaited: so writes keep their order.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, StorageIOError};

use super::disk::Disk;
use super::medium::access;
use super::snapshot_file::SnapshotFile;
use super::types::{Entry, LogId, StorageError, Types, Vote};

/// The log and the vote. Its clones share the disk, which closes when the last one goes.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    disk: Arc<Disk>,
    file: Arc<SnapshotFile>,
}

/// How openraft names the failure of one kind of access.
type Failure = fn(AnyError) -> StorageIOError<u64>;

impl LogStore {
    pub fn new(disk: Arc<Disk>, file: Arc<SnapshotFile>) -> Self {
        Self { disk, file }
    }

    async fn with<T: Send + 'static>(
        &self,
        failure: Failure,
        work: impl FnOnce(&Disk) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let disk = self.disk.clone();
        let result = access(&*self.disk.medium, move || work(&disk)).await;
        result.map_err(|error| failure(AnyError::new(&error)).into())
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let last = match range.end_bound() {
            Bound::Included(last) => Some(*last),
            Bound::Excluded(end) => end.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        match last {
            Some(last) if start <= last => {
                self.with(StorageIOError::read_logs, move |disk| disk.entries(start..=last, usize::MAX)).await
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.with(StorageIOError::read_logs, move |disk| disk.some_entries(start, end)).await
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        self.with(StorageIOError::read_logs, |disk| {
            Ok(LogState { last_purged_log_id: disk.purged()?, last_log_id: disk.last()? })
        })
        .await
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        self.with(StorageIOError::write_vote, move |disk| disk.save_vote(&vote)).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.with(StorageIOError::read_vote, Disk::vote).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.with(StorageIOError::write, move |disk| disk.save_committed(committed)).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        self.with(StorageIOError::read, Disk::committed).await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        for entry in &entries {
            if let openraft::EntryPayload::Normal(batch) = &entry.payload {
                batch.mark_logged();
            }
        }
        self.with(StorageIOError::write_logs, move |disk| disk.append(&entries)).await?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.with(StorageIOError::write_logs, move |disk| disk.truncate(from.index)).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let covered = self.file.wait_for(upto).await;
        covered.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?;
        self.with(StorageIOError::write_logs, move |disk| disk.purge(upto)).await
    }
}
