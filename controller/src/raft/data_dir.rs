//! One data directory, opened: whose it is, its log, its snapshot; and what makes it unusable.
//!
//! ```text
//! DIR/store            whose it is: version, node id, store id
//! DIR/table.snapshot   the table at one place of the log
//! DIR/log/             sled's: the log behind that place, and the vote
//! ```

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::medium::Medium;
use super::settings::OpenError;
use super::sled_dir::SledDir;
use super::snapshot_file::SnapshotFile;
use super::store_id::StoreId;
use super::types::Held;

/// What to do when a directory is lost. A node that comes back empty under its old id could vote twice in a term.
pub(super) const LOST: &str = "if the old directory is lost, leave this controller stopped: the fleet decides with a \
                               majority of the others, and its node id must not come back empty";

/// One data directory. Locked until both `disk` and `file` are dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    pub id: StoreId,
    pub disk: Disk,
    pub file: SnapshotFile,
    /// What the snapshot file holds.
    pub held: Option<Held>,
}

impl DataDir {
    /// Opens a directory for a node, or makes it. Blocks.
    pub fn open(dir: &Path, node: u64) -> Result<Self, OpenError> {
        fs::create_dir_all(dir).map_err(|error| OpenError::Io { dir: dir.to_owned(), doing: "making it", error })?;
        if StoreId::exists(dir) && !SledDir::exists(dir) {
            // Going on with an empty log under the same store id would forget votes that were given.
            let problem = format!("its log is gone, only its other files are there: put it back; {LOST}");
            return Err(OpenError::Refused { dir: dir.to_owned(), problem });
        }
        Self::on(Arc::new(SledDir::open(dir)?), dir, node)
    }

    /// Opens what a medium holds for a node, or makes it. Blocks. `dir` is what people know it by.
    pub fn on(medium: Arc<dyn Medium>, dir: &Path, node: u64) -> Result<Self, OpenError> {
        let io = |doing| move |error| OpenError::Io { dir: dir.to_owned(), doing, error };
        let refuse = |problem: String| Err(OpenError::Refused { dir: dir.to_owned(), problem });
        let disk = Disk { medium: medium.clone() };
        let last = disk.last().map_err(io("reading its log"))?;
        let id = match StoreId::read(&*medium, dir)? {
            Some(id) => id,
            None if last.is_some() || disk.vote().map_err(io("reading its vote"))?.is_some() => {
                return refuse(format!("its file `store` is gone, but its log is not empty: put it back; {LOST}"));
            }
            None => StoreId::create(&*medium, dir, node)?,
        };
        if id.node != node {
            return refuse(format!(
                "it was made for controller {}, but this is controller {node}: correct node-id or data-dir",
                id.node
            ));
        }
        let (file, held) = match SnapshotFile::open(medium) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return refuse(format!("its snapshot can't be read ({error}): put a good copy back; {LOST}"));
            }
            Err(error) => return Err(io("reading its snapshot")(error)),
        };
        let covered = held.as_ref().and_then(|(meta, _)| meta.last_log_id);
        if disk.purged().map_err(io("reading its log"))? > covered {
            return refuse(format!("its log goes on behind a snapshot that is gone or older: put that back; {LOST}"));
        }
        Ok(Self { id, disk, file, held })
    }
}
