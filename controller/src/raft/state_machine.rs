//! openraft's view of the table: applies what is committed, makes and takes snapshots.

use std::io::{self, Cursor};
use std::sync::Arc;

use common::ids::FleetId;
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};

use super::medium::access;
use super::snapshot_file::SnapshotFile;
use super::table::Table;
use super::types::{Entry, Held, LogId, SnapshotMeta, StorageError, StoredMembership, Types, decode, encode};
use crate::state::{Outcome, Rejection, State};

/// How much of the lowest initial member's store id names the fleet: the end of it, which is random.
const FLEET_ID_CHARS: usize = 8;

/// The table with its place in the log.
#[derive(Debug)]
pub(super) struct StateMachine {
    pub table: Arc<Table>,
    file: Arc<SnapshotFile>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    /// The table as the snapshot has it, or the empty one.
    pub fn new(table: Arc<Table>, file: Arc<SnapshotFile>, held: Option<Held>) -> io::Result<Self> {
        let mut machine = Self { table, file, applied: None, membership: StoredMembership::default() };
        if let Some((meta, bytes)) = held {
            machine.adopt(&meta, decode(&bytes)?);
        }
        Ok(machine)
    }

    fn adopt(&mut self, meta: &SnapshotMeta, mut table: State) {
        table.pack();
        self.table.replace(table);
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
    }

    fn apply_entry(&mut self, entry: Entry) -> Vec<Result<Outcome, Rejection>> {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Normal(batch) => self.table.apply(batch.envelopes),
            EntryPayload::Membership(membership) => {
                let founds = self.membership.log_id().is_none();
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                if founds && let Some(fleet) = fleet_id(&self.membership) {
                    self.table.found(fleet);
                }
                Vec::new()
            }
        }
    }
}

/// The name of the fleet that begins with these members.
fn fleet_id(membership: &StoredMembership) -> Option<FleetId> {
    let (_, lowest) = membership.nodes().min_by_key(|(id, _)| **id)?;
    let start = lowest.store.len().checked_sub(FLEET_ID_CHARS)?;
    FleetId::new(lowest.store.get(start..)?.to_lowercase()).ok()
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Result<Outcome, Rejection>>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        Ok(entries.into_iter().map(|entry| self.apply_entry(entry)).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let snapshot_id = self.applied.map_or_else(|| "nothing".to_owned(), |last| last.to_string());
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone(), snapshot_id };
        // Nothing is applied before this returns, so it is the table at that place of the log; a copy would be as large again.
        let table = self.table.clone();
        let table = access(&*self.file.medium, move || Ok(encode(&*table.read()))).await;
        Builder { meta, table: Some(table), file: self.file.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        self.file.announce();
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let failed = |error: io::Error| StorageIOError::write_snapshot(Some(meta.signature()), AnyError::new(&error));
        let (file, kept) = (self.file.clone(), meta.clone());
        let install = move || {
            let bytes = snapshot.into_inner();
            let table: State = decode(&bytes)?;
            file.save(&kept, &bytes)?;
            Ok(table)
        };
        let table = access(&*self.file.medium, install).await;
        let table = table.inspect_err(|error| self.file.fail(error)).map_err(failed)?;
        self.adopt(meta, table);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let file = self.file.clone();
        let held = access(&*self.file.medium, move || file.load()).await;
        let failed = |error: io::Error| StorageIOError::read_snapshot(None, AnyError::new(&error));
        Ok(held.map_err(failed)?.map(|(meta, bytes)| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}

/// The table as it was at one place of the log, to be kept beside the log's work.
#[derive(Debug)]
pub(super) struct Builder {
    meta: SnapshotMeta,
    /// Its bytes, until they are kept.
    table: Option<io::Result<Vec<u8>>>,
    file: Arc<SnapshotFile>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let failed =
            |error: io::Error| StorageIOError::write_snapshot(Some(self.meta.signature()), AnyError::new(&error));
        let table = self.table.take().expect("openraft builds one snapshot with a builder").map_err(failed)?;
        let (meta, file) = (self.meta.clone(), self.file.clone());
        let keep = move || {
            file.save(&meta, &table)?;
            Ok(table)
        };
        let kept = access(&*self.file.medium, keep).await.map_err(failed)?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: Box::new(Cursor::new(kept)) })
    }
}
