//! Positions in a partition. Kafka's off-by-one lives here and nowhere else: we only ever speak of the *next* offset.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first offset not yet dealt with: one past the last record, as Kafka stores it for a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NextOffset(pub i64);

impl NextOffset {
    /// The start of a partition that has lost nothing.
    pub const ZERO: Self = Self(0);

    /// The next offset once the record at `offset` is dealt with.
    pub fn after(offset: i64) -> Self {
        Self(offset + 1)
    }

    /// Records from here up to `end`, never below zero. Compaction and control records make it an upper bound.
    pub fn lag_to(self, end: NextOffset) -> u64 {
        u64::try_from(end.0 - self.0).unwrap_or(0)
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An offset, or none: half as large as an `Option` of one, for what is kept of each partition of a fleet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "Option<NextOffset>", into = "Option<NextOffset>")]
pub struct OptionalOffset(i64);

impl OptionalOffset {
    /// No offset.
    pub const NONE: Self = Self(-1);

    /// The offset, if there is one.
    pub fn get(self) -> Option<NextOffset> {
        (self.0 >= 0).then_some(NextOffset(self.0))
    }
}

impl From<Option<NextOffset>> for OptionalOffset {
    fn from(offset: Option<NextOffset>) -> Self {
        offset.filter(|offset| offset.0 >= 0).map_or(Self::NONE, |offset| Self(offset.0))
    }
}

impl From<OptionalOffset> for Option<NextOffset> {
    fn from(offset: OptionalOffset) -> Self {
        offset.get()
    }
}

/// The source leader's epoch of a record (KIP-320): stored with the offset, it lets the broker detect truncation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaderEpoch(pub i32);

/// A place to read on from: the offset and, where known, the epoch of the leader that wrote the record before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    /// The first offset to read.
    pub next_offset: NextOffset,
    /// The epoch of the last record read, if one is known.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Position {
    /// A position whose leader epoch is not known.
    pub fn at(next_offset: NextOffset) -> Self {
        Self { next_offset, leader_epoch: None }
    }
}

/// Where a partition without a stored offset begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartPosition {
    /// At the first record the source still has.
    Earliest,
    /// After the last record the source has when the partition is first seen.
    Latest,
    /// At this offset.
    Offset(NextOffset),
    /// At the first record whose timestamp is this or later, in milliseconds since the Unix epoch.
    Time(i64),
}

impl fmt::Display for StartPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Offset(offset) => write!(f, "offset {offset}"),
            Self::Time(ms) => write!(f, "time {ms} ms"),
        }
    }
}
