//! What can go wrong between us and a cluster, sorted by what a caller can do about it.

use std::fmt;

/// A failed request, with the client's own words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What was being done and what the client said; no secrets.
    pub text: String,
}

/// Failures by their remedy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// No broker could be reached, or none answered in time. Passes by itself.
    Unreachable,
    /// The brokers refuse our credentials.
    Authentication,
    /// We lack a right on a topic.
    TopicDenied,
    /// We lack a right on the group.
    GroupDenied,
    /// We lack a right on the cluster.
    ClusterDenied,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// The topic exists already.
    TopicExists,
    /// The group has members, so offsets cannot be committed from outside.
    GroupHasMembers,
    /// The record is larger than the target takes.
    RecordTooLarge,
    /// The record's timestamp is outside the target's window.
    InvalidTimestamp,
    /// The record is refused for another reason of its own (no key on a compacted topic, a policy).
    InvalidRecord,
    /// The offset to read does not exist (any more).
    OffsetOutOfRange,
    /// The source's log was truncated below what was read.
    Truncated,
    /// The producer cannot go on: it must be thrown away and its unacknowledged records read again.
    ProducerFatal,
    /// The record was thrown away unsent because its producer was.
    Purged,
    /// The client's own queue is full.
    QueueFull,
    /// The cluster lacks this request.
    Unsupported,
    /// A setting is wrong.
    Config,
    /// The value of a topic setting is refused by the cluster.
    InvalidConfig,
    /// Anything else that may pass.
    Other,
}

impl Error {
    /// An error of `kind` with a text.
    pub fn new(kind: ErrorKind, text: impl fmt::Display) -> Self {
        Self { kind, text: text.to_string() }
    }

    /// Whether the same request may succeed later without anyone's doing.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Unreachable | ErrorKind::QueueFull | ErrorKind::Other => true,
            ErrorKind::Authentication
            | ErrorKind::TopicDenied
            | ErrorKind::GroupDenied
            | ErrorKind::ClusterDenied
            | ErrorKind::UnknownTopic
            | ErrorKind::TopicExists
            | ErrorKind::GroupHasMembers
            | ErrorKind::RecordTooLarge
            | ErrorKind::InvalidTimestamp
            | ErrorKind::InvalidRecord
            | ErrorKind::OffsetOutOfRange
            | ErrorKind::Truncated
            | ErrorKind::ProducerFatal
            | ErrorKind::Purged
            | ErrorKind::Unsupported
            | ErrorKind::Config
            | ErrorKind::InvalidConfig => false,
        }
    }
}
