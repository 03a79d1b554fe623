//! What a lane does in each trouble.

use common::ids::Epoch;
use kafka::offsets::GroupOffset;

use super::world_test::*;
use super::*;
use crate::engine::ledger::{Answer, Question};

#[test]
fn everything_is_copied_and_stored_past_holes_and_control_records() {
    let mut world = World::new(2);
    fill(&world, 0, 0..1_000);
    world.source.append_control("t", 0);
    world.source.skip_to("t", 0, 2_000);
    world.start(2);
    world.run_until("both are copied", |world| world.is_copied(0) && world.is_copied(1));
    assert_eq!((world.stored(0), world.stored(1)), (Some(2_000), Some(0)));
    world.check_order(0);
    assert_eq!(world.target.records("t", 0).len(), 1_000);
}

#[test]
fn a_foreseen_refusal_holds_its_partition_alone_and_heals() {
    let mut world = World::new(2);
    world.target.set_config("t", "max.message.bytes", "500");
    fill(&world, 0, 0..10);
    world.source.append_text("t", 0, "key", &"x".repeat(1_000), 900_000);
    fill(&world, 0, 11..20);
    fill(&world, 1, 0..20);
    world.start(2);
    world.run_until("the other is copied", |world| world.is_copied(1));
    assert!(
        matches!(world.held(0), Some(Reason::RecordTooLarge { offset: 10, limit: 500, .. })),
        "{:?}",
        world.held(0)
    );
    world.run_for(2 * MINUTE);
    assert_eq!(world.stored(0), Some(10));
    world.target.set_config("t", "max.message.bytes", "5000");
    world.run_until("it is mended", |world| world.is_copied(0));
    assert_eq!(world.target.records("t", 0).len(), 20, "nothing came twice");
}

#[test]
fn an_unforeseen_refusal_holds_its_partition_and_disturbs_the_others_once() {
    let mut world = World::new(2);
    fill(&world, 0, 0..50);
    fill(&world, 1, 0..50);
    world.target.refuse_record("t", 0, 20, ErrorKind::InvalidRecord);
    world.start(2);
    world.run_until("the other is copied", |world| world.is_copied(1));
    world.run_for(Duration::from_secs(2));
    assert!(matches!(world.held(0), Some(Reason::RecordRefused { offset: 20, .. })), "{:?}", world.held(0));
    assert_eq!(world.stored(0), Some(20));
    world.check_order(0);
    world.check_order(1);
}

#[test]
fn a_denied_topic_goes_on_when_the_right_is_back() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.target.set_denied("t", false, true);
    world.start(1);
    world.run_for(MINUTE);
    assert_eq!(world.held(0), Some(Reason::Denied { side: Side::Target }));
    world.target.set_denied("t", false, false);
    world.run_until("it is copied", |world| world.is_copied(0));
    assert_eq!(world.target.records("t", 0).len(), 10);
}

#[test]
fn a_recreated_topic_is_held_before_anything_is_stored_for_it() {
    for side in [Side::Source, Side::Target] {
        let mut world = World::new(1);
        fill(&world, 0, 0..10);
        world.start(1);
        world.run_until("it is copied", |world| world.is_copied(0));
        let recreated = if side == Side::Source { &world.source } else { &world.target };
        recreated.delete_topic("t");
        recreated.create_topic("t", 1);
        fill(&world, 0, 10..40);
        world.run_for(Duration::from_secs(5));
        assert!(matches!(world.held(0), Some(Reason::TopicRecreated { .. })), "{:?}", world.held(0));
        // a cluster forgets the offsets of a topic that is deleted
        let expected = if side == Side::Source { None } else { Some(10) };
        assert_eq!(world.stored(0), expected, "{side}");
    }
}

#[test]
fn a_lost_range_is_reported_with_its_numbers() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.process = None;
    fill(&world, 0, 10..50);
    world.source.delete_records("t", 0, 30);
    world.start(1);
    world.run_for(Duration::from_secs(3));
    let lost = Reason::OutOfRange { next: NextOffset(10), log_start: NextOffset(30), log_end: NextOffset(50) };
    assert_eq!(world.held(0), Some(lost));
    assert_eq!(world.target.records("t", 0).len(), 10);
}

