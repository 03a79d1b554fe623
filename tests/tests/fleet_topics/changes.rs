//! Topics that are added, removed, found and grown while another one flows.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::arrivals::Arrivals;
use replisome_tests::compare::assert_equal_hashes;
use replisome_tests::fleet::PATIENCE;
use replisome_tests::kafka_cluster::{KafkaCluster, shared};
use replisome_tests::load::{Load, STEADY, fill};
use replisome_tests::{contents, wait};

use super::{Scene, alone};

const PARTITIONS: i32 = 4;
/// From `topic add` to the first record.
const ADDED_MAX: Duration = Duration::from_secs(2);
/// From `topic remove` to the last record.
const REMOVED_MAX: Duration = Duration::from_secs(1);
/// From the appearance of a topic or a partition to its first record.
const FOUND_MAX: Duration = Duration::from_secs(10);

/// Waits until something of these partitions has arrived, and says how long that took since `from`.
#[track_caller]
fn wait_for_arrivals(arrivals: &Arrivals, topic: &str, partitions: &[i32], from: Instant) -> Duration {
    let all = || partitions.iter().all(|partition| arrivals.count(topic, *partition) > 0);
    wait::until("the first records arrive", PATIENCE, || all().then(|| from.elapsed()))
}

#[track_caller]
fn assert_equal(topic: &str) {
    let read = |cluster: &KafkaCluster| contents::hashes(cluster.bootstrap(), topic);
    assert_equal_hashes(&read(shared().0), &read(shared().1));
}

#[test]
fn topics_that_are_added_removed_found_or_grown_are_so_at_once_and_pause_nobody() {
    let _alone = alone();
    let (source, target) = shared();
    let scene = Scene::new("topics", 2, 8);
    let admin = Admin::new(source.bootstrap());
    // The route's filter does not name it.
    let (added, found) = ("not-included", "topics-found");
    let arrivals = Arrivals::watch(target.bootstrap(), &[added, found]);
    let before = scene.steady();
    let from = scene.flow.wait_for_baseline();
    let fault = Instant::now();

    admin.create_topic(added, PARTITIONS, &[]);
    fill(source.bootstrap(), added, PARTITIONS, 100, 0);
    let asked = Instant::now();
    scene.fleet.ok(&["topic", "add", "--route", scene.route, added]);
    let (answered, all) = (asked.elapsed(), wait_for_arrivals(&arrivals, added, &[0, 1, 2, 3], asked));
    let first = arrivals.first_and_last(added).map(|(first, _)| first - asked).expect("something arrived");
    eprintln!("topic add: answered after {answered:?}, first record {first:?}, one of each partition {all:?}");
    assert!(first <= ADDED_MAX, "first record after {first:?}");
    scene.fleet.wait_until_caught_up(source.bootstrap(), &[added]);
    assert_equal(added);
    let again = scene.fleet.ok(&["topic", "add", "--route", scene.route, added]);
    assert!(again.to_string().contains("exists"), "{again}");

    let places: Vec<(&str, i32)> = (0..PARTITIONS).map(|partition| (added, partition)).collect();
    let load = Load::start(source.bootstrap(), &places, STEADY);
    let flowing = || arrivals.first_and_last(added).is_some_and(|(_, last)| last.elapsed() < REMOVED_MAX);
    wait::until_true("records arrive again", PATIENCE, flowing);
    let asked = Instant::now();
    scene.fleet.ok(&["topic", "remove", "--route", scene.route, added]);
    let answered = asked.elapsed();
    wait::until_true("its rows are gone", PATIENCE, || {
        scene.fleet.table().rows.keys().all(|(topic, _)| topic != added)
    });
    wait::pass(2 * REMOVED_MAX);
    let last = arrivals.first_and_last(added).expect("something arrived").1;
    let stopped = last.saturating_duration_since(asked);
    eprintln!("topic remove: answered after {answered:?}, last record {stopped:?}");
    assert!(stopped <= REMOVED_MAX, "records arrive {stopped:?} after `topic remove`");
    load.stop();

    let appeared = Instant::now();
    admin.create_topic(found, PARTITIONS, &[]);
    fill(source.bootstrap(), found, PARTITIONS, 100, 0);
    let all = wait_for_arrivals(&arrivals, found, &[0, 1, 2, 3], appeared);
    eprintln!("a topic that the filter names: copied after {all:?}");
    assert!(all <= FOUND_MAX, "copied after {all:?}");

    let grown = Instant::now();
    admin.grow_topic(found, PARTITIONS + 2);
    fill(source.bootstrap(), found, PARTITIONS + 2, 100, 0);
    let all = wait_for_arrivals(&arrivals, found, &[4, 5], grown);
    eprintln!("two partitions more: copied after {all:?}");
    assert!(all <= FOUND_MAX, "copied after {all:?}");
    scene.fleet.wait_until_caught_up(source.bootstrap(), &[found]);
    assert_equal(found);

    scene.wait_until_caught_up();
    let silences = scene.silences(from, fault, &BTreeSet::new());
    eprintln!("the topic beside them: {silences}");
    before.assert_unmoved(&scene.steady());
    silences.assert_others_undisturbed("changes of other topics");
    assert_eq!(scene.judge(), 0, "records came twice");
}
