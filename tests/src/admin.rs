//! Administration of a cluster under test through rdkafka: quick, for hot use. Owns the settings every test client
//! starts from; never goes through the project's own Kafka code.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::wait;

/// How long one call may take; a stalled broker makes the test fail, not hang.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Where a group stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What was committed beside it.
    pub metadata: String,
}

/// What every client of the tests starts from.
pub fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("allow.auto.create.topics", "false");
    config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "200");
    config.set_log_level(RDKafkaLogLevel::Emerg);
    config
}

/// An administrator of one cluster.
pub struct Admin {
    bootstrap: String,
    client: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

impl Admin {
    /// An administrator of the cluster at `bootstrap`.
    pub fn new(bootstrap: &str) -> Self {
        let client = client_config(bootstrap).create().expect("create an admin client");
        let options = AdminOptions::new().operation_timeout(Some(CALL_DEADLINE)).request_timeout(Some(CALL_DEADLINE));
        Self { bootstrap: bootstrap.to_owned(), client, options }
    }

    /// Creates a topic and waits until its partitions are known.
    pub fn create_topic(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = configs.iter().fold(new, |new, (key, value)| new.set(key, value));
        one_ok(&format!("create topic {topic}"), block_on(self.client.create_topics([&new], &self.options)));
        self.wait_for_partitions(topic, partitions);
    }

    /// Deletes a topic and waits until it is unknown.
    pub fn delete_topic(&self, topic: &str) {
        one_ok(&format!("delete topic {topic}"), block_on(self.client.delete_topics(&[topic], &self.options)));
        wait::until_true(&format!("topic {topic} is gone"), CALL_DEADLINE, || self.partitions(topic) == 0);
    }

    /// Grows a topic to `partitions` and waits until they are known.
    pub fn grow_topic(&self, topic: &str, partitions: i32) {
        let new = NewPartitions::new(topic, partitions as usize);
        one_ok(&format!("grow topic {topic}"), block_on(self.client.create_partitions([&new], &self.options)));
        self.wait_for_partitions(topic, partitions);
    }

    /// Deletes the records of a partition below `before`.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before)).expect("a valid offset");
        let result = block_on(self.client.delete_records(&offsets, &self.options)).expect("delete records");
        result.elements().iter().for_each(|element| element.error().expect("delete records of the partition"));
    }

    /// The configs set on the topic itself.
    pub fn topic_configs(&self, topic: &str) -> BTreeMap<String, String> {
        let asked = ResourceSpecifier::Topic(topic);
        let described = block_on(self.client.describe_configs([&asked], &self.options));
        let resource = described.expect("describe configs").remove(0).expect("describe configs of the topic");
        let own = |source: &_| matches!(source, rdkafka::admin::ConfigSource::DynamicTopic);
        let entries = resource.entries.into_iter().filter(|entry| own(&entry.source));
        entries.map(|entry| (entry.name, entry.value.unwrap_or_default())).collect()
    }

    /// Replaces the configs set on the topic itself.
    pub fn replace_topic_configs(&self, topic: &str, configs: &[(&str, &str)]) {
        let alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let alter = configs.iter().fold(alter, |alter, (key, value)| alter.set(key, value));
        let mut altered = block_on(self.client.alter_configs([&alter], &self.options)).expect("alter configs");
        altered.remove(0).unwrap_or_else(|(_, error)| panic!("alter configs of {topic}: {error}"));
    }

    /// All topics with their partition counts, Kafka's own among them.
    pub fn topics(&self) -> BTreeMap<String, i32> {
        let metadata = self.client.inner().fetch_metadata(None, CALL_DEADLINE).expect("fetch metadata");
        let topics = metadata.topics().iter();
        topics.map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32)).collect()
    }

    /// The topic's partition count; 0 when there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.topics().get(topic).copied().unwrap_or(0)
    }

    /// The first and the end offset of a partition: the last stable one, or the high watermark when `uncommitted`.
    /// Waits while the partition has no leader.
    pub fn offsets(&self, topic: &str, partition: i32, uncommitted: bool) -> (i64, i64) {
        let level = if uncommitted { "read_uncommitted" } else { "read_committed" };
        // A client anew each time: one that saw a partition without a leader believes it for long.
        let fetch = || {
            let mut config = client_config(&self.bootstrap);
            let client: BaseConsumer = config.set("isolation.level", level).create().expect("create a consumer");
            client.fetch_watermarks(topic, partition, CALL_DEADLINE)
        };
        wait::until_or_none(CALL_DEADLINE, || fetch().ok()).unwrap_or_else(|| fetch().expect("fetch watermarks"))
    }

    /// The last stable offset of each partition of these topics; one client for all of them.
    pub fn ends(&self, topics: &[&str]) -> BTreeMap<(String, i32), i64> {
        let mut config = client_config(&self.bootstrap);
        let client: BaseConsumer = config.set("isolation.level", "read_committed").create().expect("create a consumer");
        let counts = self.topics();
        let partitions = |topic: &str| 0..counts.get(topic).copied().unwrap_or(0);
        let places = topics.iter().flat_map(|topic| partitions(topic).map(move |partition| (*topic, partition)));
        let end = |(topic, partition)| {
            let found = client.fetch_watermarks(topic, partition, CALL_DEADLINE);
            ((topic.to_owned(), partition), found.expect("fetch watermarks").1)
        };
        places.map(end).collect()
    }

    /// The consumer groups of this cluster, with and without members.
    pub fn groups(&self) -> BTreeSet<String> {
        let groups = self.client.inner().fetch_group_list(None, CALL_DEADLINE).expect("list groups");
        groups.groups().iter().map(|group| group.name().to_owned()).collect()
    }

    /// Deletes a consumer group without members, and its offsets.
    pub fn delete_group(&self, group: &str) {
        one_ok(&format!("delete group {group}"), block_on(self.client.delete_groups(&[group], &self.options)));
    }

    /// What `group` has committed for the topic, by partition.
    pub fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, Committed> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, self.partitions(topic) - 1);
        let committed = self.member_of(group).committed_offsets(asked, CALL_DEADLINE).expect("fetch committed offsets");
        let elements = committed.elements();
        let stored = elements.iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => {
                Some((element.partition(), Committed { offset, metadata: element.metadata().to_owned() }))
            }
            _ => None,
        });
        stored.collect()
    }

    /// Commits an offset for `group` without being its member.
    pub fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset)).expect("a valid offset");
        element.set_metadata(metadata);
        self.member_of(group).commit(&list, CommitMode::Sync).expect("commit an offset");
    }

    fn member_of(&self, group: &str) -> BaseConsumer {
        let mut config = client_config(&self.bootstrap);
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.create().expect("create a consumer")
    }

    fn wait_for_partitions(&self, topic: &str, partitions: i32) {
        let what = format!("topic {topic} has {partitions} partitions");
        wait::until_true(&what, CALL_DEADLINE, || self.partitions(topic) == partitions);
    }
}

type TopicResults = rdkafka::error::KafkaResult<Vec<Result<String, (String, RDKafkaErrorCode)>>>;

fn one_ok(what: &str, results: TopicResults) {
    let results = results.unwrap_or_else(|error| panic!("{what}: {error}"));
    results.into_iter().for_each(|result| {
        result.unwrap_or_else(|(_, error)| panic!("{what}: {error}"));
    });
}

/// Runs a future on this thread: the only ones here are answers of librdkafka, which wake from its own threads.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
