//! Pools: each has its workers and its routes, and what happens in one is not noticed in another.

use std::collections::BTreeSet;

use replisome_tests::admin::Admin;
use replisome_tests::compare::assert_nothing_lost;
use replisome_tests::contents;
use replisome_tests::fleet::{Fleet, PATIENCE, Place, Table};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;

use super::{Scene, alone};

const ROWS: i32 = 6;
/// Of the route with a worker of its own.
const TOPIC: &str = "near-orders";
const PARTITIONS: i32 = 3;

fn near() -> BTreeSet<Place> {
    (0..PARTITIONS).map(|partition| (TOPIC.to_owned(), partition)).collect()
}

fn waits_for_its_pool(table: &Table) -> bool {
    let text = |place: &Place| table.rows[place].reason["text"].as_str().unwrap_or_default().to_owned();
    near().iter().all(|place| text(place) == "no worker of pool near takes work")
}

#[test]
fn a_routes_pool_copies_it_and_nobody_else_does_whatever_happens_to_it() {
    let _alone = alone();
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic(TOPIC, PARTITIONS, &[]);
    fill(source.bootstrap(), TOPIC, PARTITIONS, 500, 0);
    let mut fleet = Fleet::prepare(3, 3);
    fleet.worker("w3").set_environment("REPLISOME_POOL", "near");
    fleet.start_all();
    let mut scene = Scene::on(fleet, "pools", ROWS);
    scene.fleet.wait_for_counts(&[("w1", 3), ("w2", 3)]);
    let route = ["route", "add", "near", "--source", "west", "--target", "east", "--include", TOPIC, "--pool", "near"];
    scene.fleet.ok(&route);
    let all = (ROWS + PARTITIONS) as usize;
    let table = scene.fleet.wait_until_copying(all);
    assert_eq!(table.of("w3"), near());

    let (before, from) = (scene.steady(), scene.flow.wait_for_baseline());
    let place = ["--route", "near", "--topic", TOPIC, "--partition", "0"];
    for verb in ["move", "pin"] {
        let refused = scene.fleet.cli(&[&["assignment", verb], &place[..], &["--to", "w1"]].concat());
        refused.expect(4, &["worker w1 is in pool default, route near in pool near"]);
    }
    let fault = std::time::Instant::now();
    scene.fleet.worker("w3").kill();
    fill(source.bootstrap(), TOPIC, PARTITIONS, 500, 0);
    scene.fleet.wait_for_table("its pool has nobody", PATIENCE, waits_for_its_pool);
    let status = scene.fleet.ok(&["status"]);
    let problem = "no worker of pool near takes work, and 3 partitions wait for one";
    assert!(status.stdout.contains(problem), "{}", status.stdout);
    assert_eq!(before.changes(&scene.steady()), [], "nothing moves in the other pool");
    scene.silences(from, fault, &BTreeSet::new()).assert_others_undisturbed("a pool without workers");

    // A worker changes its pool by a restart: the other pool's partitions are spread over who is left.
    scene.fleet.worker("w2").set_environment("REPLISOME_POOL", "near");
    scene.fleet.worker("w2").stop(PATIENCE);
    scene.fleet.worker("w2").start();
    let table = scene.fleet.wait_until_copying(all);
    assert_eq!((table.of("w1").len(), table.of("w2")), (ROWS as usize, near()));
    scene.fleet.wait_until_caught_up(source.bootstrap(), &[TOPIC]);
    let hashes = |cluster: &str| contents::hashes(cluster, TOPIC);
    let twice = assert_nothing_lost(&hashes(source.bootstrap()), &hashes(target.bootstrap()));
    eprintln!("{TOPIC}: nothing lost, twice: {twice:?}");
    assert_eq!(scene.judge(), 0, "planned moves repeat nothing");
}
