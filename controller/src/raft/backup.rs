//! A backup: the table as one controller has it, in one file that needs nothing beside it.
//!
//! ```text
//! "replisome-backup 1\n" | format (1 byte) | postcard (of what it is, the table's bytes) | CRC-32 of all before
//! ```
//!
//! Secrets are not in the table, only references to them.

use common::ids::FleetId;
use serde::{Deserialize, Serialize};

use super::checksum;
use super::node::RaftNode;
use super::types::{decode, encode};
use crate::leader::now_ms;
use crate::state::State;

const FIRST_LINE: &[u8] = b"replisome-backup 1\n";

/// The table as one controller has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backup {
    /// What it is of.
    pub of: BackupOf,
    /// The table.
    pub(super) table: State,
}

/// What a backup is of, for people and for the log that goes on from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackupOf {
    /// The fleet.
    pub fleet: FleetId,
    /// The number of the last change in it.
    pub revision: u64,
    /// The controller that made it.
    pub node: u64,
    /// That one's term.
    pub term: u64,
    /// The last log index that it had applied.
    pub applied: u64,
    /// When, in milliseconds since the Unix epoch; for people.
    pub time_ms: i64,
    /// The software that wrote it.
    pub software: String,
}

/// Why a file is no backup that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is something else.
    #[error("it is no backup of this version: it does not begin with `replisome-backup 1`")]
    Foreign,
    /// Its checksum does not match.
    #[error("it is damaged or cut short: its checksum does not match; take another copy")]
    Damaged,
    /// Its form is not known.
    #[error("it can't be read: {0}")]
    Unreadable(std::io::Error),
}

impl RaftNode {
    /// The table as it is here and now; `None` while this node belongs to no fleet.
    pub fn backup(&self) -> Option<Backup> {
        if !self.standing().borrow().initialized {
            return None;
        }
        let (term, applied) = self.position();
        let table = self.log().read().clone();
        let of = BackupOf {
            fleet: table.fleet().clone(),
            revision: table.revision().0,
            node: self.0.own.node,
            term,
            applied,
            time_ms: now_ms(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Some(Backup { of, table })
    }
}

impl Backup {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = FIRST_LINE.to_vec();
        bytes.extend(encode(&(&self.of, encode(&self.table))));
        bytes.extend(checksum::of(&bytes));
        bytes
    }

    /// Whether a file with these bytes is meant to be a backup, whole or not.
    pub fn is_begun_by(bytes: &[u8]) -> bool {
        bytes.starts_with(FIRST_LINE)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// If it is not wholly what `to_bytes` made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BackupError> {
        if !Self::is_begun_by(bytes) {
            return Err(BackupError::Foreign);
        }
        let content = checksum::checked(bytes).ok_or(BackupError::Damaged)?;
        let (of, table): (BackupOf, Vec<u8>) = decode(&content[FIRST_LINE.len()..]).map_err(BackupError::Unreadable)?;
        Ok(Self { of, table: decode(&table).map_err(BackupError::Unreadable)? })
    }
}
