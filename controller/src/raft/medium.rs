//! What a data directory is made of: two trees of bytes and a few small files. What stands in them is the business of
//! `disk`, `snapshot_file` and `store_id`.

use std::fmt::Debug;
use std::io;
use std::ops::RangeInclusive;

use common::blocking::{self, Blocking};

/// An ordered map of bytes to bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tree {
    /// The entries of the log.
    Log,
    /// What is known beside them.
    Meta,
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The pairs of a range, in order.
pub type Pairs<'a> = Box<dyn DoubleEndedIterator<Item = io::Result<Pair>> + 'a>;

/// Where the bytes are. All functions wait: they are called by way of `access`.
pub trait Medium: Blocking + Debug + 'static {
    /// The value of a key.
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// The pairs of a range.
    fn range(&self, tree: Tree, range: RangeInclusive<&[u8]>) -> Pairs<'_>;

    /// Sets values and, where there is none, removes keys: all or none. What is written becomes durable in the order of
    /// the writes, at the next `sync` at the latest.
    fn write(&self, tree: Tree, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()>;

    /// Makes durable what was written.
    fn sync(&self) -> io::Result<()>;

    /// What a file holds, if it is there.
    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Puts a file in the place of the one that was, wholly or not at all. Durable when it returns.
    fn replace_file(&self, name: &str, parts: &[&[u8]]) -> io::Result<()>;

    /// How many bytes more it can hold, where that is known.
    fn room(&self) -> Option<u64> {
        None
    }
}

/// Makes an access where it may wait.
pub(super) async fn access<T: Send + 'static>(
    medium: &dyn Medium,
    access: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    blocking::call(medium, access).await.map_err(io::Error::other).flatten()
}
