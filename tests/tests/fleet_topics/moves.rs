//! Workers that leave in good order, and partitions moved by hand: nothing comes twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replisome_tests::fleet::{PATIENCE, Place, Table};

use super::{Scene, alone};

/// The longest silence of what moves in good order.
const MOVE_MAX: Duration = Duration::from_secs(1);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const ROWS: usize = 12;

/// Does something under load that moves partitions: exactly `expected` once each, while the others flow on.
#[track_caller]
fn move_by(
    scene: &mut Scene,
    what: &str,
    expected: impl Fn(&Table) -> BTreeSet<Place>,
    act: impl FnOnce(&mut Scene),
    is_done: impl Fn(&Table) -> bool,
) {
    let before = scene.steady();
    let expected = expected(&before);
    let from = scene.flow.wait_for_baseline();
    let fault = Instant::now();
    act(scene);
    let after = scene.fleet.wait_for_table(what, PATIENCE, |table| is_done(table) && table.is_copying(ROWS));
    let took = fault.elapsed();
    scene.wait_until_caught_up();
    let silences = scene.silences(from, fault, &expected);
    let changes = before.changes(&after);
    eprintln!("{what}: {} moves within {took:?}, {silences}", changes.len());
    let moved: BTreeSet<Place> = changes.iter().map(|change| change.place.clone()).collect();
    assert_eq!(moved, expected, "{what}");
    assert!(changes.iter().all(|change| change.is_one_move()), "{what}: {changes:#?}");
    silences.assert_others_undisturbed(what);
    let silence = silences.concerned.saturating_sub(silences.load);
    assert!(silence <= MOVE_MAX, "{what}: what moved was silent for {silence:?}: {silences}");
}

#[test]
fn planned_moves_repeat_no_record_and_pause_nobody_else() {
    let _alone = alone();
    let mut scene = Scene::new("moves", 3, ROWS as i32);

    let one: Place = ("moves-steady".to_owned(), 5);
    let owner = scene.steady().rows[&one].owner.worker.clone();
    let other = if owner == "w1" { "w2" } else { "w1" };
    let route = scene.route;
    move_by(
        &mut scene,
        "assignment move",
        |_| BTreeSet::from([one.clone()]),
        |scene| {
            let place = ["--route", route, "--topic", "moves-steady", "--partition", "5"];
            scene.fleet.ok(&[&["assignment", "move"], &place[..], &["--to", other]].concat());
        },
        |table| table.rows[&one].owner.worker == other,
    );

    move_by(
        &mut scene,
        "worker drain",
        |table| table.of("w2"),
        |scene| drop(scene.fleet.ok(&["worker", "drain", "w2"])),
        |table| table.of("w2").is_empty(),
    );
    scene.fleet.wait_for_worker("w2", "drained");

    // A drained worker stays empty over a restart.
    scene.fleet.worker("w2").stop(STOP_DEADLINE);
    scene.fleet.worker("w2").start();
    scene.fleet.wait_for_worker("w2", "drained");
    assert!(scene.fleet.table().of("w2").is_empty(), "a drained worker was given work");
    let before = scene.steady();
    scene.fleet.ok(&["worker", "undrain", "w2"]);
    let after = scene.fleet.wait_for_counts(&[("w1", 4), ("w2", 4), ("w3", 4)]);
    let changes = before.changes(&after);
    eprintln!("worker undrain: {} moves", changes.len());
    assert!(changes.len() <= ROWS.div_ceil(3), "{changes:#?}");

    move_by(
        &mut scene,
        "SIGTERM",
        |table| table.of("w3"),
        |scene| {
            let exit = scene.fleet.worker("w3").stop(STOP_DEADLINE);
            assert_eq!(exit.code, Some(0), "{}", scene.fleet.worker("w3").tail());
        },
        |table| table.of("w3").is_empty(),
    );
    let before = scene.steady();
    scene.fleet.worker("w3").start();
    let changes = before.changes(&scene.fleet.wait_for_counts(&[("w1", 4), ("w2", 4), ("w3", 4)]));
    eprintln!("w3 is back: {} moves", changes.len());
    assert!(changes.len() <= ROWS.div_ceil(3), "{changes:#?}");

    assert_eq!(scene.judge(), 0, "planned moves repeat nothing");
}
