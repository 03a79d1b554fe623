//! The real client on real Kafka, through its traits: what each wrapper of the C library does there.
//!
//! What was written is judged by the independent reader of the harness, never by the client itself alone.

mod offsets;
mod sink;
mod source;
mod trouble;

use std::time::{Duration, Instant};

use common::config::ClusterConfig;
use common::ids::{ClusterName, Partition, TopicName, TopicPartition};
use common::offsets::{LeaderEpoch, NextOffset, Position};
use kafka::clients::Clients;
use kafka::error::ErrorKind;
use kafka::librdkafka::{LibrdkafkaClients, LibrdkafkaSink, LibrdkafkaSource};
use kafka::offsets::OffsetStore;
use kafka::record::{Header, Record, Slot};
use kafka::sink::{Delivery, Sink, SinkBounds};
use kafka::source::{Polled, Source, SourceBounds};

const MINUTE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

fn cluster(bootstrap: &str, properties: &[(&str, &str)]) -> ClusterConfig {
    let all = [("bootstrap.servers", bootstrap)].into_iter().chain(properties.iter().copied());
    ClusterConfig { name: ClusterName::new("tested").expect("a name"), properties: all.collect() }
}

fn source(bootstrap: &str) -> LibrdkafkaSource {
    source_with(bootstrap, &[], 16 * MIB)
}

fn source_with(bootstrap: &str, properties: &[(&str, &str)], queued_bytes: usize) -> LibrdkafkaSource {
    let bounds = SourceBounds { queued_bytes };
    LibrdkafkaClients.source(&cluster(bootstrap, properties), bounds).expect("make a source")
}

fn sink(bootstrap: &str) -> LibrdkafkaSink {
    sink_with(bootstrap, &[], SinkBounds { queued_bytes: 32 * MIB, batch_bytes: MIB - 1024 })
}

fn sink_with(bootstrap: &str, properties: &[(&str, &str)], bounds: SinkBounds) -> LibrdkafkaSink {
    LibrdkafkaClients.sink(&cluster(bootstrap, properties), bounds).expect("make a sink")
}

fn offsets(bootstrap: &str, group: &str) -> Box<dyn OffsetStore> {
    LibrdkafkaClients.offsets(&cluster(bootstrap, &[]), group).expect("make an offset store")
}

fn place(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).expect("a topic"), Partition(partition))
}

fn at(slot: u16, topic: &str, partition: u32, offset: i64) -> (Slot, TopicPartition, Position) {
    (Slot(slot), place(topic, partition), Position::at(NextOffset(offset)))
}

/// What a source returned, owned.
#[derive(Clone, PartialEq, Debug)]
enum Seen {
    Record(u16, Owned),
    End(u16, i64),
    Failed(Option<u16>, ErrorKind, String),
}

/// A record, owned.
#[derive(Clone, PartialEq, Debug)]
struct Owned {
    offset: i64,
    leader_epoch: Option<LeaderEpoch>,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Owned {
    fn of(record: &Record<'_>) -> Self {
        let header = |header: &Header<'_>| (header.name.to_vec(), header.value.map(<[u8]>::to_vec));
        Self {
            offset: record.offset,
            leader_epoch: record.leader_epoch,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }
}

fn poll(source: &mut LibrdkafkaSource, wait: Duration) -> Option<Seen> {
    Some(match source.poll(wait)? {
        Polled::Record { slot, record } => Seen::Record(slot.0, Owned::of(&record)),
        Polled::End { slot, position } => Seen::End(slot.0, position.0),
        Polled::Failed { slot, error } => Seen::Failed(slot.map(|slot| slot.0), error.kind, error.text),
    })
}

/// Polls until `done` says so of what was seen last.
fn poll_until(source: &mut LibrdkafkaSource, what: &str, mut done: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
    let started = Instant::now();
    let mut all = Vec::new();
    loop {
        assert!(started.elapsed() < MINUTE, "still waiting for: {what}; seen: {all:?}");
        let Some(seen) = poll(source, Duration::from_millis(100)) else { continue };
        let is_done = done(&seen);
        all.push(seen);
        if is_done {
            return all;
        }
    }
}

fn until_end(source: &mut LibrdkafkaSource, slot: u16) -> Vec<Seen> {
    poll_until(source, "the end", |seen| matches!(seen, Seen::End(of, _) if *of == slot))
}

fn seen_offsets(seen: &[Seen], of: u16) -> Vec<i64> {
    let offset = |seen: &Seen| match seen {
        Seen::Record(slot, record) if *slot == of => Some(record.offset),
        _ => None,
    };
    seen.iter().filter_map(offset).collect()
}

/// A record of which only the value matters.
fn plain(offset: i64, value: &[u8]) -> Record<'_> {
    Record { offset, leader_epoch: None, timestamp_ms: Some(1_000), key: None, value: Some(value), headers: &[] }
}

/// Serves until nothing is outstanding.
fn drain(sink: &mut LibrdkafkaSink) -> Vec<Delivery> {
    let started = Instant::now();
    let mut deliveries = Vec::new();
    loop {
        sink.serve(&mut deliveries);
        if sink.outstanding() == 0 {
            return deliveries;
        }
        assert!(started.elapsed() < MINUTE, "{} outstanding, served: {deliveries:?}", sink.outstanding());
        std::thread::sleep(Duration::from_millis(1));
    }
}
