//! The handle of a cluster in memory: what a test arranges and looks at. Panics on a topic that is not there, since
//! that is a mistake of the test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::ids::{Partition, TopicId, TopicName, TopicPartition};
use common::offsets::NextOffset;

use crate::admin::GroupMember;
use crate::error::ErrorKind;
use crate::memory::faults::{CommitFault, Dice, Faults};
use crate::memory::log::{Log, StoredRecord};
use crate::memory::offsets::store;
use crate::memory::state::{Group, State, Topic};
use crate::offsets::GroupOffset;
use crate::record::Record;

/// A cluster in memory. Cloning it makes another handle to the same cluster.
#[derive(Clone, Debug)]
pub struct MemoryCluster(Arc<Mutex<State>>);

impl MemoryCluster {
    /// A cluster without topics, with this id.
    pub fn new(cluster_id: &str) -> Self {
        Self(Arc::new(Mutex::new(State::new(cluster_id.to_owned()))))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // a failed assertion of one test thread shall not hide behind a second panic
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a topic, with a new id even if the name was used before.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> TopicId {
        let name = name(topic);
        let mut state = self.state();
        assert!(!state.topics.contains_key(&name), "topic {name} exists");
        state.create(&name, partitions, Default::default());
        state.topics[&name].id
    }

    /// Deletes a topic and the offsets that groups hold of it.
    pub fn delete_topic(&self, topic: &str) {
        self.state().delete(&name(topic));
    }

    /// Grows a topic to `partitions` in all.
    pub fn grow_topic(&self, topic: &str, partitions: u32) {
        self.topic(topic, |topic| topic.logs.resize_with(partitions as usize, Log::new));
    }

    /// Sets one setting of a topic.
    pub fn set_config(&self, topic: &str, key: &str, value: &str) {
        self.topic(topic, |topic| topic.configs.insert(key.to_owned(), value.to_owned()));
    }

    /// The topic's id, if it is there.
    pub fn topic_id(&self, topic: &str) -> Option<TopicId> {
        self.state().topics.get(&name(topic)).map(|topic| topic.id)
    }

    /// Appends a record and returns its offset; the record's own offset counts for nothing.
    pub fn append(&self, topic: &str, partition: u32, record: &Record<'_>) -> i64 {
        self.log(topic, partition, |log| log.append(record))
    }

    /// Appends a record of a key and a value at a time.
    pub fn append_text(&self, topic: &str, partition: u32, key: &str, value: &str, timestamp_ms: i64) -> i64 {
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        let record =
            Record { offset: 0, leader_epoch: None, timestamp_ms: Some(timestamp_ms), key, value, headers: &[] };
        self.append(topic, partition, &record)
    }

    /// Appends a control record: an offset without a record for readers.
    pub fn append_control(&self, topic: &str, partition: u32) -> i64 {
        self.log(topic, partition, |log| log.skip_to(log.end + 1))
    }

    /// Leaves a hole, as compaction does: the next record is appended at `end`.
    pub fn skip_to(&self, topic: &str, partition: u32, end: i64) {
        self.log(topic, partition, |log| log.skip_to(end));
    }

    /// Deletes the records below an offset, as retention does.
    pub fn delete_records(&self, topic: &str, partition: u32, before: i64) {
        self.log(topic, partition, |log| log.delete_before(before));
    }

    /// Loses the records from an offset on, as an unclean leader election does.
    pub fn truncate(&self, topic: &str, partition: u32, end: i64) {
        self.log(topic, partition, |log| log.truncate_to(end));
    }

    /// Opens a transaction: what is appended from now on stays hidden.
    pub fn open_transaction(&self, topic: &str, partition: u32) {
        self.log(topic, partition, |log| log.open_since = Some(log.end));
    }

    /// Ends the open transaction with a control record; an aborted one's records are never seen.
    pub fn end_transaction(&self, topic: &str, partition: u32, is_committed: bool) {
        self.log(topic, partition, |log| {
            let begin = log.open_since.take().expect("a transaction is open");
            if !is_committed {
                log.hollow_out(begin..log.end);
            }
            log.skip_to(log.end + 1);
        });
    }

    /// The first offset the partition still has.
    pub fn start(&self, topic: &str, partition: u32) -> NextOffset {
        self.log(topic, partition, |log| NextOffset(log.start))
    }

    /// One past the partition's last record.
    pub fn end(&self, topic: &str, partition: u32) -> NextOffset {
        self.log(topic, partition, |log| NextOffset(log.end))
    }

    /// All records of a partition, those of open transactions included.
    pub fn records(&self, topic: &str, partition: u32) -> Vec<StoredRecord> {
        self.records_from(topic, partition, 0)
    }

    /// The same, from an offset on.
    pub fn records_from(&self, topic: &str, partition: u32, offset: i64) -> Vec<StoredRecord> {
        self.log(topic, partition, |log| log.records_from(offset).cloned().collect())
    }

    /// Whether reading and writing a topic is denied. A topic denied both is hidden.
    pub fn set_denied(&self, topic: &str, read: bool, write: bool) {
        let name = name(topic);
        let mut state = self.state();
        let State { read_denied, write_denied, .. } = &mut *state;
        for (is_denied, names) in [(read, read_denied), (write, write_denied)] {
            if is_denied {
                names.insert(name.clone())
            } else {
                names.remove(&name)
            };
        }
    }

    /// Whether creating and changing topics is denied.
    pub fn set_create_denied(&self, denied: bool) {
        self.state().create_denied = denied;
    }

    /// Refuses a setting of topics from now on, whatever its value.
    pub fn refuse_config(&self, key: &str) {
        self.state().refused_configs.insert(key.to_owned());
    }

    /// Whether the cluster lacks the requests that describe and change topics, as librdkafka's mock cluster does.
    pub fn set_admin_calls_missing(&self, missing: bool) {
        self.state().lacks_admin_calls = missing;
    }

    /// Whether no broker can be reached.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.state().is_unreachable = unreachable;
    }

