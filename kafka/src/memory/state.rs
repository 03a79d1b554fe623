//! What a cluster in memory is made of, and the questions that more than one of its clients ask.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::ids::{Partition, TopicId, TopicName, TopicPartition};

use crate::admin::GroupMember;
use crate::error::{Error, ErrorKind};
use crate::memory::faults::{CommitFault, Dice, Faults};
use crate::memory::log::Log;
use crate::offsets::GroupOffset;
use crate::record::Record;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) logs: Vec<Log>,
    /// Settings of its own.
    pub(super) configs: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) offsets: BTreeMap<TopicPartition, GroupOffset>,
    pub(super) members: Vec<GroupMember>,
    pub(super) is_denied: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) cluster_id: String,
    pub(super) topics: BTreeMap<TopicName, Topic>,
    pub(super) topics_created: u64,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) read_denied: BTreeSet<TopicName>,
    pub(super) write_denied: BTreeSet<TopicName>,
    pub(super) create_denied: bool,
    pub(super) refused_configs: BTreeSet<String>,
    pub(super) is_unreachable: bool,
    pub(super) lacks_admin_calls: bool,
    pub(super) is_stalled: bool,
    pub(super) stalled: BTreeSet<TopicPartition>,
    /// Records to refuse, by target partition and source offset, each once.
    pub(super) refusals: BTreeMap<(TopicPartition, i64), ErrorKind>,
    pub(super) commit_faults: VecDeque<CommitFault>,
    /// Commits that are still on their way, by group.
    pub(super) late_commits: Vec<(String, TopicPartition, GroupOffset)>,
    pub(super) faults: Faults,
    pub(super) dice: Dice,
}

/// What a topic has where nothing else was set: the defaults of Kafka 4 that copying has to do with.
pub(super) const DEFAULT_CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.after.max.ms", "3600000"),
    ("message.timestamp.before.max.ms", "9223372036854775807"),
    ("message.timestamp.type", "CreateTime"),
    ("min.insync.replicas", "1"),
    ("retention.ms", "604800000"),
];

impl State {
    pub(super) fn new(cluster_id: String) -> Self {
        Self {
            cluster_id,
            topics: BTreeMap::new(),
            topics_created: 0,
            groups: BTreeMap::new(),
            read_denied: BTreeSet::new(),
            write_denied: BTreeSet::new(),
            create_denied: false,
            refused_configs: BTreeSet::new(),
            is_unreachable: false,
            lacks_admin_calls: false,
            is_stalled: false,
            stalled: BTreeSet::new(),
            refusals: BTreeMap::new(),
            commit_faults: VecDeque::new(),
            late_commits: Vec::new(),
            faults: Faults::none(),
            dice: Dice::new(0),
        }
    }

    /// Fails as every request does while no broker can be reached.
    pub(super) fn reach(&self) -> Result<(), Error> {
        if self.is_unreachable { Err(error(ErrorKind::Unreachable, "reach", "the cluster")) } else { Ok(()) }
    }

    /// Creates a topic with a new id.
    pub(super) fn create(&mut self, name: &TopicName, partitions: u32, configs: BTreeMap<String, String>) {
        self.topics_created += 1;
        // the cluster's name keeps the ids of two clusters apart
        let cluster = self
            .cluster_id
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
        let id = TopicId(uuid::Uuid::from_u64_pair(cluster, self.topics_created));
        let logs = (0..partitions).map(|_| Log::new()).collect();
        self.topics.insert(name.clone(), Topic { id, logs, configs });
    }

    /// Deletes a topic and, as brokers do, the offsets that groups hold of it.
    pub(super) fn delete(&mut self, name: &TopicName) {
        self.topics.remove(name);
        for group in self.groups.values_mut() {
            group.offsets.retain(|partition, _| partition.topic != *name);
        }
    }

    pub(super) fn log(&self, partition: &TopicPartition) -> Option<&Log> {
        self.topics.get(&partition.topic)?.logs.get(index(partition.partition))
    }

    pub(super) fn log_mut(&mut self, partition: &TopicPartition) -> Option<&mut Log> {
        self.topics.get_mut(&partition.topic)?.logs.get_mut(index(partition.partition))
    }

    /// The setting in force.
    pub(super) fn config<'a>(&'a self, topic: &'a Topic, key: &str) -> Option<&'a str> {
        let default = || DEFAULT_CONFIGS.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        topic.configs.get(key).map(String::as_str).or_else(default)
    }

    /// Whether nothing of the partition is served or written for now.
    pub(super) fn is_stalled(&self, partition: &TopicPartition) -> bool {
        self.is_unreachable || self.is_stalled || self.stalled.contains(partition)
    }

    /// Writes a record that was produced under the source offset `record.offset`, or says why it never will be.
    pub(super) fn write(&mut self, target: &TopicPartition, record: &Record<'_>) -> Result<(), ErrorKind> {
        if self.write_denied.contains(&target.topic) {
            return Err(ErrorKind::TopicDenied);
        }
        let topic = self.topics.get(&target.topic).ok_or(ErrorKind::UnknownTopic)?;
        let bytes_max = self.config(topic, "max.message.bytes").and_then(|value| value.parse::<u64>().ok());
        if bytes_max.is_some_and(|max| record.batch_bytes() > max) {
            return Err(ErrorKind::RecordTooLarge);
        }
        let is_compacted = self.config(topic, "cleanup.policy").is_some_and(|policy| policy.contains("compact"));
        if is_compacted && record.key.is_none() {
            return Err(ErrorKind::InvalidRecord);
        }
        if let Some(kind) = self.refusals.remove(&(target.clone(), record.offset)) {
            return Err(kind);
        }
        if self.dice.hits(self.faults.refused)
            && let Some(kind) = self.dice.pick(&self.faults.refusals)
        {
            return Err(kind);
        }
        self.log_mut(target).ok_or(ErrorKind::UnknownTopic)?.append(record);
        Ok(())
    }
}

pub(super) fn index(partition: Partition) -> usize {
    partition.0 as usize
}

/// An error in the words of a client: what was being done, to what, and why not.
pub(super) fn error(kind: ErrorKind, doing: &str, what: impl std::fmt::Display) -> Error {
    Error::new(kind, format_args!("could not {doing} {what}: {kind:?} (cluster in memory)"))
}
