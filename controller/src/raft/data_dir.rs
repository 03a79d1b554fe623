//! One data directory, opened: whose it is, its log, its snapshot; and what makes it unusable.
//!
//! ```text
//! DIR/store            whose it is: version, node id, store id
//! DIR/table.snapshot   the table at one place of the log
//! DIR/log/             sled's: the log behind that place, and the vote
//! DIR/syncs            how often that was made durable
//! ```

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::disk::Disk;
use super::medium::Medium;
use super::settings::OpenError;
use super::sled_dir::SledDir;
use super::snapshot_file::SnapshotFile;
use super::store_id::StoreId;
use super::types::Held;
use super::watched::{Health, Watched};

/// What to do when a node's directory is lost. The fleet must forget the old one first: a node that comes back empty could
/// vote twice in a term.
pub(super) fn lost(node: u64) -> String {
    format!(
        "if it is lost for good, the others take this controller out and in again: replisome controller remove {node}; \
         then start it with an empty data directory, and: replisome controller add {node} --address HOST:PORT"
    )
}

/// What is wrong with a directory that has no log, but other files of a controller.
pub(super) fn log_is_gone(node: u64) -> String {
    format!("its log is gone, only its other files are there: put it back; {}", lost(node))
}

/// What is wrong with a controller whose data directory is not the one that its fleet knows, and what to do about it.
pub(super) fn mistaken_for(node: u64, known: &str, own: &str) -> String {
    format!(
        "the fleet knows controller {node} with another data directory: store {known}, this one is {own}. It was lost or \
         exchanged, and counts for nothing. Put the old directory back; {}",
        lost(node)
    )
}

/// One data directory. Locked until both `disk` and `file` are dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    pub id: StoreId,
    pub disk: Disk,
    pub file: SnapshotFile,
    /// What the snapshot file holds.
    pub held: Option<Held>,
    /// How the disk does.
    pub health: Arc<Health>,
}

/// How often it is measured at the start how long the disk takes to make something durable …
const PROBES: usize = 20;
/// … as long as that takes no longer than this.
const PROBING_MAX: Duration = Duration::from_secs(2);

impl DataDir {
    /// Opens a directory for a node, or makes it. Blocks.
    pub fn open(dir: &Path, node: u64) -> Result<Self, OpenError> {
        fs::create_dir_all(dir).map_err(|error| OpenError::Io { dir: dir.to_owned(), doing: "making it", error })?;
        if StoreId::exists(dir) && !SledDir::exists(dir) {
            // Going on with an empty log under the same store id would forget votes that were given.
            return Err(OpenError::Refused { dir: dir.to_owned(), problem: log_is_gone(node) });
        }
        Self::on(Arc::new(SledDir::open(dir)?), dir, node)
    }

    /// Opens what a medium holds for a node, or makes it. Blocks. `dir` is what people know it by.
    pub fn on(medium: Arc<dyn Medium>, dir: &Path, node: u64) -> Result<Self, OpenError> {
        let io = |doing| move |error| OpenError::Io { dir: dir.to_owned(), doing, error };
        let refuse = |problem: String| Err(OpenError::Refused { dir: dir.to_owned(), problem });
        let watched = Watched::new(medium);
        let health = watched.health.clone();
        let medium: Arc<dyn Medium> = Arc::new(watched);
        let disk = Disk::open(medium.clone()).map_err(io("reading its log"))?;
        let last = disk.last().map_err(io("reading its log"))?;
        let id = match StoreId::read(&*medium, dir, node)? {
            Some(id) => id,
            None if last.is_some() || disk.vote().map_err(io("reading its vote"))?.is_some() => {
                let problem = "its file `store` is gone, but its log is not empty: put it back";
                return refuse(format!("{problem}; {}", lost(node)));
            }
            None => {
                let id = StoreId::generate(node);
                id.save(&*medium, dir)?;
                id
            }
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
                return refuse(format!("its snapshot can't be read ({error}): put a good copy back; {}", lost(node)));
            }
            Err(error) => return Err(io("reading its snapshot")(error)),
        };
        let covered = held.as_ref().and_then(|(meta, _)| meta.last_log_id);
        if disk.purged().map_err(io("reading its log"))? > covered {
            let problem = "its log goes on behind a snapshot that is gone or older: put that back";
            return refuse(format!("{problem}; {}", lost(node)));
        }
        Ok(Self { id, disk, file, held, health })
    }

    /// Measures how long it takes to make something durable: a few times, and not for long. Blocks.
    pub fn measure(&self, dir: &Path) -> Result<(), OpenError> {
        let start = Instant::now();
        for _ in 0..PROBES {
            self.disk.probe().map_err(|error| OpenError::Io { dir: dir.to_owned(), doing: "writing to it", error })?;
            if start.elapsed() > PROBING_MAX {
                break;
            }
        }
        Ok(())
    }
}
