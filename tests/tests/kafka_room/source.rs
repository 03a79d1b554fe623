//! Reading.

use std::time::{Duration, Instant};

use kafka::error::ErrorKind;
use kafka::record::Slot;
use kafka::source::Source;
use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::produce::{NewRecord, Producer};

use super::*;

fn numbered(partition: i32, numbers: std::ops::Range<i32>) -> Vec<NewRecord> {
    numbers.map(|number| NewRecord::new(partition, "k", format!("{number}"))).collect()
}

#[test]
fn the_end_lies_behind_the_markers_of_an_aborted_transaction() {
    let (cluster, _) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-aborted", 1, &[]);
    let producer = Producer::transactional(cluster.bootstrap(), "room-aborted");
    producer.begin();
    producer.send_all("room-aborted", &numbered(0, 0..2));
    producer.commit();
    producer.begin();
    producer.send_all("room-aborted", &numbered(0, 2..5));
    producer.abort();
    let mut source = source(cluster.bootstrap());
    source.assign(&[at(3, "room-aborted", 0, 0)]).unwrap();
    let seen = poll_until(&mut source, "the end", |seen| *seen == Seen::End(3, 7));
    assert_eq!(seen_offsets(&seen, 3), [0, 1], "2 records, a marker, 3 aborted records, a marker: {seen:?}");
    Producer::new(cluster.bootstrap()).send_all("room-aborted", &numbered(0, 5..6));
    let seen = poll_until(&mut source, "the next end", |seen| *seen == Seen::End(3, 8));
    assert_eq!(seen_offsets(&seen, 3), [7], "{seen:?}");
}

#[test]
fn an_assignment_at_another_offset_drops_what_was_read_ahead() {
    let (cluster, _) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-rewind", 2, &[]);
    let both = [numbered(0, 0..20_000), numbered(1, 0..20_000)].concat();
    Producer::new(cluster.bootstrap()).send_all("room-rewind", &both);
    let mut source = source(cluster.bootstrap());
    source.assign(&[at(0, "room-rewind", 0, 0), at(1, "room-rewind", 1, 0)]).unwrap();
    let mut expected = [0, 0];
    for (round, start) in [(0, 15_000), (1, 100), (2, 0), (3, 19_000), (4, 7)] {
        for _ in 0..2_000 {
            match poll(&mut source, MINUTE).expect("something to read") {
                Seen::Record(slot, record) => {
                    assert_eq!(record.offset, expected[usize::from(slot)], "round {round}, slot {slot}");
                    expected[usize::from(slot)] += 1;
                }
                Seen::End(slot, position) => assert_eq!(position, expected[usize::from(slot)]),
                failed => panic!("{failed:?}"),
            }
        }
        source.assign(&[at(0, "room-rewind", 0, start)]).unwrap();
        expected[0] = start;
    }
    source.unassign(&[Slot(1), Slot(9)]).unwrap();
    let seen = until_end(&mut source, 0);
    assert_eq!(seen_offsets(&seen, 0), (7..20_000).collect::<Vec<_>>());
    assert_eq!(seen_offsets(&seen, 1), [0; 0], "an unassigned partition is silent");
}

#[test]
fn an_offset_that_does_not_exist_fails_its_partition_alone() {
    let (cluster, _) = shared();
    let admin = Admin::new(cluster.bootstrap());
    admin.create_topic("room-range", 3, &[]);
    let producer = Producer::new(cluster.bootstrap());
    for partition in 0..3 {
        producer.send_all("room-range", &numbered(partition, 0..10));
    }
    admin.delete_records("room-range", 1, 6);
    let mut source = source(cluster.bootstrap());
    let places = [at(0, "room-range", 0, 11), at(1, "room-range", 1, 5), at(2, "room-range", 2, 0)];
    source.assign(&places).unwrap();
    let (mut failed, mut ended) = (Vec::new(), false);
    poll_until(&mut source, "two failures and an end", |seen| {
        match seen {
            Seen::Failed(slot, ErrorKind::OffsetOutOfRange, _) => failed.push(*slot),
            Seen::Record(2, _) => {}
            Seen::End(2, 10) => ended = true,
            other => panic!("{other:?}"),
        }
        failed.len() == 2 && ended
    });
    failed.sort();
    assert_eq!(failed, [Some(0), Some(1)]);
    // Silence until it is assigned again.
    producer.send_all("room-range", &numbered(0, 10..12));
    producer.send_all("room-range", &numbered(2, 10..11));
    let seen = poll_until(&mut source, "the new end", |seen| *seen == Seen::End(2, 11));
    assert_eq!(seen_offsets(&seen, 2), [10], "{seen:?}");
    assert_eq!(poll(&mut source, Duration::from_millis(500)), None);
    source.assign(&[at(1, "room-range", 1, 6), at(0, "room-range", 0, 11)]).unwrap();
    let mut ends = Vec::new();
    let seen = poll_until(&mut source, "both ends", |seen| {
        ends.extend(if let Seen::End(slot, _) = seen { Some(*slot) } else { None });
        ends.len() == 2
    });
    assert_eq!((seen_offsets(&seen, 1), seen_offsets(&seen, 0)), ((6..10).collect(), vec![11]), "{seen:?}");
}

