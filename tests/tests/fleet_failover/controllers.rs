//! Controllers that die and come back: nothing moves and nothing pauses, however many of them are gone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::process::is_full;
use replisome_tests::wait;

use super::{Scene, alone};

/// How soon after the leader's death a change must be possible.
const CHANGE_DEADLINE: Duration = Duration::from_secs(5);
/// How long a fleet is left without any controller.
const LEADERLESS: Duration = Duration::from_secs(10);

#[test]
fn killed_leaders_move_nothing_and_pause_nobody_and_the_next_one_takes_changes_at_once() {
    let _alone = alone();
    let mut scene = Scene::new("failover-leaders");
    let admin = Admin::new(shared().0.bootstrap());
    let mut has_led = BTreeSet::new();
    for round in 0..if is_full() { 10 } else { 3 } {
        let topic = format!("failover-leaders-added-{round}");
        admin.create_topic(&topic, 1, &[]);
        let leader = scene.fleet.leader();
        has_led.insert(leader);
        let before = scene.table();
        let from = scene.flow.wait_for_baseline();
        let fault = Instant::now();
        scene.fleet.controllers[leader].kill();
        scene.fleet.ok(&["topic", "add", "--route", scene.route, &topic]);
        let changed = fault.elapsed();
        let next = scene.fleet.leader();
        assert_ne!(next, leader, "a killed controller leads");
        before.assert_unmoved(&scene.fleet.wait_until_copying(before.rows.len() + 1));
        scene.wait_until_caught_up();
        let silences = scene.flow.silences(from, fault, Instant::now(), &BTreeSet::new());
        eprintln!(
            "round {round}: kill -9 of the leading controller-{}: `topic add` done after {changed:?}, {silences}",
            leader + 1
        );
        assert!(changed <= CHANGE_DEADLINE, "a change took {changed:?}");
        silences.assert_others_undisturbed("a leader's death");
        scene.fleet.controllers[leader].start();
        let applied = scene.fleet.wait_until_alike();
        eprintln!("round {round}: all controllers have applied {applied}");
        before.assert_unmoved(&scene.table());
    }
    eprintln!("controllers that have led: {has_led:?}");
    scene.judge();
}

#[test]
fn copying_goes_on_without_any_controller_and_nothing_moves_when_they_return() {
    let _alone = alone();
    let mut scene = Scene::new("failover-all-controllers");
    let before = scene.table();
    let from = scene.flow.wait_for_baseline();
    let fault = Instant::now();
    scene.fleet.kill_controllers();
    wait::pass(LEADERLESS);
    let alone_silences = scene.flow.silences(from, fault, Instant::now(), &BTreeSet::new());
    eprintln!("all controllers killed, for {LEADERLESS:?}: {alone_silences}");
    let returned = Instant::now();
    scene.fleet.start_controllers();
    scene.fleet.leader();
    let led = returned.elapsed();
    let after = scene.fleet.wait_until_copying(before.rows.len());
    scene.wait_until_caught_up();
    let silences = scene.flow.silences(from, fault, Instant::now(), &BTreeSet::new());
    eprintln!("started again: a leader after {led:?}, {silences}");
    before.assert_unmoved(&after);
    alone_silences.assert_others_undisturbed("no controllers");
    silences.assert_others_undisturbed("controllers return");
    scene.fleet.wait_until_alike();
    before.assert_unmoved(&scene.table());
    scene.judge();
}