#[test]
fn a_newer_owner_ends_an_older_one() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    let older = world.process.take();
    world.start(1);
    world.run_until("the newer one claimed", |world| world.phases() == [Phase::Copying]);
    world.process = older;
    world.run_for(Duration::from_secs(2));
    assert!(matches!(world.held(0), Some(Reason::Superseded { epoch: Epoch(2), .. })), "{:?}", world.held(0));
}

#[test]
fn a_lane_that_stood_still_writes_nothing_more_of_what_others_have_taken_over() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is stored", |world| world.stored(0) == Some(10));
    let stopped = world.process.take();
    world.start(1);
    fill(&world, 0, 10..400);
    world.run_until("the new owner copied it", |world| world.is_copied(0));
    world.run_for(Duration::from_secs(5));
    world.process = stopped;
    world.run_for(Duration::from_secs(2));
    assert!(matches!(world.held(0), Some(Reason::Superseded { .. })), "{:?}", world.held(0));
    assert_eq!(world.target.records("t", 0).len(), 400, "nothing came twice");
}

#[test]
fn a_lane_that_stood_still_and_is_still_the_owner_goes_on() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is stored", |world| world.stored(0) == Some(10));
    world.now += MINUTE;
    fill(&world, 0, 10..400);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.check_order(0);
    assert_eq!(world.target.records("t", 0).len(), 400, "nothing came twice");
}

#[test]
fn a_release_finishes_what_is_in_flight_and_stores_it() {
    let mut world = World::new(2);
    fill(&world, 0, 0..500);
    world.start(2);
    world.run_for(Duration::from_millis(3));
    world.stop_all(2, 10 * MINUTE);
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    let arrived = world.target.records("t", 0).len();
    assert_eq!(world.stored(0), Some(i64::try_from(arrived).expect("few")));
    world.start(2);
    world.run_until("the next owner copied the rest", |world| world.is_copied(0));
    assert_eq!(world.target.records("t", 0).len(), 500, "nothing came twice");
}

#[test]
fn an_answer_about_an_older_floor_releases_nothing() {
    let mut world = World::new(1);
    world.start(1);
    fill(&world, 0, 0..100);
    world.run_until("all is stored", |world| world.stored(0) == Some(100));
    world.process.as_mut().expect("runs").ledger.is_slow = true;
    world.run_for(Duration::from_secs(2));
    fill(&world, 0, 100..300);
    world.run_until("more has arrived", |world| world.target.records("t", 0).len() == 300);
    world.stop_all(1, MINUTE);
    world.run_for(Duration::from_millis(10));
    world.process.as_mut().expect("runs").ledger.is_slow = false;
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    assert_eq!(world.stored(0), Some(300));
}

#[test]
fn a_stalled_target_partition_stops_neither_its_neighbours_nor_a_release() {
    let mut world = World::new(2);
    world.target.stall_partition("t", 0);
    fill(&world, 0, 0..2_000);
    fill(&world, 1, 0..2_000);
    world.start(2);
    world.run_until("the neighbour is copied", |world| world.is_copied(1));
    let lane = &world.process.as_ref().expect("runs").lane;
    assert!(lane.in_flight_bytes <= BOUNDS.in_flight_bytes);
    world.stop_all(2, Duration::from_secs(10));
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    world.check_stored(0);
}

#[test]
fn a_topic_with_a_small_limit_gets_batches_that_fit() {
    let mut world = World::new(1);
    world.target.set_config("t", "max.message.bytes", "700");
    fill(&world, 0, 0..100);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    assert_eq!(world.process.as_ref().expect("runs").lane.batch_bytes, 700);
    assert_eq!(world.target.records("t", 0).len(), 100);
}

/// Answers only while it is not told to wait.
struct SlowLedger<'a> {
    inner: &'a mut DirectLedger,
    waits: bool,
}

impl Ledger for SlowLedger<'_> {
    fn ask(&mut self, questions: Vec<Question>) {
        self.inner.ask(questions);
    }

    fn answers(&mut self) -> Option<Vec<Answer>> {
        if self.waits { None } else { self.inner.answers() }
    }
}

