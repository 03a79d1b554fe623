//! Brokers inside this process, on loopback ports that any client can reach, and plain clients to write and read them.
//!
//! Owns: librdkafka's mock cluster, for the demo and for tests that need no real broker. Never does: anything a fleet or
//! a mirror does. The clients here are deliberately not those of `Source` and `Sink`, so that what they read is a second
//! opinion.
//!
//! What these brokers lack of a real one: creating, describing and altering topics, describing groups, transactions that
//! do anything, and more than 5 MiB a partition (the oldest batches are dropped).

use std::fmt::Display;
use std::time::{Duration, Instant};

use common::ids::{Partition, TopicName, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
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
    pub fn create_topic(&self, topic: &TopicName, partitions: u32) -> Result<(), Error> {
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        self.brokers.create_topic(topic.as_str(), count, 1).map_err(|error| failed("creating an embedded topic", error))
    }

    /// A writer that gathers records for `linger` before it sends them.
    pub fn writer(&self, linger: Duration) -> Result<PlainWriter, Error> {
        let producer = self
            .config()
            .set("enable.idempotence", "true")
            .set("linger.ms", linger.as_millis().to_string())
            .create()
            .map_err(|error| failed("making a writer", error))?;
        Ok(PlainWriter { producer })
    }

    /// A reader of these partitions, from their first records on.
    pub fn reader(&self, partitions: &[TopicPartition]) -> Result<PlainReader, Error> {
        let doing = "making a reader";
        let consumer: BaseConsumer = self
            .config()
            // The client wants one to be able to assign; nothing is ever stored under it.
            .set("group.id", "plain-reader")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "10")
            .set("fetch.queue.backoff.ms", "10")
            .create()
            .map_err(|error| failed(doing, error))?;
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(partition.topic.as_str(), number(partition), Offset::Offset(0))
                .map_err(|error| failed(doing, error))?;
        }
        consumer.assign(&list).map_err(|error| failed(doing, error))?;
        Ok(PlainReader { consumer, partitions: partitions.to_vec() })
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap_servers());
        config
    }
}

/// Writes records.
pub struct PlainWriter {
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl PlainWriter {
    /// Takes a record; what was taken before in the same partition is written before.
    pub fn write(&self, to: &TopicPartition, record: PlainRecord<'_>) -> Result<(), Error> {
        let waiting = BaseRecord::to(to.topic.as_str())
            .partition(number(to))
            .timestamp(record.timestamp_ms)
            .key(record.key)
            .payload(record.value);
        self.producer.send(waiting).map_err(|(error, _)| failed(format_args!("writing to {to}"), error))
    }

    /// Waits until all that was taken is written.
    pub fn finish(self) -> Result<(), Error> {
        self.producer.flush(CALL_TIMEOUT).map_err(|error| failed("writing the last records", error))
    }
}

/// Reads partitions, and changes nothing.
pub struct PlainReader {
    consumer: BaseConsumer<DefaultConsumerContext>,
    partitions: Vec<TopicPartition>,
}

impl PlainReader {
    /// Waits for the next record and gives it to `visit`; false if none came in time.
    pub fn next(&self, timeout: Duration, visit: impl FnOnce(TopicPartition, PlainRead<'_>)) -> Result<bool, Error> {
        let doing = "reading an embedded cluster";
        let Some(message) = self.consumer.poll(timeout) else { return Ok(false) };
        let message = message.map_err(|error| failed(doing, error))?;
        let topic = TopicName::new(message.topic()).map_err(|error| Error::new(ErrorKind::Other, error))?;
        let partition = Partition(u32::try_from(message.partition()).unwrap_or(u32::MAX));
        let read =
            PlainRead { timestamp_ms: message.timestamp().to_millis(), key: message.key(), value: message.payload() };
        visit(TopicPartition::new(topic, partition), read);
        Ok(true)
    }

    /// Reads on to the present ends of all partitions.
    pub fn read(&self, mut visit: impl FnMut(TopicPartition, PlainRead<'_>)) -> Result<(), Error> {
        let mut left = 0;
        for partition in &self.partitions {
            left += self.records(partition)?;
        }
        let mut last_arrival = Instant::now();
        while left > 0 {
            if self.next(Duration::from_millis(100), &mut visit)? {
                left -= 1;
                last_arrival = Instant::now();
            } else if last_arrival.elapsed() > CALL_TIMEOUT {
                let text = format_args!("reading an embedded cluster: {left} records did not come for 10 s");
                return Err(Error::new(ErrorKind::Unreachable, text));
            }
        }
        Ok(())
    }

    /// How many records a partition has: all that were ever written, or it is an error.
    fn records(&self, partition: &TopicPartition) -> Result<u64, Error> {
        let (start, end) = self
            .consumer
            .fetch_watermarks(partition.topic.as_str(), number(partition), CALL_TIMEOUT)
            .map_err(|error| failed(format_args!("asking for the end of {partition}"), error))?;
        if start > 0 {
            let text = format_args!("an embedded broker dropped {start} records of {partition}: too many came");
            return Err(Error::new(ErrorKind::Other, text));
        }
        Ok(u64::try_from(end).unwrap_or(0))
    }
}

fn number(partition: &TopicPartition) -> i32 {
    i32::try_from(partition.partition.0).unwrap_or(i32::MAX)
}

fn failed(doing: impl Display, error: KafkaError) -> Error {
    Error::new(ErrorKind::Other, format_args!("{doing}: {error}"))
}
