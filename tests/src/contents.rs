//! The independent checker: what a topic holds as a read_committed reader sees it, and how two topics compare. Owns
//! reading to the last stable offset of every partition; never commits, never joins a group.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::{self, CALL_DEADLINE};
use crate::produce::HeaderField;

/// How long a reader may go without any record or end of partition.
const STALL_DEADLINE: Duration = Duration::from_secs(30);

/// One record as it lies in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds.
    pub timestamp: Option<i64>,
    /// Null or bytes.
    pub key: Option<Vec<u8>>,
    /// Null or bytes.
    pub value: Option<Vec<u8>>,
    /// In their order, with nulls and repeated keys.
    pub headers: Vec<HeaderField>,
}

/// One hash per record (timestamp, key, value, headers; not the offset), in order, by partition: small enough for
/// millions of records.
pub type Hashes = BTreeMap<i32, Vec<u64>>;

/// The topic's records, ordered by partition and offset.
pub fn read(bootstrap: &str, topic: &str) -> Vec<Record> {
    let parts = each_partition(bootstrap, topic, |records: &mut Vec<Record>, message| {
        let headers = message.headers().map(|headers| {
            let owned = headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
            owned.collect()
        });
        records.push(Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        });
    });
    parts.into_values().flatten().collect()
}

/// The hashes of the topic's records.
pub fn hashes(bootstrap: &str, topic: &str) -> Hashes {
    each_partition(bootstrap, topic, |hashes: &mut Vec<u64>, message| hashes.push(hash(message)))
}

/// The records per partition.
pub fn counts(hashes: &Hashes) -> BTreeMap<i32, usize> {
    hashes.iter().map(|(partition, hashes)| (*partition, hashes.len())).collect()
}

/// Reads every partition to its last stable offset, on two threads.
fn each_partition<T: Default + Send>(
    bootstrap: &str,
    topic: &str,
    take: impl Fn(&mut T, &BorrowedMessage<'_>) + Sync,
) -> BTreeMap<i32, T> {
    let metadata = reader(bootstrap).fetch_metadata(Some(topic), CALL_DEADLINE).expect("fetch metadata");
    let found = metadata.topics().first().filter(|found| found.error().is_none());
    let count = found.unwrap_or_else(|| panic!("no topic {topic} at {bootstrap}")).partitions().len() as i32;
    let (even, odd): (Vec<i32>, Vec<i32>) = (0..count).partition(|partition| partition % 2 == 0);
    let read = |partitions: Vec<i32>| read_partitions(bootstrap, topic, &partitions, &take);
    std::thread::scope(|scope| {
        let other_half = scope.spawn(|| read(odd));
        let mut parts = read(even);
        parts.extend(other_half.join().expect("read the odd partitions"));
        parts
    })
}

fn read_partitions<T: Default>(
    bootstrap: &str,
    topic: &str,
    partitions: &[i32],
    take: &impl Fn(&mut T, &BorrowedMessage<'_>),
) -> BTreeMap<i32, T> {
    let mut parts: BTreeMap<i32, T> = partitions.iter().map(|partition| (*partition, T::default())).collect();
    if partitions.is_empty() {
        return parts;
    }
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning).expect("a valid offset");
    }
    let reader = reader(bootstrap);
    reader.assign(&assignment).expect("assign");
    let mut unfinished: HashSet<i32> = partitions.iter().copied().collect();
    let mut heard = Instant::now();
    while !unfinished.is_empty() {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                if unfinished.contains(&message.partition()) {
                    take(parts.entry(message.partition()).or_default(), &message);
                }
                heard = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unfinished.remove(&partition);
                heard = Instant::now();
            }
            Some(Err(_)) | None => {
                assert!(heard.elapsed() < STALL_DEADLINE, "reading {topic} at {bootstrap}: no end of {unfinished:?}");
            }
        }
    }
    parts
}

fn reader(bootstrap: &str) -> BaseConsumer {
    let mut config = admin::client_config(bootstrap);
    config.set("group.id", "never-joined").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    config.set("isolation.level", "read_committed").set("auto.offset.reset", "earliest").set("check.crcs", "true");
    config.set("fetch.queue.backoff.ms", "10").set("fetch.wait.max.ms", "50");
    config.set("queued.max.messages.kbytes", "65536").set("queued.min.messages", "200000");
    config.create().expect("create a consumer")
}

fn hash(message: &BorrowedMessage<'_>) -> u64 {
    let mut hasher = FieldHasher(0x9E37_79B9_7F4A_7C15);
    hasher.word(message.timestamp().to_millis().unwrap_or(i64::MIN) as u64);
    hasher.field(message.key());
    hasher.field(message.payload());
    if let Some(headers) = message.headers() {
        for header in headers.iter() {
            hasher.field(Some(header.key.as_bytes()));
            hasher.field(header.value);
        }
    }
    hasher.0
}

/// A 64-bit hash by words, with lengths, so that neighbouring fields cannot run into each other.
struct FieldHasher(u64);

impl FieldHasher {
    fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0xD6E8_FEB8_6659_FD93) * 0xA076_1D64_78BD_642F;
        self.0 = (product as u64) ^ ((product >> 64) as u64).rotate_left(29);
    }

    fn field(&mut self, field: Option<&[u8]>) {
        let Some(bytes) = field else { return self.word(u64::MAX) };
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }
}