    /// Nothing is read, written or acknowledged from now on, without any error.
    pub fn stall(&self) {
        self.state().is_stalled = true;
    }

    /// Ends `stall`.
    pub fn unstall(&self) {
        self.state().is_stalled = false;
    }

    /// As `stall`, for one partition: its leader does not answer.
    pub fn stall_partition(&self, topic: &str, partition: u32) {
        self.state().stalled.insert(place(topic, partition));
    }

    /// Ends `stall_partition`.
    pub fn unstall_partition(&self, topic: &str, partition: u32) {
        self.state().stalled.remove(&place(topic, partition));
    }

    /// Starts drawing faults, from the beginning of their seed.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.dice = Dice::new(faults.seed);
        state.faults = faults;
    }

    /// Refuses, once, the record that is produced to this partition with this source offset.
    pub fn refuse_record(&self, topic: &str, partition: u32, source_offset: i64, kind: ErrorKind) {
        self.state().refusals.insert((place(topic, partition), source_offset), kind);
    }

    /// Lets the next commit fail; several calls line up.
    pub fn fail_commit(&self, fault: CommitFault) {
        self.state().commit_faults.push_back(fault);
    }

    /// Stores what late commits had to store, in their order. Returns how many offsets that were.
    pub fn store_late_commits(&self) -> usize {
        let mut state = self.state();
        let late = std::mem::take(&mut state.late_commits);
        let store = |(group, partition, offset): &(String, TopicPartition, GroupOffset)| {
            // What became of it nobody is told.
            let _ = store(&mut state, group, partition, offset);
        };
        late.iter().for_each(store);
        late.len()
    }

    /// Sets the live members of a group.
    pub fn set_members(&self, group: &str, members: Vec<GroupMember>) {
        self.group(group, |group| group.members = members);
    }

    /// Whether the group is denied to us.
    pub fn set_group_denied(&self, group: &str, denied: bool) {
        self.group(group, |group| group.is_denied = denied);
    }

    /// What a group holds of a partition.
    pub fn group_offset(&self, group: &str, topic: &str, partition: u32) -> Option<GroupOffset> {
        self.group(group, |group| group.offsets.get(&place(topic, partition)).cloned())
    }

    /// Forgets an offset, as a broker does that nobody stores again for `offsets.retention.minutes`.
    pub fn forget_group_offset(&self, group: &str, topic: &str, partition: u32) {
        self.group(group, |group| group.offsets.remove(&place(topic, partition)));
    }

    /// Stores an offset as a foreign tool would, past all checks.
    pub fn set_group_offset(&self, group: &str, topic: &str, partition: u32, offset: GroupOffset) {
        self.group(group, |group| group.offsets.insert(place(topic, partition), offset));
    }

    fn topic<T>(&self, topic: &str, change: impl FnOnce(&mut Topic) -> T) -> T {
        change(self.state().topics.get_mut(&name(topic)).expect("the topic is there"))
    }

    fn log<T>(&self, topic: &str, partition: u32, change: impl FnOnce(&mut Log) -> T) -> T {
        change(self.state().log_mut(&place(topic, partition)).expect("the partition is there"))
    }

    fn group<T>(&self, group: &str, change: impl FnOnce(&mut Group) -> T) -> T {
        change(self.state().groups.entry(group.to_owned()).or_default())
    }
}

fn name(topic: &str) -> TopicName {
    TopicName::new(topic).expect("a legal topic name")
}

fn place(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(name(topic), Partition(partition))
}
