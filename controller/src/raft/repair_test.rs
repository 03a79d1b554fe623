//! Data directories are damaged, and opened, repaired, or left as they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::data_dir::DataDir;
use super::repair::repair;
use super::settings::OpenError;
use super::store_test::{at, entry, indexes, used};

/// The files of a directory and below, with what is in them.
pub(super) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Sled's `snap.*` files.
fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let names = contents(&dir.join("log")).into_keys();
    names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap.")).collect()
}

/// A used directory with `snap.*` files: sled writes them when it opens what was written before.
fn used_twice() -> TempDir {
    let dir = used();
    drop(DataDir::open(dir.path(), 1).unwrap());
    assert!(!snapshots(dir.path()).is_empty());
    dir
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_snapshot_of_sleds_is_named_at_the_start_and_moved_aside_by_the_repair() {
    let damages: [(&str, Damage); 4] = [
        ("empty", Vec::clear),
        ("zeroed", |bytes| bytes.fill(0)),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("flipped", |bytes| bytes[0] ^= 1),
    ];
    for (name, damage) in damages {
        let dir = used_twice();
        for path in snapshots(dir.path()) {
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
        }
        let damaged = snapshots(dir.path());
        let error = DataDir::open(dir.path(), 1).expect_err(name);
        assert!(matches!(error, OpenError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("replisome controller repair --config"), "{name}: {error}");

        let before = contents(dir.path());
        let repaired = repair(dir.path(), 1).unwrap();
        let aside = repaired.aside.unwrap_or_else(|| panic!("{name}: nothing was moved"));
        assert_eq!((repaired.entries, repaired.term), (Some((0, 49)), Some(1)), "{name}");
        assert_eq!((aside.dir.as_path(), aside.files.len()), (dir.path().join("aside-1").as_path(), damaged.len()));
        for path in damaged {
            let kept = aside.dir.join(path.file_name().unwrap());
            assert_eq!(fs::read(kept).unwrap(), before[&path], "{name}: it is kept as it was");
        }
        let data = DataDir::open(dir.path(), 1).unwrap();
        assert_eq!(indexes(&data.disk.entries(0..=100, usize::MAX).unwrap()), (0..50).collect::<Vec<_>>(), "{name}");
        data.disk.append(&[entry(50, 10)]).unwrap();
        drop(data);
        let again = repair(dir.path(), 1).unwrap();
        assert_eq!((again.aside, again.entries), (None, Some((0, 50))), "{name}: it is whole");
    }
}

#[test]
fn a_log_that_is_damaged_itself_is_left_as_it_was() {
    let dir = used_twice();
    let log = dir.path().join("log/db");
    let mut bytes = fs::read(&log).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&log, bytes).unwrap();
    assert!(matches!(DataDir::open(dir.path(), 1), Err(OpenError::Damaged { .. })));
    let before = contents(dir.path());
    let error = repair(dir.path(), 1).unwrap_err().to_string();
    assert!(error.contains("no second copy") && error.contains("replisome controller remove 1"), "{error}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_directory_is_byte_for_byte_as_it_was_unless_the_repair_moved_something_aside() {
    let pristine = used_twice();
    let length = fs::metadata(pristine.path().join("log/db")).unwrap().len() as usize;
    let mut refused = 0;
    for at in (0..length).step_by(length / 12) {
        let dir = tempfile::tempdir().unwrap();
        for (path, mut bytes) in contents(pristine.path()) {
            let copy = dir.path().join(path.strip_prefix(pristine.path()).unwrap());
            if copy.ends_with("log/db") {
                bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte ^= 0x55);
            }
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::write(copy, bytes).unwrap();
        }
        let before = contents(dir.path());
        match repair(dir.path(), 1) {
            Ok(repaired) if repaired.aside.is_some() => continue,
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        assert!(contents(dir.path()) == before, "8 bytes at {at}");
    }
    assert!(refused > 0, "none of it was noticed");
}

#[test]
fn a_log_whose_end_is_lost_is_refused_though_sled_opens_it() {
    let dir = used();
    let earlier = contents(dir.path());
    let data = DataDir::open(dir.path(), 1).unwrap();
    data.disk.append(&[entry(50, 100)]).unwrap();
    drop(data);
    // Sled's file as it was before that was acknowledged.
    let log = dir.path().join("log");
    fs::remove_dir_all(&log).unwrap();
    for (path, bytes) in earlier.iter().filter(|(path, _)| path.starts_with(&log)) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let error = DataDir::open(dir.path(), 1).unwrap_err().to_string();
    assert!(error.contains("its end is lost") && error.contains("replisome controller repair"), "{error}");
    let error = repair(dir.path(), 1).unwrap_err().to_string();
    assert!(error.contains("no second copy") && error.contains("replisome controller remove 1"), "{error}");
}

#[test]
fn a_write_that_was_torn_loses_nothing_that_was_synced() {
    let dir = used_twice();
    let (copy, log) = (tempfile::tempdir().unwrap(), dir.path().join("log/db"));
    let synced = contents(dir.path());
    let data = DataDir::open(dir.path(), 1).unwrap();
    data.disk.append(&(50..60).map(|index| entry(index, 100)).collect::<Vec<_>>()).unwrap();
    drop(data);
    // As it was before, but for the first half of what the last write changed.
    let (old, mut torn) = (&synced[&log], fs::read(&log).unwrap());
    let old_byte = |at: usize| old.get(at).copied().unwrap_or(0);
    let changed: Vec<usize> = (0..torn.len()).filter(|at| torn[*at] != old_byte(*at)).collect();
    assert!(changed.len() > 500, "{} bytes were written", changed.len());
    for at in &changed[changed.len() / 2..] {
        torn[*at] = old_byte(*at);
    }
    for (path, bytes) in &synced {
        let path = copy.path().join(path.strip_prefix(dir.path()).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(copy.path().join("log/db"), torn).unwrap();

    let found = repair(copy.path(), 1).unwrap();
    assert_eq!((found.aside, found.entries, found.term), (None, Some((0, 49)), Some(1)));
    let data = DataDir::open(copy.path(), 1).unwrap();
    data.disk.append(&[entry(50, 10)]).unwrap();
    assert_eq!(data.disk.last().unwrap(), Some(at(50)));
}

#[test]
fn nothing_is_repaired_while_a_controller_runs_or_where_there_is_none() {
    let dir = used_twice();
    let open = DataDir::open(dir.path(), 1).unwrap();
    assert!(matches!(repair(dir.path(), 1), Err(OpenError::InUse { .. })));
    // Nor if what it opened fast by was damaged since.
    for path in snapshots(dir.path()) {
        fs::write(path, b"").unwrap();
    }
    assert!(matches!(repair(dir.path(), 1), Err(OpenError::InUse { .. })));
    drop(open);
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    let error = repair(dir.path(), 1).unwrap_err().to_string();
    assert!(error.contains("its log is gone"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = repair(empty.path(), 1).unwrap_err().to_string();
    assert!(error.contains("there is no log in it"), "{error}");
    assert_eq!(contents(empty.path()), BTreeMap::new());
}
