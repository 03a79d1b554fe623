//! Many workers that are lost at once: what they have stays with them until they are back or given up.

use std::collections::BTreeSet;

use replisome_tests::admin::Admin;
use replisome_tests::child::Signal;
use replisome_tests::fleet::{Fleet, Node, PATIENCE};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;
use replisome_tests::wait;

use super::alone;

const TOPIC: &str = "mass-loss";
const PARTITIONS: i32 = 6;
const RECORDS: usize = 100;

#[test]
fn two_of_three_workers_that_die_together_keep_what_they_have_until_they_are_back_or_given_up() {
    let _alone = alone();
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic(TOPIC, PARTITIONS, &[]);
    fill(source.bootstrap(), TOPIC, PARTITIONS, RECORDS, 0);
    let mut fleet = Fleet::prepare(1, 3);
    // It is to end when this test says so, however slow the machine is.
    fleet.controllers[0].set_environment("REPLISOME_TIMING_MASS_LOSS_HOLD", "10m");
    fleet.controllers[0].start();
    fleet.workers.iter_mut().for_each(Node::start);
    for worker in ["w1", "w2", "w3"] {
        fleet.wait_for_worker(worker, "live");
    }
    fleet.add_route(TOPIC, source, target, &["--include", TOPIC]);
    fleet.wait_for_counts(&[("w1", 2), ("w2", 2), ("w3", 2)]);
    fleet.wait_until_caught_up(source.bootstrap(), &[TOPIC]);
    let before = fleet.table();

    fleet.workers[1..].iter_mut().for_each(|worker| worker.signal(Signal::Kill));
    fleet.workers[1..].iter_mut().for_each(|worker| {
        worker.kill();
    });
    let problem = wait::until("the loss is a problem", PATIENCE, || {
        let status = fleet.json_or_none(&["status"])?;
        let held = |problem: &&serde_json::Value| problem["what"].as_str().is_some_and(|what| what.contains("2 of 3"));
        status["problems"].as_array()?.iter().find(held).cloned()
    });
    eprintln!("{problem}");
    assert!(problem["remedy"].as_str().is_some_and(|remedy| remedy.contains("worker release-hold")), "{problem}");
    wait::until_true("the metric says so", PATIENCE, || {
        let (_, metrics) = fleet.controllers[0].probe().get("/metrics").unwrap_or_default();
        metrics.contains("replisome_controller_moves_held 1")
    });
    before.assert_unmoved(&fleet.table());

    fleet.worker("w2").start();
    let back = fleet.wait_for_table("the one that is back copies what it had", PATIENCE, |table| {
        let own = before.of("w2");
        table.of("w2") == own && own.iter().all(|place| table.rows[place].owner.epoch > before.rows[place].owner.epoch)
    });
    let changed: BTreeSet<_> = before.changes(&back).into_iter().map(|change| change.place).collect();
    assert_eq!(changed, before.of("w2"), "nothing else has changed: {back:#?}");

    fill(source.bootstrap(), TOPIC, PARTITIONS, RECORDS, 0);
    fleet.ok(&["worker", "release-hold"]);
    let after = fleet.wait_for_table("others copy what the missing one had", PATIENCE, |table| {
        table.of("w3").is_empty() && table.is_copying(PARTITIONS as usize)
    });
    let changes = back.changes(&after);
    let moved: BTreeSet<_> = changes.iter().map(|change| change.place.clone()).collect();
    assert_eq!(moved, before.of("w3"), "{changes:#?}");
    assert!(changes.iter().all(|change| change.is_one_move()), "{changes:#?}");
    fleet.wait_until_caught_up(source.bootstrap(), &[TOPIC]);
    fleet.cli(&["worker", "release-hold"]).expect(0, &["no moves are held"]);
}
