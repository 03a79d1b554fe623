//! Why a partition is not being copied, in words a person can act on. One enum, so that the log, the table, the
//! metrics and the exit code speak of the same thing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, SessionId, TopicId, TopicName};
use crate::offsets::NextOffset;

/// Which of the two clusters of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The cluster that is read.
    Source,
    /// The cluster that is written.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Why a partition stands still. `kind` is stable for scripts, `Display` is for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The record does not fit the target topic's `max.message.bytes`.
    RecordTooLarge {
        /// Source offset of the record.
        offset: i64,
        /// Its size as the target would count it, in bytes.
        size: u64,
        /// The target topic's limit, in bytes.
        limit: u64,
    },
    /// The record's timestamp lies outside the window the target topic accepts.
    TimestampRefused {
        /// Source offset of the record.
        offset: i64,
        /// Its timestamp in milliseconds since the Unix epoch.
        timestamp_ms: i64,
        /// The target topic's setting that refuses it.
        setting: String,
    },
    /// The record has no key, and the target topic is compacted.
    KeyMissing {
        /// Source offset of the record.
        offset: i64,
    },
    /// The target refused the record for a cause that could not be foreseen.
    RecordRefused {
        /// Source offset of the record.
        offset: i64,
        /// What the target said.
        error: String,
    },
    /// The client may not read (source) or write (target) the topic.
    Denied {
        /// Where.
        side: Side,
    },
    /// The topic, or this partition of it, does not exist.
    TopicMissing {
        /// Where.
        side: Side,
    },
    /// The topic was deleted and created again: another topic under the same name.
    TopicRecreated {
        /// Where.
        side: Side,
        /// The id of the topic the stored offset speaks of.
        expected: TopicId,
        /// The id it has now.
        found: TopicId,
    },
    /// The stored offset was written by another fleet or by another incarnation of the route.
    ForeignOffset {
        /// What differs.
        text: String,
    },
    /// The source no longer has the records that come next (retention or deletion), or never had them.
    OutOfRange {
        /// The first offset that was to be read.
        next: NextOffset,
        /// The first offset the source has.
        log_start: NextOffset,
        /// One past the last offset the source has.
        log_end: NextOffset,
    },
    /// The source lost records that were already copied (an unclean leader election).
    Truncated {
        /// The first offset that was to be read.
        next: NextOffset,
        /// One past the last offset the source has now.
        log_end: NextOffset,
    },
    /// Another owner stored an offset under a greater epoch, or the same epoch and a newer session.
    Superseded {
        /// Its epoch.
        epoch: Epoch,
        /// Its session, where it names one.
        session: Option<SessionId>,
    },
    /// Members of a consumer group hold the group, so the broker refuses our offsets.
    GroupHasMembers,
    /// The target topic has fewer partitions than the source.
    TooFewPartitions {
        /// The target topic.
        topic: TopicName,
        /// What the source has.
        source: u32,
        /// What the target has.
        target: u32,
    },
    /// The cluster could not be reached or did not answer.
    Unreachable {
        /// Which.
        side: Side,
        /// What the client said.
        error: String,
    },
    /// The topic waits for an operator or for a fact; the text says which.
    Waiting {
        /// What it waits for.
        text: String,
    },
    /// An operator paused it.
    Paused,
}

impl Reason {
    /// Whether the partition goes on by itself once the cause is gone. The others need a person's decision, since going
    /// on would lose or repeat records.
    pub fn heals(&self) -> bool {
        match self {
            Self::RecordTooLarge { .. }
            | Self::TimestampRefused { .. }
            | Self::KeyMissing { .. }
            | Self::RecordRefused { .. }
            | Self::Denied { .. }
            | Self::TopicMissing { .. }
            | Self::GroupHasMembers
            | Self::TooFewPartitions { .. }
            | Self::Unreachable { .. }
            | Self::Waiting { .. } => true,
            Self::TopicRecreated { .. }
            | Self::ForeignOffset { .. }
            | Self::OutOfRange { .. }
            | Self::Truncated { .. }
            | Self::Superseded { .. }
            | Self::Paused => false,
        }
    }

