use std::collections::BTreeMap;

use common::ids::{Partition, TopicName, TopicPartition};

use crate::error::ErrorKind;
use crate::memory::{Faults, MemoryCluster, MemorySink};
use crate::record::{Record, Slot};
use crate::sink::{Delivery, Sink, SinkBounds};

const BOUNDS: SinkBounds = SinkBounds { queued_bytes: 1000, batch_bytes: 1000 };

fn cluster(partitions: u32) -> MemoryCluster {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("t", partitions);
    cluster
}

/// A sink with slot n open for partition n.
fn sink(cluster: &MemoryCluster, partitions: u32) -> MemorySink {
    let mut sink = MemorySink::new(cluster.clone(), BOUNDS);
    for partition in 0..partitions {
        let target = TopicPartition::new(TopicName::new("t").unwrap(), Partition(partition));
        sink.open(Slot(partition as u16), &target).unwrap();
    }
    sink
}

fn produce(sink: &mut MemorySink, slot: u16, offset: i64) -> Result<(), ErrorKind> {
    let value = offset.to_be_bytes();
    let value = Some(&value[..]);
    let record = Record { offset, leader_epoch: None, timestamp_ms: Some(0), key: Some(b"k"), value, headers: &[] };
    sink.produce(Slot(slot), &record).map_err(|error| error.kind)
}

/// Slot, source offset, outcome.
type Told = (u16, i64, Result<(), ErrorKind>);

fn serve(sink: &mut MemorySink) -> Vec<Told> {
    let mut deliveries = Vec::new();
    sink.serve(&mut deliveries);
    deliveries.iter().map(|Delivery { slot, offset, outcome }| (slot.0, *offset, *outcome)).collect()
}

/// The source offsets that a target partition holds.
fn written(cluster: &MemoryCluster, partition: u32) -> Vec<i64> {
    let value = |value: Option<Vec<u8>>| i64::from_be_bytes(value.unwrap().try_into().unwrap());
    cluster.records("t", partition).into_iter().map(|record| value(record.value)).collect()
}

#[test]
fn a_record_is_written_and_delivered_by_serve_only() {
    let cluster = cluster(1);
    let mut sink = sink(&cluster, 1);
    produce(&mut sink, 0, 7).unwrap();
    assert_eq!((sink.outstanding(), written(&cluster, 0)), (1, vec![]));
    assert_eq!(serve(&mut sink), [(0, 7, Ok(()))]);
    assert_eq!((sink.outstanding(), written(&cluster, 0)), (0, vec![7]));
}

#[test]
fn the_queue_is_bounded_in_bytes_of_what_is_outstanding() {
    let cluster = cluster(1);
    let mut sink = sink(&cluster, 1);
    cluster.stall();
    let queued = (0..).take_while(|offset| produce(&mut sink, 0, *offset).is_ok()).count();
    assert_eq!(queued, 1000 / 9 + 1, "the last one overshoots");
    assert_eq!(produce(&mut sink, 0, 999), Err(ErrorKind::QueueFull));
    assert_eq!(serve(&mut sink), []);
    cluster.unstall();
    assert_eq!(serve(&mut sink).len(), queued);
    produce(&mut sink, 0, 999).unwrap();
}

#[test]
fn a_stalled_partition_holds_up_no_other() {
    let cluster = cluster(2);
    let mut sink = sink(&cluster, 2);
    cluster.stall_partition("t", 0);
    produce(&mut sink, 0, 1).unwrap();
    produce(&mut sink, 1, 2).unwrap();
    assert_eq!(serve(&mut sink), [(1, 2, Ok(()))]);
    cluster.unstall_partition("t", 0);
    assert_eq!(serve(&mut sink), [(0, 1, Ok(()))]);
}

#[test]
fn a_refused_record_ends_the_sink_and_nothing_after_it_is_written() {
    let cluster = cluster(2);
    let mut sink = sink(&cluster, 2);
    cluster.refuse_record("t", 0, 11, ErrorKind::InvalidTimestamp);
    for offset in 10..13 {
        produce(&mut sink, 0, offset).unwrap();
    }
    produce(&mut sink, 1, 20).unwrap();
    let fatal = Err(ErrorKind::ProducerFatal);
    assert_eq!(
        serve(&mut sink),
        [(0, 10, Ok(())), (0, 11, Err(ErrorKind::InvalidTimestamp)), (0, 12, fatal), (1, 20, fatal)]
    );
    assert_eq!((written(&cluster, 0), written(&cluster, 1)), (vec![10], vec![]));
    assert_eq!(produce(&mut sink, 1, 21), fatal);
    assert_eq!(sink.outstanding(), 0);
    let mut again = self::sink(&cluster, 2);
    produce(&mut again, 0, 11).unwrap();
    assert_eq!(serve(&mut again), [(0, 11, Ok(()))], "refused once");
}

#[test]
fn what_was_in_flight_behind_a_refused_beginning_is_written_without_it() {
    for (begun, expected) in [(false, vec![11, 12]), (true, vec![9])] {
        let cluster = cluster(1);
        cluster.set_faults(Faults { late_write: 1000, ..Faults::none() });
        let mut sink = sink(&cluster, 1);
        if begun {
            produce(&mut sink, 0, 9).unwrap();
            assert_eq!(serve(&mut sink), [(0, 9, Ok(()))]);
        }
        cluster.refuse_record("t", 0, 10, ErrorKind::RecordTooLarge);
        for offset in 10..13 {
            produce(&mut sink, 0, offset).unwrap();
        }
        let purged = Err(ErrorKind::Purged);
        let told = [(0, 10, Err(ErrorKind::RecordTooLarge)), (0, 11, purged), (0, 12, purged)];
        assert_eq!(serve(&mut sink), told);
        assert_eq!(written(&cluster, 0), expected, "begun: {begun}");
    }
}

