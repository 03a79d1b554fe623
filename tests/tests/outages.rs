//! Brokers that stall, die and come back while a mirror copies: nothing is lost, order stays, memory stays bounded. Every
//! test has clusters of its own.

use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::child::Signal;
use replisome_tests::compare::assert_nothing_lost;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::{KafkaCluster, Options};
use replisome_tests::load::{Load, Pace, fill};
use replisome_tests::mirror::Mirror;
use replisome_tests::process::{Replisome, is_full};
use replisome_tests::wait;

const MINUTE: Duration = Duration::from_secs(60);
const TOPIC: &str = "outages";
const PARTITIONS: i32 = 4;
const PLACES: [(&str, i32); 4] = [(TOPIC, 0), (TOPIC, 1), (TOPIC, 2), (TOPIC, 3)];
const RSS_MAX: u64 = 200 << 20;

/// How long a target stalls: two minutes in full, less in a quick run.
fn stall() -> Duration {
    Duration::from_secs(if is_full() { 120 } else { 20 })
}

fn start(source: &KafkaCluster, target: &KafkaCluster) -> (Mirror, Replisome) {
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), TOPIC, TOPIC).flags(["--num.streams", "2"]);
    let running = mirror.start();
    (mirror, running)
}

fn arrived(target: &KafkaCluster) -> i64 {
    let admin = Admin::new(target.bootstrap());
    if admin.partitions(TOPIC) == 0 {
        return 0;
    }
    (0..PARTITIONS).map(|partition| admin.offsets(TOPIC, partition, true).1).sum()
}

/// Waits until more than `count` records are at the target.
#[track_caller]
fn wait_for_more_than(count: i64, target: &KafkaCluster, running: &mut Replisome) {
    let found = wait::until_or_none(2 * MINUTE, || {
        assert_eq!(running.try_wait(), None, "the mirror ended\n{}", running.tail());
        (arrived(target) > count).then_some(())
    });
    assert!(found.is_some(), "no more than {count} records arrive\n{}", running.tail());
}

/// Lets the mirror finish what is at the source, and compares.
#[track_caller]
fn finish(source: &KafkaCluster, target: &KafkaCluster, mut running: Replisome) {
    let admin = Admin::new(source.bootstrap());
    let ends: Vec<i64> = (0..PARTITIONS).map(|partition| admin.offsets(TOPIC, partition, false).1).collect();
    let stored = || admin.committed(TOPIC, TOPIC).into_values().map(|committed| committed.offset).collect::<Vec<_>>();
    let all = wait::until_or_none(3 * MINUTE, || (stored() == ends).then_some(()));
    assert!(all.is_some(), "ends {ends:?}, stored {:?}\n{}", stored(), running.tail());
    let exit = running.stop(MINUTE);
    assert_eq!(exit.code, Some(0), "{}", running.tail());
    let read = |cluster: &KafkaCluster| contents::hashes(cluster.bootstrap(), TOPIC);
    let expected = read(source);
    let duplicates: usize = assert_nothing_lost(&expected, &read(target)).into_values().sum();
    let records: usize = contents::counts(&expected).into_values().sum();
    eprintln!("{records} records, {duplicates} came twice; greatest RSS {} MiB", exit.rss_peak_bytes >> 20);
    assert!(exit.rss_peak_bytes <= RSS_MAX, "RSS {} MiB", exit.rss_peak_bytes >> 20);
}

#[test]
fn a_target_that_stalls_under_full_load_costs_no_record_and_no_unbounded_memory() {
    let (source, target) = KafkaCluster::start_pair("stall", Options::default());
    Admin::new(source.bootstrap()).create_topic(TOPIC, PARTITIONS, &[]);
    fill(source.bootstrap(), TOPIC, PARTITIONS, 300_000, 250);
    let (_mirror, mut running) = start(&source, &target);
    wait_for_more_than(10_000, &target, &mut running);
    let before = (arrived(&target), running.rss_peak_bytes() >> 20);
    let load = Load::start(
        source.bootstrap(),
        &PLACES,
        Pace { interval: Duration::from_millis(20), batch: 50, value_len: 250 },
    );
    target.signal(Signal::Stop);
    let stalled = Instant::now();
    wait::until_true("the stall is over", 2 * stall(), || {
        assert_eq!(running.try_wait(), None, "the mirror ended\n{}", running.tail());
        stalled.elapsed() >= stall()
    });
    let rss = running.rss_peak_bytes() >> 20;
    eprintln!(
        "stalled for {:?} at {} records: greatest RSS {} MiB before, {rss} MiB after",
        stall(),
        before.0,
        before.1
    );
    target.signal(Signal::Continue);
    let again = Instant::now();
    wait_for_more_than(before.0 + 100_000, &target, &mut running);
    eprintln!("100,000 records more {:?} after the stall", again.elapsed());
    load.stop();
    finish(&source, &target, running);
}

#[test]
fn brokers_restarted_three_times_on_each_side_cost_no_record() {
    let (source, target) = KafkaCluster::start_pair("restarts", Options::default());
    Admin::new(source.bootstrap()).create_topic(TOPIC, PARTITIONS, &[]);
    fill(source.bootstrap(), TOPIC, PARTITIONS, 20_000, 100);
    let load = Load::start(
        source.bootstrap(),
        &PLACES,
        Pace { interval: Duration::from_millis(20), batch: 10, value_len: 100 },
    );
    let (_mirror, mut running) = start(&source, &target);
    wait_for_more_than(0, &target, &mut running);
    for round in 0..3 {
        for (side, cluster) in [("target", &target), ("source", &source)] {
            let is_kill = (round + usize::from(side == "source")) % 2 == 0;
            let down = Instant::now();
            match is_kill {
                true => cluster.kill(),
                false => cluster.stop(),
            }
            cluster.start_again();
            let up = Instant::now();
            let before = arrived(&target);
            wait_for_more_than(before, &target, &mut running);
            let how = if is_kill { "kill -9" } else { "SIGTERM" };
            let (away, waited) = (up - down, up.elapsed());
            eprintln!("{side} restarted by {how}: away {away:?}, records again after {waited:?}");
        }
    }
    load.stop();
    finish(&source, &target, running);
}