    /// A stable word for metrics and scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RecordTooLarge { .. } => "record-too-large",
            Self::TimestampRefused { .. } => "timestamp-refused",
            Self::KeyMissing { .. } => "key-missing",
            Self::RecordRefused { .. } => "record-refused",
            Self::Denied { .. } => "denied",
            Self::TopicMissing { .. } => "topic-missing",
            Self::TopicRecreated { .. } => "topic-recreated",
            Self::ForeignOffset { .. } => "foreign-offset",
            Self::OutOfRange { .. } => "out-of-range",
            Self::Truncated { .. } => "truncated",
            Self::Superseded { .. } => "superseded",
            Self::GroupHasMembers => "group-has-members",
            Self::TooFewPartitions { .. } => "too-few-partitions",
            Self::Unreachable { .. } => "unreachable",
            Self::Waiting { .. } => "waiting",
            Self::Paused => "paused",
        }
    }

    /// Whether a record was refused: what `--abort.on.send.failure` listens for.
    pub fn is_refused_record(&self) -> bool {
        matches!(
            self,
            Self::RecordTooLarge { .. }
                | Self::TimestampRefused { .. }
                | Self::KeyMissing { .. }
                | Self::RecordRefused { .. }
                | Self::Denied { side: Side::Target }
                | Self::TopicMissing { side: Side::Target }
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordTooLarge { offset, size, limit } => write!(
                f,
                "the record at offset {offset} takes {size} bytes, the target topic's max.message.bytes is {limit}; \
                 raise it on the target topic"
            ),
            Self::TimestampRefused { offset, timestamp_ms, setting } => write!(
                f,
                "the record at offset {offset} has timestamp {timestamp_ms}, which the target topic refuses \
                 ({setting}) by the worker's clock; change the setting on the target topic, or set the clock right"
            ),
            Self::KeyMissing { offset } => write!(
                f,
                "the record at offset {offset} has no key and the target topic is compacted; set cleanup.policy=delete \
                 on the target topic"
            ),
            Self::RecordRefused { offset, error } => {
                write!(
                    f,
                    "the target refused the record at offset {offset} or one close behind it: {error}; it is tried again once \
                     the target topic's settings change, and now and then"
                )
            }
            Self::Denied { side: Side::Source } => {
                f.write_str("the source denies Read and Describe on the topic; grant them")
            }
            Self::Denied { side: Side::Target } => {
                f.write_str("the target denies Write and Describe on the topic; grant them")
            }
            Self::TopicMissing { side } => {
                write!(f, "the {side} topic or partition does not exist; it goes on once that does")
            }
            Self::TopicRecreated { side, expected, found } => write!(
                f,
                "the {side} topic was deleted and created again (id {expected} before, {found} now); --continue accepts \
                 the new one"
            ),
            Self::ForeignOffset { text } => {
                write!(f, "the stored offset belongs to something else ({text}); --continue accepts it")
            }
            Self::OutOfRange { next, log_start, log_end } if next < log_start => write!(
                f,
                "the source deleted offsets {next} to {} before they were copied: {} offsets are gone, the source now \
                 holds {log_start} to {log_end}; decide with kafka-consumer-groups --reset-offsets",
                log_start.0 - 1,
                log_start.0 - next.0
            ),
            Self::OutOfRange { next, log_start, log_end } => write!(
                f,
                "next offset {next} lies past the end of the source, which holds {log_start} to {log_end}; decide with \
                 kafka-consumer-groups --reset-offsets"
            ),
            Self::Truncated { next, log_end } => write!(
                f,
                "the source lost records that were copied before offset {next} (an unclean leader election), its log now \
                 ends at {log_end}; decide with kafka-consumer-groups --reset-offsets"
            ),
            Self::Superseded { epoch, session: Some(session) } => {
                write!(f, "session {session} took the partition over under epoch {epoch}")
            }
            Self::Superseded { epoch, session: None } => {
                write!(f, "another owner took the partition over under epoch {epoch}")
            }
            Self::GroupHasMembers => {
                f.write_str("the consumer group has members, so its offsets can't be stored; stop them")
            }
            Self::TooFewPartitions { topic, source, target } => write!(
                f,
                "the target topic's partitions are {target}, the source's {source}; add them with kafka-topics \
                 --bootstrap-server TARGET --alter --topic {topic} --partitions {source}"
            ),
            Self::Unreachable { side, error } => write!(f, "the {side} cluster does not answer, or refuses: {error}"),
            Self::Waiting { text } => f.write_str(text),
            Self::Paused => f.write_str("paused by an operator"),
        }
    }
}
