//! A data directory whose log sled does not open, and the one thing that can be done about it here.
//!
//! Sled writes `snap.*` files to open faster, in place, and reads them with a checksum: one that was being written when the
//! machine lost its power, or that the disk lost, keeps it from opening at all. They hold nothing that `db` does not, and
//! without them it reads all of `db` that it can (`witness` tells whether that is all). So they are moved out of its way, into
//! a directory beside the log. Nothing is deleted.
//!
//! Sled writes zeros over what it can't read as soon as it opens a log. So everything is tried on a copy first, and a log
//! that is damaged otherwise is left exactly as it was found.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::data_dir::{DataDir, log_is_gone, lost};
use super::disk::Disk;
use super::durable_file::sync_dir;
use super::settings::OpenError;
use super::sled_dir::{self, SledDir};
use super::store_id::StoreId;

/// What a file of sled's begins with that it can do without.
const SNAPSHOTS: &str = "snap.";
/// Where the trial is made.
const TRIAL: &str = "repair.trial";

/// What was found and done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repaired {
    /// What sled had said, and which of its files were moved where; `None` if the log was whole.
    pub aside: Option<Aside>,
    /// The first and the last entry of the log, if it has any.
    pub entries: Option<(u64, u64)>,
    /// The term of its vote, if it ever voted.
    pub term: Option<u64>,
}

/// Files that were moved out of the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aside {
    /// What sled had said.
    pub what: String,
    /// Where they are.
    pub dir: PathBuf,
    /// Their names.
    pub files: Vec<String>,
}

/// Finds out whether a node's data directory opens, and makes it open if that can be done without losing anything. Blocks.
///
/// # Errors
/// If a process uses the directory, or it is damaged in a way that nothing can be done about: it is as it was then.
pub fn repair(dir: &Path, node: u64) -> Result<Repaired, OpenError> {
    if !SledDir::exists(dir) {
        let problem = match StoreId::exists(dir) {
            true => log_is_gone(node),
            false => "there is no log in it: correct data-dir".to_owned(),
        };
        return Err(OpenError::Refused { dir: dir.to_owned(), problem });
    }
    let io = |doing| move |error| OpenError::Io { dir: dir.to_owned(), doing, error };
    if sled_dir::is_in_use(dir).map_err(io("looking for who uses it"))? {
        return Err(OpenError::InUse { dir: dir.to_owned() });
    }
    let trial = |keeps: &dyn Fn(&str) -> bool| {
        let copy = dir.join(TRIAL);
        let made = make_copy(dir, &copy, keeps).map_err(io("copying it, to try it there"));
        let found = made.map(|()| look(&copy, || DataDir::open(&copy, node).map(|data| data.disk)));
        fs::remove_dir_all(&copy).map_err(io("removing the copy"))?;
        found
    };
    match trial(&|_| true)? {
        Err(OpenError::Damaged { what, .. }) => {
            let files = snapshots(&dir.join(sled_dir::DIR)).map_err(io("looking for files to move"))?;
            if files.is_empty() || trial(&|name| !name.starts_with(SNAPSHOTS))?.is_err() {
                let problem = format!(
                    "its log is damaged where there is no second copy ({what}); it is as it was found. {}",
                    lost(node)
                );
                return Err(OpenError::Refused { dir: dir.to_owned(), problem });
            }
            set_aside(dir, node, what, files)
        }
        // The directory is meant, not its copy.
        Err(OpenError::Refused { problem, .. }) => Err(OpenError::Refused { dir: dir.to_owned(), problem }),
        found => found,
    }
}

/// Opens a log and reads all of it.
fn look(dir: &Path, open: impl FnOnce() -> Result<Disk, OpenError>) -> Result<Repaired, OpenError> {
    let damaged = |what: String| OpenError::Damaged { dir: dir.to_owned(), what };
    // Sled may also panic on what it can't read.
    let disk = catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err(damaged("sled panicked".to_owned())))?;
    let read =
        || Ok(Repaired { aside: None, entries: disk.check()?, term: disk.vote()?.map(|vote| vote.leader_id.term) });
    read().map_err(|error: io::Error| damaged(error.to_string()))
}

fn set_aside(dir: &Path, node: u64, what: String, files: Vec<String>) -> Result<Repaired, OpenError> {
    let io = |doing| move |error| OpenError::Io { dir: dir.to_owned(), doing, error };
    let log = dir.join(sled_dir::DIR);
    let mut numbers = (1..).map(|number| dir.join(format!("aside-{number}")));
    let aside = numbers.find(|path| !path.exists()).expect("there is a number that no directory has");
    fs::create_dir(&aside).map_err(io("making a directory for them"))?;
    for name in &files {
        fs::rename(log.join(name), aside.join(name)).map_err(io("moving them"))?;
    }
    for dir in [&aside, &log, dir] {
        sync_dir(dir).map_err(io("making their names durable"))?;
    }
    let found = look(dir, || DataDir::open(dir, node).map(|data| data.disk))?;
    Ok(Repaired { aside: Some(Aside { what, dir: aside, files }), ..found })
}

fn snapshots(log: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in fs::read_dir(log)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        if name.starts_with(SNAPSHOTS) {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a data directory, but for those files of sled's that are not kept.
fn make_copy(dir: &Path, copy: &Path, keeps: &dyn Fn(&str) -> bool) -> io::Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    for place in ["", sled_dir::DIR] {
        fs::create_dir_all(copy.join(place))?;
        for file in fs::read_dir(dir.join(place))? {
            let file = file?;
            let is_kept = place.is_empty() || keeps(&file.file_name().to_string_lossy());
            if file.file_type()?.is_file() && is_kept {
                fs::copy(file.path(), copy.join(place).join(file.file_name()))?;
            }
        }
    }
    Ok(())
}
