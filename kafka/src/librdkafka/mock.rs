//! Brokers inside this process, on loopback ports that any client can reach, and plain clients to fill and read them.
//!
//! Owns: librdkafka's mock cluster, for the demo and for tests that need no real broker. Never does: anything a mirror
//! does. The clients here are deliberately not those of `Source` and `Sink`, so that what they read is a second opinion.
//!
//! What these brokers lack of a real one: creating, describing and altering topics, describing groups, transactions that
//! do anything, and more than 5 MiB a partition (the oldest batches are dropped).

use std::fmt::Display;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::error::{Error, ErrorKind};

/// How long one call may take: the brokers are in this process.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster of one broker. It ends when dropped, and stays on the thread that started it.
pub struct EmbeddedCluster {
    brokers: MockCluster<'static, DefaultProducerContext>,
}

/// One record to write.
#[derive(Clone, Copy, Debug)]
pub struct PlainRecord<'a> {
    /// To which partition.
    pub partition: u32,
    /// Its timestamp in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// One record as it was read.
#[derive(Clone, Copy, Debug)]
pub struct PlainRead<'a> {
    /// Its timestamp in milliseconds since the Unix epoch, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl EmbeddedCluster {
    /// Starts the broker.
    pub fn start() -> Result<Self, Error> {
        Ok(Self { brokers: MockCluster::new(1).map_err(|error| failed("starting an embedded broker", error))? })
    }

    /// Where it listens.
    pub fn bootstrap_servers(&self) -> String {
        self.brokers.bootstrap_servers()
    }

    /// Creates a topic; clients can't.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error> {
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        self.brokers.create_topic(topic, count, 1).map_err(|error| failed("creating an embedded topic", error))
    }

    /// Makes the broker take this long for each answer.
    pub fn delay_answers(&self, delay: Duration) -> Result<(), Error> {
        const BROKER: i32 = 1;
        self.brokers.broker_round_trip_time(BROKER, delay).map_err(|error| failed("delaying an embedded broker", error))
    }

    /// Writes `record(0)` to `record(count - 1)`, in batches of at most `batch_records`, and waits until all are there.
    pub fn fill(
        &self,
        topic: &str,
        count: u64,
        batch_records: u32,
        mut record: impl FnMut(u64, &mut dyn FnMut(PlainRecord<'_>) -> Result<(), Error>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let doing = "filling an embedded topic";
        let producer: BaseProducer = self
            .config()
            .set("batch.num.messages", batch_records.to_string())
            .set("linger.ms", "20")
            .create()
            .map_err(|error| failed(doing, error))?;
        let mut send = |plain: PlainRecord<'_>| -> Result<(), Error> {
            let partition = i32::try_from(plain.partition).unwrap_or(i32::MAX);
            let mut waiting = BaseRecord::to(topic)
                .partition(partition)
                .timestamp(plain.timestamp_ms)
                .key(plain.key)
                .payload(plain.value);
            while let Err((error, back)) = producer.send(waiting) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(failed(doing, error));
                }
                waiting = back;
                producer.poll(Duration::from_millis(5));
            }
            Ok(())
        };
        for index in 0..count {
            record(index, &mut send)?;
        }
        producer.flush(CALL_TIMEOUT).map_err(|error| failed(doing, error))
    }

    /// A reader of the cluster.
    pub fn reader(&self, group: &str) -> Result<PlainReader, Error> {
        let consumer = self
            .config()
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.queue.backoff.ms", "10")
            .create()
            .map_err(|error| failed("making a reader", error))?;
        Ok(PlainReader { consumer })
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap_servers());
        config
    }
}

/// Reads offsets and records, and changes nothing.
pub struct PlainReader {
    consumer: BaseConsumer<rdkafka::consumer::DefaultConsumerContext>,
}

impl PlainReader {
    /// The first offset of a partition and one past its last.
    pub fn ends(&self, topic: &str, partition: u32) -> Result<(i64, i64), Error> {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        self.consumer
            .fetch_watermarks(topic, partition, CALL_TIMEOUT)
            .map_err(|error| failed(format_args!("asking for the end of {topic}/{partition}"), error))
    }

    /// The offset that the reader's group stores for a partition, if any.
    pub fn stored_offset(&self, topic: &str, partition: u32) -> Result<Option<i64>, Error> {
        let doing = format_args!("reading the stored offset of {topic}/{partition}");
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let list = self.consumer.committed_offsets(list, CALL_TIMEOUT).map_err(|error| failed(doing, error))?;
        Ok(match list.find_partition(topic, partition).map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        })
    }

    /// Reads a partition from its first record to its present end, in order; returns how many records there were.
    pub fn read(&self, topic: &str, partition: u32, mut visit: impl FnMut(PlainRead<'_>)) -> Result<u64, Error> {
        let doing = format!("reading {topic}/{partition}");
        let (start, end) = self.ends(topic, partition)?;
        if start == end {
            return Ok(0);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), Offset::Offset(start))
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| failed(&doing, error))?;
        let mut records = 0;
        let mut last_arrival = Instant::now();
        loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    last_arrival = Instant::now();
                    records += 1;
                    visit(PlainRead {
                        timestamp_ms: message.timestamp().to_millis(),
                        key: message.key(),
                        value: message.payload(),
                    });
                    if message.offset() + 1 >= end {
                        return Ok(records);
                    }
                }
                Some(Err(error)) => return Err(failed(doing, error)),
                None if last_arrival.elapsed() > CALL_TIMEOUT => {
                    return Err(Error::new(ErrorKind::Unreachable, format_args!("{doing}: nothing came for 10 s")));
                }
                None => {}
            }
        }
    }
}

fn failed(doing: impl Display, error: KafkaError) -> Error {
    Error::new(ErrorKind::Other, format_args!("{doing}: {error}"))
}
