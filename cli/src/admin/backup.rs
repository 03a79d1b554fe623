//! `replisome controller backup`: the fleet's table in a file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ::controller::raft::{Backup, BackupOf};
use proto::v1::BackupRequest;
use serde::Serialize;
use tonic::{Response, Status};

use super::{Admin, Fleet, print};
use crate::failure::{Exit, Failure};
use crate::output;

/// How much of a file shows whether it is a backup.
const HEAD_BYTES: u64 = 64;

/// A backup that was made, as scripts read it.
#[derive(Serialize)]
struct BackupRow {
    file: String,
    fleet: String,
    revision: u64,
    controller: u64,
    led: bool,
    bytes: usize,
}

/// A backup as it was sent.
struct Sent {
    bytes: Vec<u8>,
    led: bool,
    /// What is in it.
    of: BackupOf,
}

/// Makes a backup. Without a leader, of the newest table that any controller has.
pub async fn backup(fleet: Fleet, file: &Path) -> Result<(), Failure> {
    check_replaceable(file)?;
    let sent = match fleet.client.read(async |admin| fetch(admin, false).await).await {
        Err(failure) if failure.exit == Exit::NoController => {
            let newest = |sent: &Sent| sent.of.revision;
            let sent = fleet.client.survey(async |admin| fetch(admin, true).await, |sent| sent.led, newest, |_| None);
            sent.await.map_err(|_| failure)?
        }
        sent => sent?,
    };
    let failed = |error| Failure::failed(format!("{}: can't be written: {error}", file.display()));
    replace(file, &sent.bytes).map_err(failed)?;
    let Sent { bytes, led, of } = sent;
    if !led {
        output::note(format!(
            "note: no controller leads. This is the table of controller {}, the newest that was found: it may lack the \
             last changes",
            of.node
        ));
    }
    let row = BackupRow {
        file: file.display().to_string(),
        fleet: of.fleet.to_string(),
        revision: of.revision,
        controller: of.node,
        led,
        bytes: bytes.len(),
    };
    print::object(fleet.format, &row, || {
        let BackupRow { file, fleet, revision, bytes, .. } = &row;
        format!("fleet {fleet} saved to {file} as of revision {revision} ({bytes} bytes)")
    })
}

/// An older backup may be replaced, and an empty file; nothing else. What is no regular file is not even read: a pipe
/// would never end, and in the place of a device or a link a file would be put.
fn check_replaceable(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let failed = |error| Failure::failed(format!("{shown}: can't be replaced: {error}"));
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(Failure::conflict(format!("{shown}: is there and is no regular file: name another file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    let mut head = Vec::new();
    File::open(file).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)).map_err(failed)?;
    if head.is_empty() || Backup::is_begun_by(&head) {
        return Ok(());
    }
    Err(Failure::conflict(format!("{shown}: is there and is no backup: name another file, or remove it")))
}

/// Fetches it from one controller, and makes sure that it is whole.
async fn fetch(mut admin: Admin, unled: bool) -> Result<Response<Sent>, Status> {
    let mut pieces = admin.backup(BackupRequest { unled }).await?.into_inner();
    let (mut bytes, mut led) = (Vec::new(), false);
    while let Some(piece) = pieces.message().await? {
        bytes.extend(piece.bytes);
        led = piece.led;
    }
    let of = Backup::from_bytes(&bytes).map_err(|error| Status::internal(format!("the backup it sent: {error}")))?.of;
    Ok(Response::new(Sent { bytes, led, of }))
}

/// Puts the file there wholly or not at all, in place of the one that was.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = PathBuf::from(format!("{}.part", file.display()));
    let mut part = File::create(&beside)?;
    let replaced = part.write_all(bytes).and_then(|()| part.sync_all()).and_then(|()| fs::rename(&beside, file));
    if replaced.is_err() {
        // On a full disk it would only be in the way. The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"bytes").is_err());
        let left: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [taken]);
    }
}
