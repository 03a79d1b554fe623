//! Partitions that bring far more than others: who has them exchanges one for a quiet one, and nothing comes twice.

use std::time::Duration;

use replisome_tests::fleet::{Fleet, Place};
use replisome_tests::load::{Load, Pace};

use super::{Scene, alone};

/// 2.4 MiB a second for each partition.
const BUSY: Pace = Pace { interval: Duration::from_millis(20), batch: 1, value_len: 48 << 10 };
const COOL_DOWN: &str = "5s";
/// The leader looks every ten seconds, and a rate counts for a quarter the first time.
const EVENED_OUT: Duration = Duration::from_secs(120);

#[test]
fn a_worker_that_copies_more_than_its_share_exchanges_a_busy_partition_for_a_quiet_one() {
    let _alone = alone();
    let mut fleet = Fleet::prepare(3, 2);
    for controller in &mut fleet.controllers {
        controller.set_environment("REPLISOME_TIMING_LOAD_COOL_DOWN", COOL_DOWN);
    }
    fleet.start_all();
    let scene = Scene::on(fleet, "uneven", 4);
    let before = scene.fleet.wait_for_counts(&[("w1", 2), ("w2", 2)]);
    let busy = before.of("w1");
    let places: Vec<(&str, i32)> = busy.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
    let load = Load::start(scene.flow.source(), &places, BUSY);

    let after = scene.fleet.wait_for_table("the busy ones are apart", EVENED_OUT, |table| {
        let stay = |place: &&Place| table.rows[*place].owner.worker == "w1";
        busy.iter().filter(stay).count() == 1 && table.is_copying(4)
    });
    let changes = before.changes(&after);
    assert!(changes.len() == 2 && changes.iter().all(|change| change.is_one_move()), "{changes:#?}");
    assert_eq!(after.of("w1").len(), 2, "counts stay even");

    let events = scene.fleet.json(&["event", "list"]);
    let texts = events.as_array().expect("events").iter().filter_map(|event| event["text"].as_str());
    let told: Vec<&str> = texts.filter(|text| text.contains(": load: w1 at ")).collect();
    eprintln!("{}", told.join("\n"));
    assert_eq!(told.len(), 4, "each is released and assigned for that: {events:#}");
    let (_, metrics) = scene.fleet.controllers[scene.fleet.leader()].probe().get("/metrics").expect("metrics");
    assert!(metrics.contains("replisome_moves_total{reason=\"load\"} 4\n"), "{metrics}");

    load.stop();
    assert_eq!(scene.judge(), 0, "moves for load repeat nothing");
}
