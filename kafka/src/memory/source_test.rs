use std::time::Duration;

use common::ids::{Partition, TopicName, TopicPartition};
use common::offsets::{LeaderEpoch, NextOffset, Position};

use crate::error::ErrorKind;
use crate::memory::{MemoryCluster, MemorySource};
use crate::record::{Header, Record, Slot};
use crate::source::{Polled, Source};

const SLOT: Slot = Slot(0);

#[derive(PartialEq, Debug)]
enum Seen {
    Record(i64),
    End(i64),
    Failed(ErrorKind),
}
use Seen::{End, Failed};

fn cluster(records: usize) -> MemoryCluster {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("t", 1);
    fill(&cluster, records);
    cluster
}

fn fill(cluster: &MemoryCluster, records: usize) {
    for time in 0..records {
        cluster.append_text("t", 0, "k", "v", time as i64);
    }
}

fn reader(cluster: &MemoryCluster, position: Position) -> MemorySource {
    let mut source = MemorySource::new(cluster.clone());
    source.assign(&[(SLOT, place("t"), position)]).unwrap();
    source
}

fn place(topic: &str) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), Partition(0))
}

fn at(offset: i64) -> Position {
    Position::at(NextOffset(offset))
}

fn drain(source: &mut MemorySource) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(polled) = source.poll(Duration::ZERO) {
        seen.push(match polled {
            Polled::Record { record, .. } => Seen::Record(record.offset),
            Polled::End { position, .. } => End(position.0),
            Polled::Failed { error, .. } => Failed(error.kind),
        });
    }
    seen
}

#[test]
fn the_end_comes_with_a_position_past_control_records_and_holes() {
    let cluster = cluster(2);
    let mut source = reader(&cluster, at(0));
    assert_eq!(drain(&mut source), [Seen::Record(0), Seen::Record(1), End(2)]);
    cluster.append_control("t", 0);
    assert_eq!(drain(&mut source), [End(3)], "the position moved without a record");
    cluster.skip_to("t", 0, 10);
    fill(&cluster, 1);
    assert_eq!(drain(&mut source), [Seen::Record(10), End(11)]);
    assert_eq!(drain(&mut source), [], "nothing new, nothing told");
}

#[test]
fn records_of_an_open_transaction_are_hidden_and_those_of_an_aborted_one_never_seen() {
    let cluster = cluster(1);
    cluster.open_transaction("t", 0);
    fill(&cluster, 2);
    let mut source = reader(&cluster, at(0));
    assert_eq!(drain(&mut source), [Seen::Record(0), End(1)]);
    cluster.end_transaction("t", 0, true);
    assert_eq!(drain(&mut source), [Seen::Record(1), Seen::Record(2), End(4)]);
    cluster.open_transaction("t", 0);
    fill(&cluster, 3);
    cluster.end_transaction("t", 0, false);
    assert_eq!(drain(&mut source), [End(8)]);
    assert_eq!(cluster.records("t", 0).len(), 3);
}

#[test]
fn an_offset_out_of_range_fails_once_and_is_silent_until_assigned_again() {
    let cluster = cluster(5);
    cluster.delete_records("t", 0, 3);
    for offset in [2, 6] {
        let mut source = reader(&cluster, at(offset));
        assert_eq!(drain(&mut source), [Failed(ErrorKind::OffsetOutOfRange)], "{offset}");
        fill(&cluster, 0);
        assert_eq!(drain(&mut source), []);
        source.assign(&[(SLOT, place("t"), at(4))]).unwrap();
        assert_eq!(drain(&mut source), [Seen::Record(4), End(5)]);
    }
}

#[test]
fn a_topic_created_anew_is_read_on_in_silence_when_longer_and_fails_when_shorter() {
    let cluster = cluster(3);
    let id = cluster.topic_id("t").unwrap();
    let mut source = reader(&cluster, at(0));
    drain(&mut source);
    cluster.delete_topic("t");
    assert!(id.contradicts(cluster.create_topic("t", 1)));
    fill(&cluster, 5);
    assert_eq!(drain(&mut source), [Seen::Record(3), Seen::Record(4), End(5)], "the first three are never seen");
    cluster.delete_topic("t");
    cluster.create_topic("t", 1);
    assert_eq!(drain(&mut source), [Failed(ErrorKind::OffsetOutOfRange)]);
}

