//! Files that are there wholly or not at all, also after a power cut.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where a file is prepared.
fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

/// Puts a file there, in place of the one that was.
pub(super) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = temporary(path);
    let mut file = File::create(&temporary)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(path.parent().expect("a file has a directory"))
}

/// Reads it, if it is there, and removes what an interrupted `replace` left.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    unless_absent(fs::remove_file(temporary(path)))?;
    unless_absent(fs::read(path))
}

fn unless_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
