//! Topics and partitions that appear while a mirror runs are copied soon, whole, and without a pause of the others; and
//! a mirror that is asked to end leaves nothing to be copied twice.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::arrivals::Arrivals;
use replisome_tests::compare::assert_equal_hashes;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::{KafkaCluster, shared};
use replisome_tests::load::{Load, Pace, STEADY, fill};
use replisome_tests::mirror::Mirror;
use replisome_tests::probe::Probe;
use replisome_tests::process::Replisome;
use replisome_tests::wait;

const MINUTE: Duration = Duration::from_secs(60);
/// How soon what appears must be copied.
const SOON: Duration = Duration::from_secs(10);
/// The longest silence that others may see.
const SILENCE_MAX: Duration = Duration::from_millis(500);

/// A silence measured beside another test's load says nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn assert_equal(topic: &str) {
    let read = |cluster: &KafkaCluster| contents::hashes(cluster.bootstrap(), topic);
    let (source, target) = shared();
    assert_equal_hashes(&read(source), &read(target));
}

/// Waits until records of each place have arrived, and says how long that took since `from`.
#[track_caller]
fn wait_for_arrivals(arrivals: &Arrivals, places: &[(&str, i32)], from: Instant, running: &Replisome) -> Duration {
    let all = || places.iter().all(|(topic, partition)| arrivals.count(topic, *partition) > 0);
    let arrived = wait::until_or_none(MINUTE, || all().then(|| from.elapsed()));
    arrived.unwrap_or_else(|| panic!("nothing of {places:?} arrives\n{}", running.tail()))
}

#[track_caller]
fn wait_until_all_is_stored(running: &Replisome, group: &str, topic: &str) {
    let admin = Admin::new(shared().0.bootstrap());
    let partitions = admin.partitions(topic);
    let ends: Vec<i64> = (0..partitions).map(|partition| admin.offsets(topic, partition, false).1).collect();
    let stored = || admin.committed(group, topic).into_values().map(|committed| committed.offset).collect::<Vec<_>>();
    let all = wait::until_or_none(MINUTE, || (stored() == ends).then_some(()));
    assert!(all.is_some(), "{topic}: ends {ends:?}, stored {:?}\n{}", stored(), running.tail());
}

#[test]
fn topics_and_partitions_that_appear_are_copied_within_ten_seconds_and_pause_nobody() {
    let _alone = alone();
    let (source, target) = shared();
    let (admin, target_admin) = (Admin::new(source.bootstrap()), Admin::new(target.bootstrap()));
    let (bystander, new, group) = ("appear-bystander", "appear-new", "appear");
    admin.create_topic(bystander, 2, &[]);
    let probe = Probe::default();
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), group, "appear-.*");
    let mirror = mirror.flags(["--num.streams", "1", "--http-listen", probe.address()]);
    let mut running = mirror.start();
    probe.wait_until_ready(&mut running, MINUTE);
    let steady = [(bystander, 0), (bystander, 1)];
    let load = Load::start(source.bootstrap(), &steady, STEADY);
    let arrivals = Arrivals::watch(target.bootstrap(), &[bystander]);
    wait_for_arrivals(&arrivals, &steady, Instant::now(), &running);
    let from = Instant::now();
    let silence = |from: Instant| {
        let is_steady = |place: &(String, i32)| place.1 < 2;
        arrivals.longest_silence(from, Instant::now(), is_steady)
    };
    wait::pass(Duration::from_secs(5));
    eprintln!("silence without a change: {:?}", silence(from));

    let created = Instant::now();
    admin.create_topic(new, 3, &[]);
    let places = [(new, 0), (new, 1), (new, 2)];
    let new_load = Load::start(source.bootstrap(), &places, STEADY);
    let new_arrivals = Arrivals::watch(target.bootstrap(), &[new]);
    let took = wait_for_arrivals(&new_arrivals, &places, created, &running);
    wait::pass(Duration::from_secs(3));
    let silent = silence(created);
    eprintln!("a topic that appeared: copied after {took:?}; longest silence of the others {silent:?}");
    assert!(took <= SOON, "{took:?}\n{}", running.tail());
    assert!(silent <= SILENCE_MAX, "{silent:?}\n{}", running.tail());

    let grown = Instant::now();
    admin.grow_topic(bystander, 4);
    let added = [(bystander, 2), (bystander, 3)];
    let added_load = Load::start(source.bootstrap(), &added, STEADY);
    let took = wait_for_arrivals(&arrivals, &added, grown, &running);
    wait::pass(Duration::from_secs(3));
    let silent = silence(grown);
    let new_silent = new_arrivals.longest_silence(grown, Instant::now(), |_| true);
    eprintln!("partitions that were added: copied after {took:?}; longest silences {silent:?}, {new_silent:?}");
    assert!(took <= SOON, "{took:?}\n{}", running.tail());
    assert!(silent.max(new_silent) <= SILENCE_MAX, "{silent:?} {new_silent:?}\n{}", running.tail());
    assert_eq!(target_admin.partitions(bystander), 4, "the target has grown");

    let sent: u64 = [load, new_load, added_load].into_iter().map(Load::stop).sum();
    for topic in [bystander, new] {
        wait_until_all_is_stored(&running, group, topic);
    }
    assert_eq!(running.stop(MINUTE).code, Some(0), "{}", running.tail());
    [bystander, new].into_iter().for_each(assert_equal);
    eprintln!("{sent} records in all, none lost, none twice");
}

#[test]
fn a_mirror_that_is_asked_to_end_drains_and_stores_so_that_the_next_repeats_nothing() {
    let _alone = alone();
    let (source, target) = shared();
    let topic = "drain";
    let (admin, target_admin) = (Admin::new(source.bootstrap()), Admin::new(target.bootstrap()));
    admin.create_topic(topic, 4, &[]);
    fill(source.bootstrap(), topic, 4, 150_000, 100);
    let places = [(topic, 0), (topic, 1), (topic, 2), (topic, 3)];
    let pace = Pace { interval: Duration::from_millis(10), batch: 10, value_len: 100 };
    let load = Load::start(source.bootstrap(), &places, pace);
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), topic, topic).flags(["--num.streams", "2"]);
    let ends = || (0..4).map(|partition| target_admin.offsets(topic, partition, true).1).collect::<Vec<_>>();
    let copied = || if target_admin.partitions(topic) == 0 { 0 } else { ends().iter().sum::<i64>() };
    for part in 1..=3 {
        let before = copied();
        let mut running = mirror.start();
        wait::until_true("more is copied", MINUTE, || copied() > before + 20_000);
        let asked = Instant::now();
        assert_eq!(running.stop(MINUTE).code, Some(0), "{}", running.tail());
        let took = asked.elapsed();
        let stored = admin.committed(topic, topic);
        let stored: Vec<i64> = (0..4).map(|partition| stored[&partition].offset).collect();
        eprintln!("part {part}: {} copied, all of it stored, ended {took:?} after SIGTERM", copied());
        assert_eq!(stored, ends(), "what has arrived is stored");
    }
    load.stop();
    mirror.run_until_end(2 * MINUTE);
    assert_equal(topic);
}
