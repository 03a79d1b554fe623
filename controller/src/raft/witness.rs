//! How often the log was made durable, noted outside of it. Sled takes a file whose end it can't read for one that was cut in
//! the middle of a write, and goes on without that end, however long it is and however often it was synced. So each sync
//! is counted in what it makes durable, and here: what opens with less has lost something.
//!
//! Never synced itself: after a loss of power it may say less than is so, never more.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::checksum;

/// Its name in the data directory.
pub(super) const FILE: &str = "syncs";
/// A count and its checksum.
const BYTES: usize = 12;

/// The count.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    count: u64,
}

impl Witness {
    /// Reads the directory's, or makes it. One that can't be read says nothing.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(FILE))?;
        let mut bytes = [0; BYTES];
        let is_read = file.read_exact_at(&mut bytes, 0).is_ok();
        let known = if is_read { checksum::checked(&bytes).and_then(|count| count.try_into().ok()) } else { None };
        Ok(Self { file, count: known.map_or(0, u64::from_be_bytes) })
    }

    /// How many syncs there were at least.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Notes that there were so many.
    pub fn note(&mut self, count: u64) -> io::Result<()> {
        let count_bytes = count.to_be_bytes();
        self.file.write_all_at(&[&count_bytes[..], &checksum::of(&count_bytes)].concat(), 0)?;
        self.count = count;
        Ok(())
    }
}
