//! A worker that is cut off from the controllers alone: it copies on, and stops when what it copies is to be copied no
//! more, because the leader claims it.

use std::collections::BTreeMap;
use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::fleet::{Fleet, PATIENCE};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;
use replisome_tests::{contents, wait};

use super::alone;

const TOPIC: &str = "cut-off";
const ROUTE: &str = "cut-off";
const PARTITIONS: i32 = 2;
const RECORDS: usize = 100;
/// A worker that has stopped is watched for so long: many of its looks and stores.
const STANDSTILL: Duration = Duration::from_secs(5);

/// How many records of each partition are at the target.
fn arrived() -> BTreeMap<i32, usize> {
    contents::counts(&contents::hashes(shared().1.bootstrap(), TOPIC))
}

#[test]
fn a_worker_that_is_cut_off_copies_on_until_what_it_copies_is_paused_and_the_leader_claims_it() {
    let _alone = alone();
    let (source, target) = shared();
    let admin = Admin::new(source.bootstrap());
    admin.create_topic(TOPIC, PARTITIONS, &[]);
    fill(source.bootstrap(), TOPIC, PARTITIONS, RECORDS, 0);
    let mut fleet = Fleet::prepare(1, 1).behind_relays();
    fleet.start_all();
    fleet.add_route(ROUTE, source, target, &["--include", TOPIC]);
    fleet.wait_until_copying(PARTITIONS as usize);
    fleet.wait_until_caught_up(source.bootstrap(), &[TOPIC]);

    let worker = fleet.worker("w1").process().pid();
    fleet.cut_off(worker);
    fleet.wait_for_worker("w1", "lost");
    fill(source.bootstrap(), TOPIC, PARTITIONS, RECORDS, 0);
    let twice = |counts: &BTreeMap<i32, usize>| counts.values().all(|count| *count == 2 * RECORDS);
    wait::until_true("it copies on: nobody else does", PATIENCE, || twice(&arrived()));

    fleet.ok(&["topic", "pause", "-r", ROUTE, TOPIC, "--reason", "it must stop"]);
    wait::until_true("both are claimed", PATIENCE, || {
        let events = fleet.json_or_none(&["event", "list"]).unwrap_or_default();
        let is_claim = |event: &&serde_json::Value| {
            event["kind"] == "fence"
                && event["text"].as_str().is_some_and(|text| text.contains("claimed under epoch 2"))
        };
        events.as_array().is_some_and(|events| events.iter().filter(is_claim).count() == PARTITIONS as usize)
    });
    let group = fleet.json(&["route", "describe", ROUTE])["group"].as_str().expect("a group").to_owned();
    let stored = admin.committed(&group, TOPIC);
    let held = |metrics: &str| {
        let held = metrics.lines().filter(|line| line.starts_with("replisome_partition_state") && line.ends_with(" 1"));
        held.filter(|line| line.contains("state=\"held\"")).count() == PARTITIONS as usize
    };
    wait::until_true("it stands still", PATIENCE, || {
        let (_, metrics) = fleet.worker("w1").probe().get("/metrics").unwrap_or_default();
        held(&metrics)
    });
    fill(source.bootstrap(), TOPIC, PARTITIONS, RECORDS, 0);
    wait::pass(STANDSTILL);
    let counts = arrived();
    assert!(twice(&counts), "it copies a paused topic: {counts:?}");
    for (partition, found) in admin.committed(&group, TOPIC) {
        assert!(found.metadata.contains(" e=2 "), "{partition}: {found:?}");
        assert_eq!(found.offset, stored[&partition].offset, "{partition}: {found:?}");
    }

    fleet.mend();
    fleet.wait_for_worker("w1", "live");
    fleet.ok(&["topic", "resume", "-r", ROUTE, TOPIC]);
    fleet.wait_for_table("it goes on under the epoch after the leader's", PATIENCE, |table| {
        table.is_copying(PARTITIONS as usize) && table.rows.values().all(|row| row.owner.epoch == 3)
    });
    fleet.wait_until_caught_up(source.bootstrap(), &[TOPIC]);
    let counts = arrived();
    assert!(counts.values().all(|count| *count == 3 * RECORDS), "nothing was lost, nothing came twice: {counts:?}");
}
