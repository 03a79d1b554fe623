//! The data directory: openraft's own suite, and what is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use openraft::testing::{StoreBuilder, Suite, blank_ent};
use openraft::{RaftSnapshotBuilder, StorageError, storage::RaftStateMachine};
use tempfile::TempDir;

use super::data_dir::DataDir;
use super::disk::Disk;
use super::log_store::LogStore;
use super::settings::OpenError;
use super::sled_dir::SledDir;
use super::state_machine::StateMachine;
use super::table::Table;
use super::types::{Batch, Entry, LogId, Types, Vote};
use crate::state::{Command, Envelope};

struct Builder;

impl StoreBuilder<Types, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<u64>> {
        let dir = tempfile::tempdir().unwrap();
        let (store, machine) = parts(open(dir.path(), 1).unwrap());
        Ok((dir, store, machine))
    }
}

fn open(dir: &Path, node: u64) -> Result<DataDir, OpenError> {
    DataDir::open(dir, node)
}

pub(super) fn parts(data: DataDir) -> (LogStore, StateMachine) {
    let file = Arc::new(data.file);
    let machine = StateMachine::new(Arc::new(Table::empty(true)), file.clone(), data.held).unwrap();
    (LogStore::new(Arc::new(data.disk), file), machine)
}

fn refusal(dir: &Path, node: u64) -> String {
    open(dir, node).expect_err("it can't be used").to_string()
}

/// An entry with a command of about this size.
pub(super) fn entry(index: u64, bytes: usize) -> Entry {
    let command = Command::BeginLeadership;
    let envelope = Envelope { format: 1, request: None, actor: "x".repeat(bytes), time_ms: 0, command };
    Entry { payload: openraft::EntryPayload::Normal(Batch::new(vec![envelope])), ..blank_ent(1, 1, index) }
}

pub(super) fn at(index: u64) -> LogId {
    blank_ent::<Types>(1, 1, index).log_id
}

pub(super) fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.log_id.index).collect()
}

/// A directory with a few entries and a vote, closed.
pub(super) fn used() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = open(dir.path(), 1).unwrap();
    data.disk.save_vote(&Vote::new(1, 1)).unwrap();
    data.disk.append(&(0..50).map(|index| entry(index, 100)).collect::<Vec<_>>()).unwrap();
    dir
}

#[test]
fn the_store_passes_openrafts_own_suite() {
    Suite::test_all(Builder).unwrap();
}

#[test]
fn what_was_appended_is_there_after_opening_again_under_the_same_store_id() {
    let dir = used();
    let first = open(dir.path(), 1).unwrap().id;
    let data = open(dir.path(), 1).unwrap();
    assert_eq!(data.id, first);
    assert_eq!(data.disk.vote().unwrap(), Some(Vote::new(1, 1)));
    assert_eq!(indexes(&data.disk.entries(0..=100, usize::MAX).unwrap()), (0..50).collect::<Vec<_>>());
}

#[test]
fn great_entries_leave_no_blob_that_sled_would_not_sync() {
    let dir = tempfile::tempdir().unwrap();
    let data = open(dir.path(), 1).unwrap();
    for index in 0..20 {
        data.disk.append(&[entry(index, 300_000)]).unwrap();
    }
    data.disk.truncate(18).unwrap();
    data.disk.purge(at(3)).unwrap();
    assert_eq!(data.disk.last().unwrap(), Some(at(17)));
    // Reads for replication are bounded, and never empty.
    assert_eq!(indexes(&data.disk.some_entries(4, 18).unwrap()), [4, 5, 6, 7]);
    drop(data);
    let data = open_unchecked(dir.path());
    assert_eq!(indexes(&data.entries(0..=100, usize::MAX).unwrap()), (4..18).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(dir.path().join("log/blobs")).unwrap().count(), 0);
}

/// The log alone: here it was purged without a snapshot.
fn open_unchecked(dir: &Path) -> Disk {
    Disk::open(Arc::new(SledDir::open(dir).unwrap())).unwrap()
}

#[test]
fn a_directory_of_another_controller_is_refused() {
    let text = refusal(used().path(), 2);
    assert!(text.contains("made for controller 1, but this is controller 2"), "{text}");
}

#[test]
fn a_directory_in_use_is_refused() {
    let dir = used();
    let _open = open(dir.path(), 1).unwrap();
    let error = open(dir.path(), 1).expect_err("in use");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}

#[test]
fn a_directory_that_lost_a_part_is_refused_with_what_to_do() {
    let dir = used();
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    let text = refusal(dir.path(), 1);
    assert!(text.contains("its log is gone") && text.contains("controller remove 1"), "{text}");
    // Being refused once changes nothing.
    assert_eq!(refusal(dir.path(), 1), text);

    let dir = used();
    fs::remove_file(dir.path().join("store")).unwrap();
    let text = refusal(dir.path(), 1);
    assert!(text.contains("its file `store` is gone"), "{text}");

    let dir = used();
    open(dir.path(), 1).unwrap().disk.purge(at(20)).unwrap();
    let text = refusal(dir.path(), 1);
    assert!(text.contains("behind a snapshot that is gone"), "{text}");
}

#[tokio::test]
async fn a_snapshot_survives_and_a_torn_one_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut machine) = parts(open(dir.path(), 1).unwrap());
    machine.apply((0..3).map(|index| entry(index, 10))).await.unwrap();
    machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    drop(machine);

    fs::write(dir.path().join("table.tmp"), b"torn").unwrap();
    let reopened = tokio::task::spawn_blocking({
        let dir = dir.path().to_owned();
        move || open(&dir, 1)
    });
    let (_, mut machine) = parts(reopened.await.unwrap().unwrap());
    assert_eq!(machine.applied_state().await.unwrap().0, Some(at(2)));
    assert_eq!(machine.table.read().revision().0, 3);
    assert!(!dir.path().join("table.tmp").exists());
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut machine) = parts(open(dir.path(), 1).unwrap());
    machine.apply([entry(0, 10)]).await.unwrap();
    machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    drop(machine);
    let path = dir.path().join("table.snapshot");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let text = refusal(dir.path(), 1);
    assert!(text.contains("table.snapshot is damaged"), "{text}");
}
