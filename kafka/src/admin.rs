//! What a cluster says about itself, and the few changes we make to it. Calls wait for the answer, up to the client's
//! request timeout, and can be made from any thread.

use std::collections::BTreeMap;

use common::ids::{TopicId, TopicName, TopicPartition};
use common::offsets::NextOffset;

use crate::error::Error;

/// The administration of one cluster.
pub trait ClusterAdmin: Send + Sync {
    /// The cluster's id: two clients with the same answer speak to the same cluster. `None` where there is none.
    fn cluster_id(&self) -> Result<Option<String>, Error>;

    /// Every topic we may see, with its partition count.
    fn topics(&self) -> Result<BTreeMap<TopicName, u32>, Error>;

    /// Describes topics, in the order asked. A topic that is missing or denied fails alone.
    fn describe_topics(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicDescription, Error>>, Error>;

    /// The settings of topics, in the order asked. A topic that is missing or denied fails alone.
    fn topic_configs(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicConfigs, Error>>, Error>;

    /// Creates a topic with the cluster's own replication factor.
    fn create_topic(&self, topic: &NewTopic) -> Result<(), Error>;

    /// Grows a topic to `partitions` in all.
    fn grow_topic(&self, topic: &TopicName, partitions: u32) -> Result<(), Error>;

    /// Sets single settings of a topic and leaves all others (KIP-339).
    fn set_topic_configs(&self, topic: &TopicName, configs: &BTreeMap<String, String>) -> Result<(), Error>;

    /// Looks offsets up, in the order asked, within about five seconds in all. A partition that is missing or denied, or
    /// whose leader does not answer (`Unreachable`), fails alone: what is returned as an offset was told by the leader.
    fn offsets(&self, queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Result<NextOffset, Error>>, Error>;

    /// The live members of a consumer group; empty when there are none or the group is unknown.
    fn group_members(&self, group: &str) -> Result<Vec<GroupMember>, Error>;

    /// Deletes a consumer group with its offsets (KIP-229). One that does not exist is deleted already; one with members
    /// is refused (`GroupHasMembers`).
    fn delete_group(&self, group: &str) -> Result<(), Error>;
}

/// A topic as its cluster describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicDescription {
    /// Its id; nil where the cluster has none.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// Whether we may read it; true where the cluster does not tell.
    pub may_read: bool,
    /// Whether we may write it; true where the cluster does not tell.
    pub may_write: bool,
}

/// A topic's settings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicConfigs(pub BTreeMap<String, TopicConfig>);

/// One setting of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicConfig {
    /// The value in force; `None` where it is hidden.
    pub value: Option<String>,
    /// Whether it was set on this very topic, not inherited from the cluster or a default.
    pub is_override: bool,
}

impl TopicConfigs {
    /// The value in force.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.value.as_deref()
    }
}

/// A topic to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions.
    pub partitions: u32,
    /// Settings of its own.
    pub configs: BTreeMap<String, String>,
}

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetQuery {
    /// The first one the cluster still has.
    Earliest,
    /// One past the last record that a reader of committed records can see.
    LastStable,
    /// One past the last record, open transactions included.
    HighWatermark,
    /// The first record with this timestamp (milliseconds since the Unix epoch) or a later one; the last stable offset
    /// if there is none.
    Time(i64),
}

/// A live member of a consumer group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMember {
    /// The id the broker gave it.
    pub member_id: String,
    /// Its own name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}
