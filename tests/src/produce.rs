//! Filling topics. Owns a producer that takes every field of a record as it is, and transactions that commit, abort or
//! stay open; never retries what the broker refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::admin::{self, Admin, CALL_DEADLINE};
use crate::contents;
use crate::random::Random;
use crate::wait;

/// A header's key, and its value, which may be null.
pub type HeaderField = (String, Option<Vec<u8>>);

/// What a record carries beside its place. `Default` is partition 0, now, and null everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// The partition it goes to.
    pub partition: i32,
    /// Milliseconds; `None` is now, and so is 0: librdkafka cannot write the first instant of 1970.
    pub timestamp: Option<i64>,
    /// Null or bytes.
    pub key: Option<Vec<u8>>,
    /// Null (a tombstone) or bytes.
    pub value: Option<Vec<u8>>,
    /// In this order; keys may repeat.
    pub headers: Vec<HeaderField>,
}

impl NewRecord {
    /// A record with key and value, without headers, of now.
    pub fn new(partition: i32, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { partition, key: Some(key.into()), value: Some(value.into()), ..Self::default() }
    }

    /// A record of random shape: nulls, empty fields, repeated header keys, values up to `value_len_max` bytes.
    pub fn random(random: &mut Random, partition: i32, value_len_max: u64) -> Self {
        let field = |random: &mut Random, len_max: u64| match random.below(8) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some({
                let len = random.below(len_max) + 1;
                random.bytes(len as usize)
            }),
        };
        let headers = (0..random.below(4)).map(|_| (format!("h{}", random.below(3)), field(random, 20))).collect();
        let timestamp = Some(1_500_000_000_000 + random.below(250_000_000_000) as i64);
        Self { partition, timestamp, key: field(random, 40), value: field(random, value_len_max), headers }
    }
}

/// A producer of a test: idempotent, acks=all.
pub struct Producer {
    inner: BaseProducer<Failures>,
}

#[derive(Default)]
struct Failures(AtomicU64);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Producer {
    /// A producer with librdkafka's defaults.
    pub fn new(bootstrap: &str) -> Self {
        Self::with(bootstrap, &[])
    }

    /// A producer with further properties, as `("compression.codec", "zstd")` or `("linger.ms", "0")`.
    pub fn with(bootstrap: &str, properties: &[(&str, &str)]) -> Self {
        let mut config = admin::client_config(bootstrap);
        config.set("enable.idempotence", "true").set("message.max.bytes", "20000000");
        properties.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        Self { inner: config.create_with_context(Failures::default()).expect("create a producer") }
    }

    /// A transactional producer, initialised; earlier producers of this id are fenced.
    pub fn transactional(bootstrap: &str, transactional_id: &str) -> Self {
        let timeout = ("transaction.timeout.ms", "600000");
        let producer = Self::with(bootstrap, &[("transactional.id", transactional_id), timeout]);
        producer.inner.init_transactions(CALL_DEADLINE).expect("initialise transactions");
        producer
    }

    /// Queues one record; waits while the queue is full.
    pub fn send(&self, topic: &str, record: &NewRecord) {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }));
        let mut message = BaseRecord::<[u8], [u8]>::to(topic).partition(record.partition);
        message.timestamp = record.timestamp;
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.headers = (!record.headers.is_empty()).then_some(headers);
        while let Err((error, unsent)) = self.inner.send(message) {
            let full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            assert!(full, "produce to {topic}: {error}");
            self.inner.poll(Duration::from_millis(10));
            message = unsent;
        }
    }

    /// Sends all records and waits until the broker has them.
    pub fn send_all<'a>(&self, topic: &str, records: impl IntoIterator<Item = &'a NewRecord>) {
        records.into_iter().for_each(|record| self.send(topic, record));
        self.flush();
    }

    /// Waits until the broker has all that was sent.
    ///
    /// # Panics
    /// When it refused a record.
    pub fn flush(&self) {
        self.inner.flush(CALL_DEADLINE).expect("flush the producer");
        let refused = self.inner.context().0.swap(0, Ordering::Relaxed);
        assert_eq!(refused, 0, "the broker refused records");
    }

    /// Begins a transaction. To leave it open, flush and keep this producer (or drop it: nothing is aborted then).
    pub fn begin(&self) {
        self.inner.begin_transaction().expect("begin a transaction");
    }

    /// Commits the transaction.
    pub fn commit(&self) {
        self.flush();
        self.inner.commit_transaction(CALL_DEADLINE).expect("commit the transaction");
    }

    /// Aborts the transaction, whose records are on the broker by then.
    pub fn abort(&self) {
        self.flush();
        self.inner.abort_transaction(CALL_DEADLINE).expect("abort the transaction");
    }
}

/// Creates a compacted topic whose partitions have holes: of `keys` keys, written `rounds` times each, the earlier
/// values are gone from all but the newest segment.
pub fn compacted_topic(bootstrap: &str, topic: &str, partitions: i32, keys: usize, rounds: usize) {
    let eager = [("min.cleanable.dirty.ratio", "0.001"), ("segment.ms", "100"), ("max.compaction.lag.ms", "100")];
    let configs = [&[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "0")], &eager[..]].concat();
    Admin::new(bootstrap).create_topic(topic, partitions, &configs);
    let producer = Producer::with(bootstrap, &[("linger.ms", "0")]);
    let mut written = 0_usize;
    let mut round = |round: usize| {
        for key in 0..keys {
            for partition in 0..partitions {
                let value = format!("value {round} of key {key}");
                producer.send(topic, &NewRecord::new(partition, format!("key {key}"), value));
                written += 1;
            }
        }
        producer.flush();
        written
    };
    (0..rounds).for_each(|number| {
        round(number);
    });
    // Only rolled segments are compacted, and a segment rolls at an append: so write on until holes have appeared.
    let mut number = rounds;
    wait::until_true(&format!("topic {topic} is compacted"), Duration::from_secs(60), || {
        number += 1;
        let written = round(number);
        let left = contents::read(bootstrap, topic);
        left.len() < written && (0..partitions).all(|partition| has_hole(&left, partition))
    });
}

fn has_hole(records: &[contents::Record], partition: i32) -> bool {
    let mut expected = 0;
    let of_partition = records.iter().filter(|record| record.partition == partition);
    of_partition.into_iter().any(|record| {
        let hole = record.offset != expected;
        expected = record.offset + 1;
        hole
    })
}