#[test]
fn a_release_stores_what_arrived_after_the_last_question() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.target.stall();
    fill(&world, 0, 10..20);
    world.run_for(Duration::from_millis(10));
    let mut waits = false;
    let mut stopped = false;
    for _ in 0..5_000 {
        let now = Now::at(world.now, 1_000_000);
        let Process { lane, source, sink, ledger } = world.process.as_mut().expect("runs");
        ledger.now = now.instant;
        waits |= sink.outstanding() > 0 && !stopped;
        if waits && lane.questions.is_open() && !stopped {
            stopped = true;
            lane.stop(&route_partition(0), now.instant + Duration::from_secs(10), source);
            world.target.unstall();
        }
        waits &= !(stopped && sink.outstanding() == 0);
        lane.step(now, Duration::ZERO, source, sink, &mut SlowLedger { inner: ledger, waits });
        world.now += Duration::from_millis(5);
        if lane.is_empty() {
            break;
        }
    }
    let arrived = world.target.records("t", 0).len();
    assert!(stopped && arrived > 10);
    assert_eq!(world.stored(0), Some(i64::try_from(arrived).expect("few")));
}

#[test]
fn smaller_batches_do_not_wait_for_a_stalled_partition() {
    let mut world = World::new(2);
    fill(&world, 0, 0..10);
    fill(&world, 1, 0..10);
    world.start(2);
    world.run_until("both are copied", |world| world.is_copied(0) && world.is_copied(1));
    world.target.stall_partition("t", 0);
    fill(&world, 0, 10..20);
    world.run_for(Duration::from_secs(2));
    world.target.set_config("t", "max.message.bytes", "100000");
    world.run_for(Duration::from_secs(30));
    fill(&world, 1, 10..20);
    world.run_until("the neighbour is copied", |world| world.is_copied(1));
    world.stop_all(2, Duration::from_secs(10));
    world.run_until("all is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
}

#[test]
fn a_large_record_goes_beside_a_stalled_neighbour() {
    let mut world = World::new(2);
    fill(&world, 0, 0..10);
    world.start(2);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.target.stall_partition("t", 0);
    for number in 0..100 {
        world.source.append_text("t", 0, "key", &format!("{number}-{}", "x".repeat(100)), 900_000);
    }
    world.run_for(Duration::from_secs(5));
    world.source.append_text("t", 1, "key", &"y".repeat((1 << 20) - 200), 900_000);
    world.run_until("the large record is copied", |world| world.is_copied(1));
}

/// Offset 50 is stored, the source holds 80 to 100, and a new process has just begun.
fn with_a_lost_range() -> World {
    let mut world = World::new(1);
    fill(&world, 0, 0..50);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.process = None;
    fill(&world, 0, 50..100);
    world.source.delete_records("t", 0, 80);
    world.start(1);
    world
}

#[test]
fn a_claim_out_of_range_leaves_the_stored_offset_alone() {
    let mut world = with_a_lost_range();
    world.run_for(MINUTE);
    assert!(matches!(world.held(0), Some(Reason::OutOfRange { .. })), "{:?}", world.held(0));
    world.stop_all(1, Duration::from_secs(1));
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    assert_eq!(world.stored(0), Some(50));
}

#[test]
fn an_offset_that_a_person_sets_for_a_lost_range_stays() {
    let mut world = with_a_lost_range();
    world.run_for(Duration::from_secs(3));
    assert!(matches!(world.held(0), Some(Reason::OutOfRange { .. })), "{:?}", world.held(0));
    let chosen = GroupOffset { next_offset: NextOffset(90), leader_epoch: None, metadata: String::new() };
    world.source.set_group_offset(GROUP, "t", 0, chosen);
    world.run_for(MINUTE);
    world.stop_all(1, Duration::from_secs(1));
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    assert_eq!(world.stored(0), Some(90));
}

#[test]
fn a_target_that_takes_nothing_is_said_to_stand_still() {
    let mut world = World::new(1);
    world.target.stall();
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_for(MINUTE);
    assert!(matches!(world.held(0), Some(Reason::Unreachable { side: Side::Target, .. })), "{:?}", world.held(0));
    world.target.unstall();
    world.run_until("it is copied", |world| world.is_copied(0));
    assert_eq!(world.held(0), None);
}

#[test]
fn a_seldom_commit_does_not_delay_what_is_noticed() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start_with(1, LaneBounds { commit_interval: 60 * MINUTE, ..BOUNDS });
    world.run_for(Duration::from_secs(3));
    world.target.delete_topic("t");
    world.target.create_topic("t", 1);
    world.run_for(Duration::from_secs(3));
    assert!(matches!(world.held(0), Some(Reason::TopicRecreated { side: Side::Target, .. })), "{:?}", world.held(0));
}

