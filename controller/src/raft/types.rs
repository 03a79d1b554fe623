//! What openraft is told about our log: entries, answers, members; and the form in which they are kept.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::state::{Envelope, Outcome, Rejection};

openraft::declare_raft_types!(
    /// The log's types.
    pub(super) Types:
        D = Batch,
        R = Vec<Result<Outcome, Rejection>>,
        NodeId = u64,
        Node = Member,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        Responder = openraft::impls::OneshotResponder<Types>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// A running openraft.
pub(super) type Raft = openraft::Raft<Types>;
/// One entry of the log.
pub(super) type Entry = openraft::Entry<Types>;
/// The place of an entry: term, leader and index.
pub(super) type LogId = openraft::LogId<u64>;
/// For whom this node voted last.
pub(super) type Vote = openraft::Vote<u64>;
/// What a snapshot covers.
pub(super) type SnapshotMeta = openraft::SnapshotMeta<u64, Member>;
/// A snapshot as it is kept: what it covers, and the table's bytes.
pub(super) type Held = (SnapshotMeta, Vec<u8>);
/// Who belongs to the fleet, and since which entry.
pub(super) type StoredMembership = openraft::StoredMembership<u64, Member>;
/// The same as openraft goes by it.
pub(super) type EffectiveMembership = openraft::EffectiveMembership<u64, Member>;
/// A disk that failed, as openraft wants it: it stops for good then.
pub(super) type StorageError = openraft::StorageError<u64>;
/// What openraft shows of itself.
pub(super) type Metrics = openraft::RaftMetrics<u64, Member>;

/// What one entry carries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The commands, applied in this order.
    pub envelopes: Vec<Envelope>,
    /// Set once this very batch went to this node's log: openraft answers "forward to the leader" both for what it never
    /// took and for what another leader overwrote here, and only the first is certain not to happen.
    #[serde(skip)]
    logged: Arc<AtomicBool>,
}

impl Batch {
    pub fn new(envelopes: Vec<Envelope>) -> Self {
        Self { envelopes, logged: Arc::default() }
    }

    /// Tells what becomes of the batch after it was given away.
    pub fn logged(&self) -> Arc<AtomicBool> {
        self.logged.clone()
    }

    /// It is about to be appended here.
    pub fn mark_logged(&self) {
        self.logged.store(true, Ordering::Release);
    }
}

/// A member of the fleet, as the membership records it.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Where its peers reach it.
    pub address: String,
    /// The id of its data directory.
    pub store: String,
}

/// The version of the form of everything that is kept or sent, and of what a command means: all controllers make the same table
/// of one log.
pub(super) const FORMAT: u8 = 7;

/// A value as it is kept: the version of the form, then postcard's encoding.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, vec![FORMAT]).expect("what is kept has no map of unknown length and no borrowed writer")
}

/// Reads what `encode` wrote.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> std::io::Result<T> {
    let invalid = |text| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|error| invalid(error.to_string())),
        Some((format, _)) => {
            let text = format!(
                "it was written in format {format}, and this version of replisome reads format {FORMAT}; nothing was changed: \
                 use the version that wrote it"
            );
            Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text))
        }
        None => Err(invalid("it is empty".to_owned())),
    }
}
