//! A data directory is damaged anywhere: it opens with all that was synced, or is refused with what to do about it; after
//! the repair too. Never with less.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;
use proptest::prelude::*;
use proptest::sample::Index;

use super::data_dir::DataDir;
use super::repair::repair;
use super::repair_test::contents;
use super::settings::OpenError;
use super::store_test::{at, entry, indexes, parts};
use super::types::Vote;

/// The last entry that the snapshot holds, and the last one.
const HELD: u64 = 99;
const LAST: u64 = 299;

/// The files of a directory that was used for a while, each by its path below it.
static USED: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::open(dir.path(), 1).unwrap();
    data.disk.save_vote(&Vote::new(1, 1)).unwrap();
    for first in (0..=LAST).step_by(10) {
        data.disk.append(&(first..first + 10).map(|index| entry(index, 500)).collect::<Vec<_>>()).unwrap();
    }
    let (_, mut machine) = parts(data);
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        machine.apply((0..=HELD).map(|index| entry(index, 500))).await.unwrap();
        machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    });
    drop(machine);
    // Opened again, since only then sled writes `snap.*` files.
    let data = DataDir::open(dir.path(), 1).unwrap();
    data.disk.purge(at(HELD)).unwrap();
    data.disk.save_vote(&Vote::new(7, 1)).unwrap();
    drop(data);
    drop(DataDir::open(dir.path(), 1).unwrap());
    let below = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(dir.path()).unwrap().to_owned(), bytes);
    contents(dir.path()).into_iter().map(below).collect()
});

/// What happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    /// Its end is gone.
    Cut(Index),
    /// A bit is another one.
    Flipped(Index),
    /// A sector of the disk is lost.
    Zeroed(Index),
    /// All of it is gone.
    Removed,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        any::<Index>().prop_map(Damage::Flipped),
        any::<Index>().prop_map(Damage::Zeroed),
        Just(Damage::Removed),
    ]
}

fn harm(path: &Path, damage: &Damage) {
    let mut bytes = fs::read(path).unwrap();
    match damage {
        Damage::Cut(place) => bytes.truncate(place.index(bytes.len())),
        Damage::Flipped(place) => {
            let place = place.index(bytes.len());
            bytes[place] ^= 1;
        }
        Damage::Zeroed(place) => {
            let start = place.index(bytes.len()) / 512 * 512;
            let end = bytes.len().min(start + 512);
            bytes[start..end].fill(0);
        }
        Damage::Removed => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

/// As the node does: sled may also panic on what it can't read.
fn open(dir: &Path) -> Result<DataDir, OpenError> {
    let damaged = |_| Err(OpenError::Damaged { dir: dir.to_owned(), what: "sled panicked".to_owned() });
    catch_unwind(AssertUnwindSafe(|| DataDir::open(dir, 1))).unwrap_or_else(damaged)
}

/// Whether a directory has all that was synced.
fn is_whole(data: &DataDir) -> bool {
    let held = data.held.as_ref().and_then(|(meta, _)| meta.last_log_id);
    let entries = data.disk.entries(HELD + 1..=u64::MAX, usize::MAX).unwrap();
    held == Some(at(HELD))
        && data.disk.vote().unwrap() == Some(Vote::new(7, 1))
        && data.disk.purged().unwrap() == held
        && indexes(&entries) == (HELD + 1..=LAST).collect::<Vec<_>>()
}

proptest! {
    #![proptest_config(crate::seeded_test::cases(100))]

    #[test]
    fn a_damaged_directory_has_all_that_was_synced_or_is_refused_with_what_to_do(
        file in any::<Index>(), damage in damage()
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in &*USED {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let names: Vec<_> = USED.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(path, _)| path).collect();
        let harmed = file.get(&names);
        harm(&dir.path().join(harmed), &damage);
        let refusal = match open(dir.path()) {
            Ok(data) => {
                prop_assert!(is_whole(&data), "{harmed:?} {damage:?}: less was opened than was synced");
                return Ok(());
            }
            Err(error) => error.to_string(),
        };
        eprintln!("{harmed:?} {damage:?}: {refusal}");
        let remedies = ["replisome controller repair", "replisome controller remove 1", "restore it", "put it back"];
        prop_assert!(remedies.iter().any(|remedy| refusal.contains(remedy)), "{refusal}");
        if !refusal.contains("controller repair") {
            return Ok(());
        }
        match repair(dir.path(), 1) {
            Ok(repaired) => {
                prop_assert_eq!((repaired.entries, repaired.term), (Some((HELD + 1, LAST)), Some(7)));
                prop_assert!(is_whole(&open(dir.path()).unwrap()), "{harmed:?} {damage:?}: less was repaired than was synced");
            }
            Err(error) => prop_assert!(error.to_string().contains("replisome controller remove 1"), "{error}"),
        }
    }
}