#[test]
fn a_late_error_of_an_earlier_position_is_not_reported() {
    let (cluster, _) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-late", 1, &[]);
    Producer::new(cluster.bootstrap()).send_all("room-late", &numbered(0, 0..10));
    let mut source = source(cluster.bootstrap());
    for _ in 0..20 {
        source.assign(&[at(0, "room-late", 0, 99)]).unwrap();
        // Long enough for the error to lie in the queue.
        std::thread::sleep(Duration::from_millis(30));
        source.assign(&[at(0, "room-late", 0, 3)]).unwrap();
        let seen = until_end(&mut source, 0);
        assert_eq!(seen_offsets(&seen, 0), (3..10).collect::<Vec<_>>(), "{seen:?}");
        assert_eq!(seen.len(), 8, "{seen:?}");
    }
}

#[test]
fn a_missing_topic_and_a_missing_partition_fail_alone_and_a_new_topic_is_read_at_once() {
    let (cluster, _) = shared();
    let admin = Admin::new(cluster.bootstrap());
    admin.create_topic("room-there", 1, &[]);
    let mut source = source(cluster.bootstrap());
    let places = [at(0, "room-there", 0, 0), at(1, "room-there", 1, 0), at(2, "room-not-there", 0, 0)];
    source.assign(&places).unwrap();
    let mut failed = Vec::new();
    poll_until(&mut source, "both failures", |seen| {
        match seen {
            Seen::Failed(slot, ErrorKind::UnknownTopic, _) => failed.push(*slot),
            Seen::End(0, 0) => {}
            other => panic!("{other:?}"),
        }
        failed.len() == 2
    });
    failed.sort();
    assert_eq!(failed, [Some(1), Some(2)]);
    admin.create_topic("room-brand-new", 1, &[]);
    Producer::new(cluster.bootstrap()).send_all("room-brand-new", &numbered(0, 0..1));
    let started = Instant::now();
    source.assign(&[at(5, "room-brand-new", 0, 0)]).unwrap();
    let seen = until_end(&mut source, 5);
    assert_eq!(seen_offsets(&seen, 5), [0]);
    assert!(started.elapsed() < Duration::from_millis(350), "the first record took {:?}", started.elapsed());
    admin.delete_topic("room-there");
    let denied = |seen: &Seen| matches!(seen, Seen::Failed(Some(0), ErrorKind::UnknownTopic, _));
    poll_until(&mut source, "the deleted topic's failure", denied);
}

#[test]
fn a_paused_partition_is_silent_and_goes_on_where_it_stood() {
    let (cluster, _) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-paused", 1, &[]);
    Producer::new(cluster.bootstrap()).send_all("room-paused", &numbered(0, 0..1_000));
    let mut source = source(cluster.bootstrap());
    source.assign(&[at(0, "room-paused", 0, 0)]).unwrap();
    let first = poll_until(&mut source, "a record", |seen| matches!(seen, Seen::Record(..)));
    assert_eq!(seen_offsets(&first, 0), [0]);
    source.pause(Slot(0)).unwrap();
    assert_eq!(poll(&mut source, Duration::from_millis(300)), None);
    source.resume(Slot(0)).unwrap();
    let rest = until_end(&mut source, 0);
    assert_eq!(seen_offsets(&rest, 0), (1..1_000).collect::<Vec<_>>());
    // An assignment is never paused, whatever was before.
    source.pause(Slot(0)).unwrap();
    source.assign(&[at(0, "room-paused", 0, 990)]).unwrap();
    assert_eq!(seen_offsets(&until_end(&mut source, 0), 0), (990..1_000).collect::<Vec<_>>());
    source.pause(Slot(0)).unwrap();
    source.unassign(&[Slot(0)]).unwrap();
    source.assign(&[at(4, "room-paused", 0, 995)]).unwrap();
    assert_eq!(seen_offsets(&until_end(&mut source, 4), 4), (995..1_000).collect::<Vec<_>>());
}

#[test]
fn a_record_larger_than_all_bounds_of_reading_comes_through() {
    let (cluster, _) = shared();
    let size = 9 * MIB;
    Admin::new(cluster.bootstrap()).create_topic("room-large", 1, &[("max.message.bytes", "10485760")]);
    let value: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
    let producer = Producer::with(cluster.bootstrap(), &[("message.max.bytes", "10485760")]);
    producer.send_all("room-large", &[NewRecord::new(0, "k", "small"), NewRecord::new(0, "k", value.clone())]);
    let mut source = source_with(cluster.bootstrap(), &[], MIB);
    source.assign(&[at(0, "room-large", 0, 0)]).unwrap();
    let seen = until_end(&mut source, 0);
    let Some(Seen::Record(0, record)) = seen.get(1) else { panic!("no second record") };
    assert!(record.value.as_deref() == Some(&value[..]), "the large value is another one");
    assert!(record.leader_epoch.is_some(), "a broker tells the leader epoch");
}

#[test]
fn an_unreachable_cluster_blocks_nothing_and_is_reported_without_a_slot() {
    let mut source = source("127.0.0.1:1");
    let started = Instant::now();
    source.assign(&[at(0, "room-nowhere", 0, 0), at(1, "room-nowhere-2", 0, 0)]).unwrap();
    assert!(started.elapsed() < Duration::from_millis(400), "assigning took {:?}", started.elapsed());
    let unreachable = |seen: &Seen| matches!(seen, Seen::Failed(None, ErrorKind::Unreachable, _));
    poll_until(&mut source, "the cluster's failure", unreachable);
    let started = Instant::now();
    drop(source);
    assert!(started.elapsed() < Duration::from_secs(1), "dropping took {:?}", started.elapsed());
}
