//! A data directory made from a backup: of a fleet of this one controller, which then grows as any other.
//!
//! The log of the restored fleet begins in a term beyond all that the lost one can have had. So a controller of the lost
//! fleet that is started again is told by the restored one that it was removed, as by any later membership without it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use openraft::{CommittedLeaderId, Membership};

use super::backup::{Backup, BackupOf};
use super::disk::Disk;
use super::medium::Medium;
use super::settings::{OpenError, RaftSettings};
use super::sled_dir::SledDir;
use super::snapshot_file::SnapshotFile;
use super::store_id::StoreId;
use super::types::{LogId, Member, SnapshotMeta, StoredMembership, Vote, encode};
use crate::leader::now_ms;
use crate::state::beyond;

/// Who restores, as the table has it: whoever can write to the directory.
const ACTOR: &str = "controller restore";
/// What some file systems have at their root.
const NOT_OURS: &str = "lost+found";

/// Makes the data directory of a controller from a backup. It must not be there yet, or be empty. The file `store` comes
/// last: without it, what an interrupted attempt left is refused at the start. Blocks.
///
/// # Errors
/// With the directory and what to do about it.
pub fn restore(settings: &RaftSettings, backup: Backup) -> Result<BackupOf, OpenError> {
    settings.validate()?;
    let dir = &settings.dir;
    let io = |doing| move |error| OpenError::Io { dir: dir.clone(), doing, error };
    if !is_empty(dir).map_err(io("looking into it"))? {
        let problem = "it is not empty, and a backup is restored into an empty one: name another data-dir, or move what is \
                       in it away";
        return Err(OpenError::Refused { dir: dir.clone(), problem: problem.to_owned() });
    }
    write(settings, backup).or_else(|error| {
        if matches!(error, OpenError::InUse { .. }) {
            return Err(error);
        }
        // What is half made can't be started, nor restored into.
        clear(dir).map_err(io("removing what was begun"))?;
        Err(match error {
            OpenError::Io { doing, error, .. } => OpenError::NotMade { dir: dir.clone(), doing, error },
            other => other,
        })
    })
}

/// Makes it. What it opens is closed afterwards, whatever came of it.
fn write(settings: &RaftSettings, backup: Backup) -> Result<BackupOf, OpenError> {
    let dir = &settings.dir;
    let io = |doing| move |error| OpenError::Io { dir: dir.clone(), doing, error };
    let Backup { of, mut table } = backup;
    let time_ms = now_ms();
    table.restore(time_ms, ACTOR);
    let (id, term) = (StoreId::generate(settings.node), beyond(of.term, time_ms));
    let last = LogId { leader_id: CommittedLeaderId::new(term, id.node), index: of.applied };
    let member = Member { address: settings.advertise.clone(), store: id.store.clone() };
    let membership = Membership::new(vec![[id.node].into()], BTreeMap::from([(id.node, member)]));
    let meta = SnapshotMeta {
        last_log_id: Some(last),
        last_membership: StoredMembership::new(Some(last), membership),
        snapshot_id: last.to_string(),
    };
    let medium: Arc<dyn Medium> = Arc::new(SledDir::open(dir)?);
    let disk = Disk::open(medium.clone()).map_err(io("opening its log"))?;
    disk.save_vote(&Vote::new(term, id.node)).map_err(io("writing its vote"))?;
    let (file, _) = SnapshotFile::open(medium.clone()).map_err(io("looking for a table"))?;
    file.save(&meta, &encode(&table)).map_err(io("writing the table"))?;
    disk.purge(last).map_err(io("writing where its log begins"))?;
    id.save(&*medium, dir)?;
    Ok(of)
}

/// Empties a directory that held nothing before.
fn clear(dir: &Path) -> io::Result<()> {
    let files = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        match file.file_type()?.is_dir() {
            _ if file.file_name() == NOT_OURS => {}
            true => fs::remove_dir_all(file.path())?,
            false => fs::remove_file(file.path())?,
        }
    }
    Ok(())
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut files) => Ok(files.all(|file| file.is_ok_and(|file| file.file_name() == NOT_OURS))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