#[test]
fn a_log_cut_off_below_the_position_is_told_from_its_epoch() {
    let cluster = cluster(5);
    let mut source = reader(&cluster, at(0));
    drain(&mut source);
    cluster.truncate("t", 0, 2);
    fill(&cluster, 9);
    assert_eq!(drain(&mut source), [Failed(ErrorKind::Truncated)]);
    let known = Position { next_offset: NextOffset(4), leader_epoch: Some(LeaderEpoch(0)) };
    assert_eq!(drain(&mut reader(&cluster, known)), [Failed(ErrorKind::Truncated)]);
    assert_eq!(
        drain(&mut reader(&cluster, at(10))),
        [Seen::Record(10), End(11)],
        "without an epoch nothing is noticed"
    );
}

#[test]
fn missing_and_denied_topics_fail_alone() {
    let cluster = cluster(1);
    cluster.create_topic("denied", 1);
    cluster.set_denied("denied", true, false);
    let mut source = reader(&cluster, at(0));
    source.assign(&[(Slot(1), place("denied"), at(0)), (Slot(2), place("missing"), at(0))]).unwrap();
    let seen = drain(&mut source);
    assert_eq!(seen, [Seen::Record(0), Failed(ErrorKind::TopicDenied), Failed(ErrorKind::UnknownTopic), End(1)]);
}

#[test]
fn a_paused_or_stalled_partition_is_silent_and_goes_on_where_it_stood() {
    let cluster = cluster(2);
    let mut source = reader(&cluster, at(0));
    source.pause(SLOT).unwrap();
    assert_eq!(drain(&mut source), []);
    source.resume(SLOT).unwrap();
    cluster.stall_partition("t", 0);
    assert_eq!(drain(&mut source), []);
    cluster.unstall_partition("t", 0);
    assert_eq!(drain(&mut source), [Seen::Record(0), Seen::Record(1), End(2)]);
    source.pause(SLOT).unwrap();
    source.resume(SLOT).unwrap();
    assert_eq!(drain(&mut source), [End(2)], "the end is told anew after a pause");
    source.unassign(&[SLOT, Slot(9)]).unwrap();
    fill(&cluster, 1);
    assert_eq!(drain(&mut source), []);
}

#[test]
fn partitions_take_turns_and_an_unreachable_cluster_is_told_of_once() {
    let cluster = cluster(2);
    let mut source = reader(&cluster, at(0));
    source.assign(&[(Slot(5), place("t"), at(0))]).unwrap();
    assert_eq!(drain(&mut source)[..4], [Seen::Record(0), Seen::Record(0), Seen::Record(1), Seen::Record(1)]);
    fill(&cluster, 1);
    cluster.set_unreachable(true);
    assert_eq!(drain(&mut source), [Failed(ErrorKind::Unreachable)]);
    assert_eq!(drain(&mut source), []);
    cluster.set_unreachable(false);
    assert_eq!(drain(&mut source).len(), 4);
}

#[test]
fn null_and_empty_stay_apart_in_keys_values_and_headers() {
    let cluster = cluster(0);
    let headers = [Header { name: b"h", value: None }, Header { name: b"h", value: Some(b"") }];
    let record =
        Record { offset: 0, leader_epoch: None, timestamp_ms: None, key: Some(b""), value: None, headers: &headers };
    cluster.append("t", 0, &record);
    let mut source = reader(&cluster, at(0));
    let Some(Polled::Record { record: read, .. }) = source.poll(Duration::ZERO) else { panic!("a record") };
    assert_eq!(read, Record { leader_epoch: Some(LeaderEpoch(0)), ..record });
}
