//! The offsets of one consumer group, read and stored without being its member.

use common::ids::TopicPartition;
use common::offsets::{LeaderEpoch, NextOffset};

use crate::error::Error;

/// A group's offset of one partition, as Kafka holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupOffset {
    /// The first offset not yet consumed.
    pub next_offset: NextOffset,
    /// The leader epoch stored beside it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The commit metadata.
    pub metadata: String,
}

/// A group's offsets on one cluster. Calls wait for the answer, up to the client's request timeout.
///
/// Nothing is fenced: whoever stores last wins. Comparing is the caller's part.
pub trait OffsetStore: Send {
    /// The offsets of these partitions, in the order asked; `None` where the group holds none.
    fn read(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<GroupOffset>>, Error>;

    /// Every offset that the group holds.
    fn read_all(&mut self) -> Result<Vec<(TopicPartition, GroupOffset)>, Error>;

    /// Stores offsets; one outcome for each, in the order given. A topic that does not exist fails alone.
    ///
    /// # Errors
    /// The whole call fails, with `GroupHasMembers` when the group has members.
    fn commit(&mut self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<Vec<Result<(), Error>>, Error>;
}
