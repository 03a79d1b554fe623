//! Reading: partitions assigned by hand, records in the order of their offsets.

use std::time::Duration;

use common::ids::TopicPartition;
use common::offsets::{NextOffset, Position};

use crate::error::Error;
use crate::record::{Record, Slot};

/// A consumer that is no member of any group. One thread uses it.
///
/// Reads committed records only. Never resets an offset on its own: a position that does not exist (any more) is an
/// error of that partition. After an error of a partition nothing more comes from it until it is assigned again.
pub trait Source: Send {
    /// Starts reading partitions, each from its position. A slot that is assigned already moves to the new position;
    /// records read ahead from the old one never appear. Returns within milliseconds for a topic that is known and
    /// never waits for a broker that does not answer: errors of a partition come from `poll`.
    fn assign(&mut self, assignments: &[(Slot, TopicPartition, Position)]) -> Result<(), Error>;

    /// Stops reading a partition and forgets what was read ahead. Unknown slots are ignored.
    fn unassign(&mut self, slots: &[Slot]) -> Result<(), Error>;

    /// Keeps a partition's records back until `resume`; what was read ahead of it is fetched again.
    fn pause(&mut self, slot: Slot) -> Result<(), Error>;

    /// Goes on with a paused partition where it stood.
    fn resume(&mut self, slot: Slot) -> Result<(), Error>;

    /// The next thing that happened, waiting for it up to `wait`.
    fn poll(&mut self, wait: Duration) -> Option<Polled<'_>>;
}

/// What a poll can return.
#[derive(Debug)]
pub enum Polled<'a> {
    /// A record.
    Record {
        /// Of which partition.
        slot: Slot,
        /// The record, valid until the next poll.
        record: Record<'a>,
    },
    /// Everything readable of a partition was returned. Comes again each time the end is reached anew.
    End {
        /// Of which partition.
        slot: Slot,
        /// Where the reader stands: past control records, aborted transactions and compacted holes.
        position: NextOffset,
    },
    /// A partition cannot be read on (see `ErrorKind`), or, without a slot, the cluster is in trouble.
    Failed {
        /// Of which partition; `None` when it concerns the client as a whole, which goes on trying.
        slot: Option<Slot>,
        /// Why.
        error: Error,
    },
}

/// How much a source may read ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceBounds {
    /// Bytes of records read ahead, over all partitions.
    pub queued_bytes: usize,
}