#[test]
fn the_targets_own_rules_refuse_records() {
    let cases: &[(&str, &str, ErrorKind)] = &[("max.message.bytes", "70", ErrorKind::RecordTooLarge)];
    for (key, value, kind) in cases {
        let cluster = cluster(1);
        cluster.set_config("t", key, value);
        let mut sink = sink(&cluster, 1);
        produce(&mut sink, 0, 1).unwrap();
        assert_eq!(serve(&mut sink), [(0, 1, Err(*kind))]);
    }
    let cluster = cluster(1);
    cluster.set_config("t", "cleanup.policy", "compact,delete");
    let mut sink = sink(&cluster, 1);
    let record = Record { offset: 1, leader_epoch: None, timestamp_ms: None, key: None, value: None, headers: &[] };
    sink.produce(Slot(0), &record).unwrap();
    assert_eq!(serve(&mut sink), [(0, 1, Err(ErrorKind::InvalidRecord))]);
    for (topic, kind) in [("t", ErrorKind::TopicDenied), ("gone", ErrorKind::UnknownTopic)] {
        cluster.set_denied("t", false, true);
        let mut sink = MemorySink::new(cluster.clone(), BOUNDS);
        sink.open(Slot(0), &TopicPartition::new(TopicName::new(topic).unwrap(), Partition(0))).unwrap();
        sink.produce(Slot(0), &record).unwrap();
        assert_eq!(serve(&mut sink), [(0, 1, Err(kind))]);
    }
}

#[test]
fn purging_serves_everything_outstanding_as_purged() {
    let cluster = cluster(1);
    let mut sink = sink(&cluster, 1);
    produce(&mut sink, 0, 1).unwrap();
    sink.close(Slot(0));
    sink.purge();
    assert_eq!(sink.outstanding(), 1);
    assert_eq!(serve(&mut sink), [(0, 1, Err(ErrorKind::Purged))]);
    sink.open(Slot(0), &TopicPartition::new(TopicName::new("t").unwrap(), Partition(0))).unwrap();
    assert_eq!(produce(&mut sink, 0, 2), Err(ErrorKind::ProducerFatal));
}

#[test]
#[should_panic(expected = "1 records of it are outstanding")]
fn opening_a_slot_with_records_outstanding_is_a_mistake() {
    let cluster = cluster(1);
    let mut sink = sink(&cluster, 1);
    produce(&mut sink, 0, 1).unwrap();
    sink.close(Slot(0));
    sink.open(Slot(0), &TopicPartition::new(TopicName::new("t").unwrap(), Partition(0))).unwrap();
}

/// What one sink did with 40 records of each of three partitions: its deliveries in order, and the logs.
fn rough_run(seed: u64) -> (Vec<Told>, Vec<Vec<i64>>) {
    let cluster = cluster(3);
    cluster.set_faults(Faults { refused: 8, ..Faults::rough(seed) });
    let mut sink = MemorySink::new(cluster.clone(), SinkBounds { queued_bytes: 10_000, batch_bytes: 1000 });
    let mut deliveries = Vec::new();
    for slot in 0..3 {
        let target = TopicPartition::new(TopicName::new("t").unwrap(), Partition(slot));
        sink.open(Slot(slot as u16), &target).unwrap();
    }
    for offset in 0..40 {
        for slot in 0..3 {
            if produce(&mut sink, slot, offset).is_err() {
                break;
            }
        }
        if offset % 4 == 3 {
            deliveries.extend(serve(&mut sink));
        }
    }
    while sink.outstanding() > 0 {
        deliveries.extend(serve(&mut sink));
    }
    (deliveries, (0..3).map(|partition| written(&cluster, partition)).collect())
}

#[test]
fn under_faults_order_is_kept_and_no_log_has_a_gap_but_at_its_beginning() {
    let (mut fatal, mut unacknowledged, mut unwritten, mut beheaded) = (0, 0, 0, 0);
    for seed in 0..300 {
        let (deliveries, logs) = rough_run(seed);
        assert_eq!(rough_run(seed), (deliveries.clone(), logs.clone()), "seed {seed} repeats itself");
        let mut delivered: BTreeMap<u16, Vec<(i64, bool)>> = BTreeMap::new();
        for (slot, offset, outcome) in &deliveries {
            delivered.entry(*slot).or_default().push((*offset, outcome.is_ok()));
            fatal += usize::from(*outcome == Err(ErrorKind::ProducerFatal));
        }
        for (slot, log) in logs.iter().enumerate() {
            let told = &delivered[&(slot as u16)];
            assert!(told.iter().map(|(offset, _)| *offset).eq(0..told.len() as i64), "seed {seed}: in order, once");
            let acknowledged = told.iter().filter(|(_, is_ok)| *is_ok).count();
            let begin = log.first().copied().unwrap_or(0);
            assert!(log.iter().copied().eq(begin..begin + log.len() as i64), "seed {seed}: a gap in {log:?}");
            if begin > 0 {
                assert_eq!(acknowledged, 0, "seed {seed}: {begin} is the first");
                beheaded += 1;
            }
            assert!(told.iter().take(acknowledged).all(|(_, is_ok)| *is_ok), "seed {seed}: one prefix");
            assert!(acknowledged <= log.len(), "seed {seed}: acknowledged but not written");
            unacknowledged += log.len() - acknowledged;
            unwritten += told.len() - log.len();
        }
    }
    let counts = [fatal, unacknowledged, unwritten, beheaded];
    assert!(counts.iter().zip([100, 100, 100, 5]).all(|(count, least)| *count > least), "{counts:?}");
}
