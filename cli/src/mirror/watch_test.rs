use common::assignment::{Phase, Progress};
use common::ids::{Epoch, Partition, RouteName, RoutePartition, TopicName, TopicPartition};
use common::offsets::NextOffset;
use common::reason::{Reason, Side};

use super::*;
use crate::failure::Exit;

fn partition(number: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new("t").expect("legal"), Partition(number))
}

fn at(stored: i64, phase: Phase) -> PartitionView {
    let route = RouteName::new("mirror").expect("legal");
    let progress = Progress {
        partition: RoutePartition { route, topic: TopicName::new("t").expect("legal"), partition: Partition(0) },
        epoch: Epoch(1),
        next_offset: Some(NextOffset(stored)),
        stored_offset: Some(NextOffset(stored)),
        source_end: None,
        source_high_watermark: None,
        lag_time: Duration::ZERO,
        records: 0,
        bytes: 0,
    };
    PartitionView { phase: Some(phase), progress: Some(progress) }
}

fn view(states: Vec<PartitionView>) -> View {
    let partitions = (0..).map(partition).zip(states).collect();
    View { looked: true, partitions, ..View::default() }
}

fn until(ends: &[i64]) -> Watch {
    let ends = (0..).map(partition).zip(ends.iter().map(|end| NextOffset(*end))).collect();
    Watch::new(Some(ends), false, "g")
}

fn too_large() -> Phase {
    Phase::held(Reason::RecordTooLarge { offset: 3, size: 10, limit: 5 })
}

fn too_few(source: u32) -> Reason {
    Reason::TooFewPartitions { topic: partition(0).topic, source, target: 1 }
}

#[test]
fn it_is_done_when_each_stored_offset_has_reached_its_end() {
    let now = Instant::now();
    let mut watch = until(&[5, 0]);
    assert_eq!(watch.judge(&View::default(), now), Verdict::GoOn);
    assert_eq!(watch.judge(&view(vec![at(4, Phase::Copying), at(0, Phase::Copying)]), now), Verdict::GoOn);
    assert_eq!(watch.judge(&view(vec![at(6, Phase::Copying), at(0, Phase::Copying)]), now), Verdict::Done);
}

#[test]
fn no_partition_at_all_is_an_end_reached() {
    assert_eq!(until(&[]).judge(&View::default(), Instant::now()), Verdict::Done);
}

#[test]
fn without_an_end_it_goes_on() {
    let mut watch = Watch::new(None, false, "g");
    assert_eq!(watch.judge(&view(vec![at(6, too_large())]), Instant::now()), Verdict::GoOn);
}

#[test]
fn what_stands_still_is_named_after_thirty_seconds_though_it_is_tried_now_and_then() {
    let start = Instant::now();
    let mut watch = until(&[5, 5]);
    for second in 0..30 {
        let phase = if second % 7 == 3 { Phase::Copying } else { too_large() };
        let verdict =
            watch.judge(&view(vec![at(5, Phase::Copying), at(3, phase)]), start + Duration::from_secs(second));
        assert_eq!(verdict, Verdict::GoOn, "second {second}");
    }
    let verdict = watch.judge(&view(vec![at(5, Phase::Copying), at(3, too_large())]), start + Duration::from_secs(30));
    let Verdict::Stop(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.text.contains("t/1: the record at offset 3"), "{failure}");
    assert!(!failure.text.contains("t/0"), "{failure}");
}

#[test]
fn what_moves_is_waited_for() {
    let start = Instant::now();
    let mut watch = until(&[100, 5]);
    for second in 0..90_u64 {
        let moving = at(i64::try_from(second).expect("small"), Phase::Copying);
        let verdict = watch.judge(&view(vec![moving, at(3, too_large())]), start + Duration::from_secs(second));
        assert_eq!(verdict, Verdict::GoOn, "second {second}");
    }
}

#[test]
fn a_topic_that_waits_counts_as_standing_still() {
    let start = Instant::now();
    let mut watch = until(&[5]);
    let mut view = View { looked: true, ..View::default() };
    view.waiting.insert(partition(0).topic, too_few(4));
    assert_eq!(watch.judge(&view, start), Verdict::GoOn);
    assert!(matches!(watch.judge(&view, start + HELD_PATIENCE), Verdict::Stop(_)));
}

#[test]
fn partitions_the_target_has_no_room_for_are_named_and_their_neighbours_are_not() {
    let start = Instant::now();
    let mut watch = until(&[5, 5]);
    let mut view = view(vec![at(5, Phase::Copying)]);
    view.beyond.insert(partition(0).topic, too_few(2));
    assert_eq!(watch.judge(&view, start), Verdict::GoOn);
    let Verdict::Stop(failure) = watch.judge(&view, start + HELD_PATIENCE) else { panic!("still going on") };
    assert!(
        failure.text.contains("t/1: the target topic's partitions are 1") && !failure.text.contains("t/0"),
        "{failure}"
    );
}

#[test]
fn a_topic_that_vanished_does_not_keep_it_from_ending() {
    let start = Instant::now();
    let mut watch = until(&[5]);
    let view = View { looked: true, ..View::default() };
    assert_eq!(watch.judge(&view, start), Verdict::GoOn);
    assert!(matches!(watch.judge(&view, start + HELD_PATIENCE), Verdict::Stop(_)));
}

#[test]
fn a_newer_mirror_stops_this_one_at_once() {
    let reason = Reason::Superseded { epoch: Epoch(7), session: None };
    let verdict = until(&[5]).judge(&view(vec![at(3, Phase::held(reason))]), Instant::now());
    let Verdict::Stop(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.exit, Exit::Conflict);
}

#[test]
fn members_of_the_group_are_waited_for_a_minute() {
    let start = Instant::now();
    let mut watch = Watch::new(None, false, "g");
    let busy = view(vec![at(3, Phase::held(Reason::GroupHasMembers))]);
    let free = view(vec![at(3, Phase::Copying)]);
    assert_eq!(watch.judge(&busy, start), Verdict::GoOn);
    assert_eq!(watch.judge(&free, start + Duration::from_secs(59)), Verdict::GoOn);
    assert_eq!(watch.judge(&busy, start + Duration::from_secs(60)), Verdict::GoOn);
    let verdict = watch.judge(&busy, start + Duration::from_secs(120));
    assert!(matches!(verdict, Verdict::Stop(Failure { exit: Exit::Conflict, .. })), "{verdict:?}");
}

#[test]
fn a_refused_record_ends_it_only_when_asked_to() {
    let now = Instant::now();
    let refused = view(vec![at(3, too_large())]);
    assert_eq!(Watch::new(None, false, "g").judge(&refused, now), Verdict::GoOn);
    assert!(matches!(Watch::new(None, true, "g").judge(&refused, now), Verdict::Stop(_)));
    let denied = view(vec![at(3, Phase::held(Reason::Denied { side: Side::Source }))]);
    assert_eq!(Watch::new(None, true, "g").judge(&denied, now), Verdict::GoOn);
}