#[test]
fn a_partition_that_was_kept_back_goes_on_when_the_target_takes_its_records_again() {
    let mut world = World::new(2);
    world.target.stall_partition("t", 0);
    fill(&world, 0, 0..2_000);
    fill(&world, 1, 0..2_000);
    world.start(2);
    world.run_until("the neighbour is copied", |world| world.is_copied(1));
    world.target.unstall_partition("t", 0);
    world.run_until("it is copied, too", |world| world.is_copied(0));
}

#[test]
fn members_in_the_group_hold_until_they_are_gone_however_seldom_offsets_are_stored() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start_with(1, LaneBounds { commit_interval: Duration::from_secs(10), ..BOUNDS });
    world.run_for(Duration::from_secs(11));
    let member = kafka::admin::GroupMember { member_id: "m".into(), client_id: "c".into(), host: "h".into() };
    world.source.set_members(GROUP, vec![member]);
    fill(&world, 0, 10..20);
    world.run_until("it is held", |world| world.held(0).is_some());
    let end = world.now + MINUTE;
    while world.now < end {
        world.step();
        assert_eq!(world.held(0), Some(Reason::GroupHasMembers));
    }
    world.source.set_members(GROUP, Vec::new());
    world.run_until("it is copied", |world| world.is_copied(0));
}

#[test]
fn a_reader_that_lost_track_is_set_on_it_again_and_a_full_neighbour_is_left_alone() {
    let mut world = World::new(2);
    fill(&world, 0, 0..10);
    world.start(2);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.process.as_mut().expect("runs").source.lose_track(Slot(0));
    fill(&world, 0, 10..20);
    fill(&world, 1, 0..10);
    world.run_until("the neighbour is copied", |world| world.is_copied(1));
    assert_eq!(world.stored(0), Some(10));
    let before = world.now;
    world.run_until("it is read again", |world| world.is_copied(0));
    assert!(world.now - before < Duration::from_secs(15), "{:?}", world.now - before);
    assert_eq!(world.target.records("t", 0).len(), 20, "nothing came twice");
}

#[test]
fn records_larger_than_all_memory_go_one_by_one_beside_a_stalled_neighbour() {
    let mut world = World::new(2);
    fill(&world, 0, 0..1);
    world.start(2);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.target.stall_partition("t", 0);
    let value = "x".repeat(BOUNDS.in_flight_bytes * 2);
    world.source.append_text("t", 0, "key", &value, 900_000);
    world.run_for(Duration::from_secs(5));
    for _ in 0..3 {
        world.source.append_text("t", 1, "key", &value, 900_000);
    }
    world.run_until("the neighbour is copied", |world| world.is_copied(1));
}

#[test]
fn a_release_ends_though_the_keeper_never_answers() {
    for claimed in [true, false] {
        let mut world = World::new(1);
        fill(&world, 0, 0..10);
        world.start(1);
        if claimed {
            world.run_until("it is copied and stored", |world| world.stored(0) == Some(10));
            world.run_for(Duration::from_secs(2));
        }
        world.process.as_mut().expect("runs").ledger.is_slow = true;
        world.run_for(Duration::from_secs(2));
        let stopped = world.now;
        world.stop_all(1, Duration::from_secs(10));
        world
            .run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
        assert!(world.now - stopped < Duration::from_secs(16), "claimed {claimed}: {:?}", world.now - stopped);
        assert_eq!(world.take_released(), [claimed], "of an unclaimed one the claim may still be stored");
    }
}

#[test]
fn a_release_is_clean_if_all_that_was_sent_has_arrived_and_is_stored() {
    #[derive(PartialEq, Debug)]
    enum Trouble {
        None,
        TargetStalls,
        SourceAway,
    }
    for trouble in [Trouble::None, Trouble::TargetStalls, Trouble::SourceAway] {
        let mut world = World::new(1);
        fill(&world, 0, 0..10);
        world.start(1);
        world.run_until("it is copied", |world| world.is_copied(0));
        fill(&world, 0, 10..20);
        if trouble == Trouble::TargetStalls {
            world.target.stall_partition("t", 0);
            world.run_for(Duration::from_secs(2));
        } else {
            world.run_until("all has arrived", |world| world.target.records("t", 0).len() == 20);
            world.source.set_unreachable(trouble == Trouble::SourceAway);
        }
        world.stop_all(1, Duration::from_secs(10));
        world
            .run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
        assert_eq!(world.take_released(), [trouble == Trouble::None], "{trouble:?}");
    }
}
