//! A cluster's administration, as one process sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::ids::{TopicName, TopicPartition};
use common::offsets::NextOffset;
use kafka::admin::{ClusterAdmin, GroupMember, NewTopic, OffsetQuery, TopicConfigs, TopicDescription};
use kafka::error::Error;

use super::View;

/// An administrator that may be cut off.
pub struct ViewedAdmin {
    pub(super) view: View,
    pub(super) cluster: String,
    pub(super) inner: Arc<dyn ClusterAdmin>,
}

impl ViewedAdmin {
    fn reached(&self) -> Result<&dyn ClusterAdmin, Error> {
        self.view.reach(&self.cluster)?;
        Ok(&*self.inner)
    }
}

impl ClusterAdmin for ViewedAdmin {
    fn cluster_id(&self) -> Result<Option<String>, Error> {
        self.reached()?.cluster_id()
    }

    fn topics(&self) -> Result<BTreeMap<TopicName, u32>, Error> {
        self.reached()?.topics()
    }

    fn describe_topics(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        self.reached()?.describe_topics(topics)
    }

    fn topic_configs(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicConfigs, Error>>, Error> {
        self.reached()?.topic_configs(topics)
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), Error> {
        self.reached()?.create_topic(topic)
    }

    fn grow_topic(&self, topic: &TopicName, partitions: u32) -> Result<(), Error> {
        self.reached()?.grow_topic(topic, partitions)
    }

    fn set_topic_configs(&self, topic: &TopicName, configs: &BTreeMap<String, String>) -> Result<(), Error> {
        self.reached()?.set_topic_configs(topic, configs)
    }

    fn offsets(&self, queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Result<NextOffset, Error>>, Error> {
        self.reached()?.offsets(queries)
    }

    fn group_members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        self.reached()?.group_members(group)
    }

    fn delete_group(&self, group: &str) -> Result<(), Error> {
        self.reached()?.delete_group(group)
    }
}
