//! Two embedded clusters with the same empty topics on both.

use std::time::Duration;

use common::ids::{Partition, TopicName, TopicPartition};
use kafka::librdkafka::mock::{EmbeddedCluster, PlainReader, PlainWriter};

use crate::failure::Failure;

/// The source cluster's name in the fleet.
pub const SOURCE: &str = "west";
/// The target cluster's name in the fleet.
pub const TARGET: &str = "east";
/// The route between them.
pub const ROUTE: &str = "west-east";

/// The topics that the route copies by its filter, with their partitions …
pub const FILTERED: [(&str, u32); 2] = [("orders", 12), ("payments", 6)];
/// … and the one that is added by name.
pub const ADDED: (&str, u32) = ("clicks", 6);

/// Both clusters. They stay on the thread that built them.
pub struct Scene {
    source: EmbeddedCluster,
    target: EmbeddedCluster,
}

impl Scene {
    /// Starts both clusters and creates all topics on both: these brokers let no client create one.
    pub fn build() -> Result<Self, Failure> {
        let scene = Self { source: EmbeddedCluster::start()?, target: EmbeddedCluster::start()? };
        for (topic, partitions) in topics() {
            scene.source.create_topic(&topic_name(topic), partitions)?;
            scene.target.create_topic(&topic_name(topic), partitions)?;
        }
        Ok(scene)
    }

    /// Each cluster's name in the fleet and where it listens.
    pub fn addresses(&self) -> [(&'static str, String); 2] {
        [(SOURCE, self.source.bootstrap_servers()), (TARGET, self.target.bootstrap_servers())]
    }

    /// A writer to the source, which gathers records for `linger`.
    pub fn writer(&self, linger: Duration) -> Result<PlainWriter, Failure> {
        Ok(self.source.writer(linger)?)
    }

    /// A reader of the whole source.
    pub fn source_reader(&self) -> Result<PlainReader, Failure> {
        Ok(self.source.reader(&partitions())?)
    }

    /// A reader of the whole target.
    pub fn target_reader(&self) -> Result<PlainReader, Failure> {
        Ok(self.target.reader(&partitions())?)
    }
}

/// All topics with their partitions.
pub fn topics() -> impl Iterator<Item = (&'static str, u32)> {
    FILTERED.into_iter().chain([ADDED])
}

/// All partitions of all topics.
pub fn partitions() -> Vec<TopicPartition> {
    topics().flat_map(|(topic, count)| partitions_of(topic, count)).collect()
}

/// The partitions of one topic.
pub fn partitions_of(topic: &str, count: u32) -> impl Iterator<Item = TopicPartition> {
    let topic = topic_name(topic);
    (0..count).map(move |partition| TopicPartition::new(topic.clone(), Partition(partition)))
}

fn topic_name(topic: &str) -> TopicName {
    TopicName::new(topic).expect("the demo's topics have legal names")
}

impl From<kafka::error::Error> for Failure {
    fn from(error: kafka::error::Error) -> Self {
        Self::failed(error)
    }
}
