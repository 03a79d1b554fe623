//! Two mirrors under one group, and what the metadata of a stored offset says about its owner.

use std::time::Duration;

use replisome_tests::admin::{Admin, Committed};
use replisome_tests::compare::{assert_equal_hashes, assert_nothing_lost};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::{Load, Pace, fill};
use replisome_tests::probe::Probe;
use replisome_tests::process::Replisome;
use replisome_tests::{contents, wait};

use super::{MINUTE, hashes, mirror, wait_until_all_is_stored};

const PACE: Pace = Pace { interval: Duration::from_millis(10), batch: 5, value_len: 80 };

fn create(topic: &str) -> Admin {
    let source = shared().0.bootstrap();
    let admin = Admin::new(source);
    admin.create_topic(topic, 2, &[]);
    fill(source, topic, 2, 10_000, 80);
    admin
}

fn load(topic: &str) -> Load {
    Load::start(shared().0.bootstrap(), &[(topic, 0), (topic, 1)], PACE)
}

/// Stops the load, lets the mirror finish, and judges.
fn judge(topic: &str, load: Load, mut winner: Replisome) {
    let (source, target) = shared();
    load.stop();
    wait_until_all_is_stored(&winner, topic, topic);
    assert_eq!(winner.stop(MINUTE).code, Some(0), "{}", winner.tail());
    let expected = hashes(source, topic);
    let duplicates = assert_nothing_lost(&expected, &hashes(target, topic));
    eprintln!("{topic}: {:?} records, came twice: {duplicates:?}", contents::counts(&expected));
}

#[test]
fn of_two_mirrors_on_one_group_the_newer_goes_on_and_the_older_exits_4() {
    let topic = "groups-two";
    let _admin = create(topic);
    let load = load(topic);
    let (old_probe, new_probe) = (Probe::default(), Probe::default());
    let (old_mirror, new_mirror) = (mirror(topic, &old_probe), mirror(topic, &new_probe));
    let mut older = old_mirror.start();
    old_probe.wait_until_ready(&mut older, MINUTE);
    let mut newer = new_mirror.start();
    older.wait_for_code(4, MINUTE);
    assert!(older.stderr().contains("the newer one wins"), "{}", older.tail());
    new_probe.wait_until_ready(&mut newer, MINUTE);
    judge(topic, load, newer);
}

#[test]
fn of_two_mirrors_started_at_the_same_instant_one_goes_on_and_one_exits_4() {
    let topic = "groups-twins";
    let _admin = create(topic);
    let load = load(topic);
    let probes = [Probe::default(), Probe::default()];
    let mirrors = [mirror(topic, &probes[0]), mirror(topic, &probes[1])];
    let (mut left, mut right) = (mirrors[0].start(), mirrors[1].start());
    wait::until_true("one of them has ended", MINUTE, || left.try_wait().is_some() || right.try_wait().is_some());
    let left_ended = left.try_wait().is_some();
    let (mut loser, mut winner, probe) = if left_ended { (left, right, &probes[1]) } else { (right, left, &probes[0]) };
    loser.wait_for_code(4, MINUTE);
    probe.wait_until_ready(&mut winner, MINUTE);
    judge(topic, load, winner);
}

/// The value of a field of commit metadata, as `e=7`.
fn field<'a>(metadata: &'a str, key: &str) -> &'a str {
    let value = metadata.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no field {key} in {metadata:?}"))
}

/// Stores the same offset again, with a field of the metadata changed.
fn store_with(admin: &Admin, topic: &str, partition: i32, key: &str, value: &str) {
    let Committed { offset, metadata } = admin.committed(topic, topic)[&partition].clone();
    let (before, after) = (format!(" {key}={}", field(&metadata, key)), format!(" {key}={value}"));
    admin.commit(topic, topic, partition, offset, &metadata.replace(&before, &after));
}

#[test]
fn a_greater_stored_epoch_ends_a_running_mirror_and_is_raised_past_at_a_start() {
    let topic = "groups-epoch";
    let admin = create(topic);
    let probe = Probe::default();
    let mirror = mirror(topic, &probe);
    let epoch =
        |partition| field(&admin.committed(topic, topic)[&partition].metadata, "e").parse::<u64>().expect("a number");
    let mut running = mirror.start();
    probe.wait_until_ready(&mut running, MINUTE);
    wait_until_all_is_stored(&running, topic, topic);
    let first = epoch(0);
    let greater = (first + 40).to_string();
    store_with(&admin, topic, 0, "e", &greater);
    running.wait_for_code(4, MINUTE);
    assert!(running.stderr().contains(&format!("epoch {greater}")), "{}", running.tail());
    assert_eq!(epoch(0), first + 40, "the loser stores nothing more there");

    let mut running = mirror.start();
    probe.wait_until_ready(&mut running, MINUTE);
    let above = first + 41;
    assert_eq!(
        (epoch(0), epoch(1)),
        (above, above),
        "what a mirror is granted is above all that was stored at its start"
    );
    fill(shared().0.bootstrap(), topic, 2, 1_000, 0);
    wait_until_all_is_stored(&running, topic, topic);
    eprintln!("{topic}: first epoch {first}, raised to {greater}, then claimed under {}", epoch(0));
    assert_eq!(running.stop(MINUTE).code, Some(0), "{}", running.tail());
    assert_equal_hashes(&hashes(shared().0, topic), &hashes(shared().1, topic));
}

#[test]
fn offsets_of_another_identity_pause_their_partition_until_continue_accepts_them() {
    let topic = "groups-foreign";
    let (source, target) = shared();
    let admin = create(topic);
    let probe = Probe::default();
    let mirror = mirror(topic, &probe);
    drop(mirror.run_until_end(MINUTE));
    store_with(&admin, topic, 0, "f", "another-fleet");
    fill(source.bootstrap(), topic, 2, 500, 0);
    let mut running = mirror.start();
    probe.wait_until_held(&running, topic, 0, "foreign-offset", MINUTE);
    assert!(running.stderr().contains("fleet another-fleet") && running.stderr().contains("--continue accepts it"));
    let stored = || admin.committed(topic, topic)[&1].offset;
    wait::until_true("the other partition goes on", MINUTE, || stored() == 10_500);
    assert_eq!(running.stop(MINUTE).code, Some(0), "{}", running.tail());
    let waiting = contents::counts(&hashes(target, topic));
    assert_eq!((waiting[&0], waiting[&1]), (10_000, 10_500));

    let accepting = mirror.flags(["--continue"]);
    drop(accepting.run_until_end(MINUTE));
    assert_equal_hashes(&hashes(source, topic), &hashes(target, topic));
}
