//! The real client on librdkafka's mock brokers: what needs no true broker, in seconds. The rest is judged on real Kafka
//! (`tests/tests/kafka_room`).
#![cfg(feature = "librdkafka")]

use std::time::{Duration, Instant};

use common::config::ClusterConfig;
use common::ids::{ClusterName, Partition, TopicName, TopicPartition};
use common::offsets::{LeaderEpoch, NextOffset, Position};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use replisome_kafka::clients::Clients;
use replisome_kafka::error::ErrorKind;
use replisome_kafka::librdkafka::{LibrdkafkaClients, LibrdkafkaSink, LibrdkafkaSource};
use replisome_kafka::offsets::{GroupOffset, OffsetStore};
use replisome_kafka::record::{Record, Slot};
use replisome_kafka::sink::{Delivery, Sink, SinkBounds};
use replisome_kafka::source::{Polled, Source, SourceBounds};

const DEADLINE: Duration = Duration::from_secs(30);

fn brokers(count: i32) -> MockCluster<'static, DefaultProducerContext> {
    let brokers = MockCluster::new(count).expect("start mock brokers");
    brokers.create_topic("t", 4, count).expect("create a topic");
    brokers
}

fn cluster(bootstrap: &str) -> ClusterConfig {
    let properties = [("bootstrap.servers", bootstrap)].into_iter().collect();
    ClusterConfig { name: ClusterName::new("mock").expect("a name"), properties }
}

fn source(bootstrap: &str) -> LibrdkafkaSource {
    LibrdkafkaClients.source(&cluster(bootstrap), SourceBounds { queued_bytes: 1 << 20 }).expect("make a source")
}

fn sink(bootstrap: &str) -> LibrdkafkaSink {
    let bounds = SinkBounds { queued_bytes: 1 << 20, batch_bytes: 1 << 20 };
    LibrdkafkaClients.sink(&cluster(bootstrap), bounds).expect("make a sink")
}

fn offsets(bootstrap: &str) -> Box<dyn OffsetStore> {
    LibrdkafkaClients.offsets(&cluster(bootstrap), "group").expect("make an offset store")
}

fn place(partition: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new("t").expect("a topic"), Partition(partition))
}

fn record(offset: i64) -> Record<'static> {
    Record { offset, leader_epoch: None, timestamp_ms: Some(0), key: None, value: Some(b"v"), headers: &[] }
}

fn drain(sink: &mut LibrdkafkaSink) -> Vec<Delivery> {
    let (started, mut deliveries) = (Instant::now(), Vec::new());
    while sink.outstanding() > 0 {
        assert!(started.elapsed() < DEADLINE, "{} outstanding", sink.outstanding());
        std::thread::sleep(Duration::from_millis(1));
        sink.serve(&mut deliveries);
    }
    deliveries
}

/// Offsets and timestamps up to the end of slot 0, which is returned.
fn read_to_end(source: &mut LibrdkafkaSource) -> (Vec<(i64, Option<i64>)>, NextOffset) {
    let (started, mut read) = (Instant::now(), Vec::new());
    loop {
        assert!(started.elapsed() < DEADLINE, "still reading: {read:?}");
        match source.poll(Duration::from_millis(100)) {
            Some(Polled::Record { slot: Slot(0), record }) => read.push((record.offset, record.timestamp_ms)),
            Some(Polled::End { slot: Slot(0), position }) => return (read, position),
            Some(Polled::Failed { slot: None, .. }) | None => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_written_through_errors_that_pass_is_read_once_and_in_order() {
    let brokers = brokers(1);
    let mut sink = sink(&brokers.bootstrap_servers());
    sink.open(Slot(7), &place(2)).unwrap();
    let passing = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    brokers.request_errors(RDKafkaApiKey::Produce, &passing);
    for offset in 0..100 {
        sink.produce(Slot(7), &record(offset)).unwrap();
    }
    let delivered = |offset| Delivery { slot: Slot(7), offset, outcome: Ok(()) };
    assert_eq!(drain(&mut sink), (0..100).map(delivered).collect::<Vec<_>>());
    let mut source = source(&brokers.bootstrap_servers());
    source.assign(&[(Slot(0), place(2), Position::at(NextOffset(0)))]).unwrap();
    let (read, end) = read_to_end(&mut source);
    assert_eq!((read, end), ((0..100).map(|offset| (offset, Some(0))).collect(), NextOffset(100)));
}

#[test]
fn a_record_that_fails_for_good_ends_the_sink_with_its_own_kind() {
    let brokers = brokers(1);
    for (code, kind) in [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ErrorKind::RecordTooLarge),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, ErrorKind::InvalidTimestamp),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD, ErrorKind::InvalidRecord),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ErrorKind::InvalidRecord),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ErrorKind::TopicDenied),
    ] {
        let mut sink = sink(&brokers.bootstrap_servers());
        sink.open(Slot(0), &place(0)).unwrap();
        brokers.request_errors(RDKafkaApiKey::Produce, &[code]);
        sink.produce(Slot(0), &record(5)).unwrap();
        assert_eq!(drain(&mut sink), [Delivery { slot: Slot(0), offset: 5, outcome: Err(kind) }], "{code:?}");
        assert_eq!(sink.produce(Slot(0), &record(6)).unwrap_err().kind, ErrorKind::ProducerFatal, "{code:?}");
    }
}

#[test]
fn brokers_that_come_back_are_read_on_and_offsets_survive_the_client() {
    let brokers = brokers(1);
    let bootstrap = brokers.bootstrap_servers();
    let mut sink = sink(&bootstrap);
    sink.open(Slot(0), &place(0)).unwrap();
    let mut source = source(&bootstrap);
    source.assign(&[(Slot(0), place(0), Position::at(NextOffset(0)))]).unwrap();
    assert_eq!(read_to_end(&mut source), (Vec::new(), NextOffset(0)));
    brokers.broker_down(-1).expect("stop the brokers");
    sink.produce(Slot(0), &record(0)).unwrap();
    let trouble = wait_for_failure(&mut source);
    assert_eq!(trouble, ErrorKind::Unreachable);
    brokers.broker_up(-1).expect("start the brokers");
    assert_eq!(drain(&mut sink).len(), 1);
    assert_eq!(read_to_end(&mut source), (vec![(0, Some(0))], NextOffset(1)));

    brokers.coordinator(MockCoordinator::Group("group".to_owned()), 1).expect("set a coordinator");
    let stored =
        GroupOffset { next_offset: NextOffset(1), leader_epoch: Some(LeaderEpoch(0)), metadata: "m".to_owned() };
    assert_eq!(offsets(&bootstrap).commit(&[(place(0), stored.clone())]).unwrap(), [Ok(())]);
    let read = offsets(&bootstrap).read(&[place(1), place(0)]).unwrap();
    let [None, Some(read)] = &read[..] else { panic!("{read:?}") };
    assert_eq!((read.next_offset, &read.metadata), (stored.next_offset, &stored.metadata));
    let all = offsets(&bootstrap).read_all().unwrap();
    assert_eq!(all.iter().map(|(place, _)| place.clone()).collect::<Vec<_>>(), [place(0)]);
}

fn wait_for_failure(source: &mut LibrdkafkaSource) -> ErrorKind {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < DEADLINE, "no failure");
        if let Some(Polled::Failed { slot: None, error }) = source.poll(Duration::from_millis(100)) {
            return error.kind;
        }
    }
}
