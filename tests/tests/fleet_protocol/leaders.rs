//! A leader that is deposed without noticing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::child::Signal;
use replisome_tests::fleet::wire::{self, FakeWorker};
use replisome_tests::fleet::{Fleet, PATIENCE};
use replisome_tests::flow::Flow;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::{STEADY, fill};
use replisome_tests::wait;

use super::alone;

/// How soon a deposed leader that runs again must have let go of its workers.
const LET_GO_DEADLINE: Duration = Duration::from_secs(5);
const PARTITIONS: i32 = 8;

#[test]
fn a_leader_that_stood_still_while_another_was_elected_closes_its_streams_and_moves_nothing() {
    let _alone = alone();
    let (source, target) = shared();
    let flow = Flow::start(source, target, &["deposed-steady"], PARTITIONS, STEADY);
    let mut fleet = Fleet::start(3, 2);
    // It is here for its connections alone: drained, it is given nothing.
    let fake = FakeWorker::new("by-hand");
    let old = fake.attach_to_leader(&fleet.addresses(), &wire::nothing());
    fleet.ok(&["worker", "drain", "by-hand"]);
    fleet.add_route("deposed", source, target, &["--include", "deposed-.*"]);
    let before = fleet.wait_until_copying(PARTITIONS as usize);
    assert_eq!(before.of("by-hand").len(), 0, "{before:#?}");
    flow.wait_for_first();
    fleet.wait_until_caught_up(source.bootstrap(), &flow.topics());

    let leader = fleet.leader();
    let from = flow.wait_for_baseline();
    let fault = Instant::now();
    fleet.controllers[leader].signal(Signal::Stop);
    // At once, as a worker does: who comes later than most others is lost.
    let others: Vec<String> =
        fleet.addresses().into_iter().enumerate().filter(|(index, _)| *index != leader).map(|(_, own)| own).collect();
    let new = fake.attach_to_leader(&others, &wire::nothing());
    let elected = fault.elapsed();
    let next = fleet.leader();
    assert_ne!(next, leader, "a leader that stands still leads");
    for worker in ["w1", "w2"] {
        fleet.wait_for_worker(worker, "live");
    }
    let attached = fault.elapsed();

    fleet.controllers[leader].signal(Signal::Continue);
    let continued = Instant::now();
    let end = old.wait_for_end(LET_GO_DEADLINE);
    eprintln!(
        "elected after {elected:?}, all workers there after {attached:?}; the deposed leader let go after {:?}: {end}",
        continued.elapsed()
    );
    fleet.wait_until_alike();
    assert_eq!(fleet.leader(), next, "the deposed leader leads again");

    // The workers obey the new leader.
    Admin::new(source.bootstrap()).create_topic("deposed-added", 2, &[]);
    fill(source.bootstrap(), "deposed-added", 2, 10, 0);
    fleet.ok(&["topic", "add", "--route", "deposed", "deposed-added"]);
    let arrived = || Admin::new(target.bootstrap()).partitions("deposed-added") == 2;
    wait::until_true("the added topic is there", PATIENCE, arrived);
    fleet.wait_until_caught_up(source.bootstrap(), &["deposed-added"]);
    before.assert_unmoved(&fleet.table());
    fleet.wait_until_caught_up(source.bootstrap(), &flow.topics());
    let silences = flow.silences(from, fault, Instant::now(), &BTreeSet::new());
    eprintln!("all the while: {silences}");
    silences.assert_others_undisturbed("a deposed leader");
    drop(new);
    let (records, twice) = flow.judge(|| fleet.wait_until_caught_up(source.bootstrap(), &["deposed-steady"]));
    assert_eq!(twice, 0, "of {records} records");
}
