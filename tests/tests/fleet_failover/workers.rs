//! Workers that die and come back.

use std::time::Instant;

use replisome_tests::fleet::PATIENCE;
use replisome_tests::process::is_full;
use replisome_tests::random::Random;

use super::{ROWS, SHARE, Scene, alone, places};

#[test]
fn a_killed_worker_moves_its_own_partitions_and_a_returning_one_takes_its_share_and_nobody_else_pauses() {
    let _alone = alone();
    let mut random = Random::for_test("a_killed_worker_moves_its_own_partitions");
    let mut scene = Scene::new("failover-workers");
    for round in 0..if is_full() { 10 } else { 2 } {
        let victim = format!("w{}", 1 + random.below(3));
        lose(&mut scene, round, &victim);
        regain(&mut scene, round, &victim);
    }
    scene.judge();
}

fn lose(scene: &mut Scene, round: usize, victim: &str) {
    let before = scene.table();
    let own = before.of(victim);
    assert_eq!(own.len(), SHARE, "{before:#?}");
    let from = scene.flow.wait_for_baseline();
    let fault = Instant::now();
    scene.fleet.worker(victim).kill();
    let after = scene.fleet.wait_for_table("others copy what the killed worker had", PATIENCE, |table| {
        table.of(victim).is_empty() && table.is_copying(ROWS)
    });
    scene.wait_until_caught_up();
    let until = Instant::now();
    let silences = scene.flow.silences(from, fault, until, &own);
    eprintln!("round {round}: kill -9 of {victim}: {silences}");
    let changes = before.changes(&after);
    assert_eq!(places(&changes), own, "what changed, and what {victim} had");
    assert!(changes.iter().all(|change| change.is_one_move() && change.before.worker == victim), "{changes:#?}");
    after.assert_unmoved(&scene.table());
    silences.assert_others_undisturbed(&format!("kill -9 of {victim}"));
}

fn regain(scene: &mut Scene, round: usize, id: &str) {
    let before = scene.table();
    let from = scene.flow.wait_for_baseline();
    let fault = Instant::now();
    scene.fleet.worker(id).start();
    let after = scene.wait_until_spread();
    scene.wait_until_caught_up();
    let until = Instant::now();
    let changes = before.changes(&after);
    let moved = places(&changes);
    let silences = scene.flow.silences(from, fault, until, &moved);
    eprintln!("round {round}: {id} is back: {} moves, {silences}", moved.len());
    assert!(moved.len() <= ROWS.div_ceil(3), "{} moves", moved.len());
    let is_to_the_joiner =
        |change: &replisome_tests::fleet::Change| change.after.as_ref().is_some_and(|after| after.worker == id);
    assert!(changes.iter().all(|change| change.is_one_move() && is_to_the_joiner(change)), "{changes:#?}");
    after.assert_unmoved(&scene.table());
    silences.assert_others_undisturbed(&format!("{id} is back"));
}
