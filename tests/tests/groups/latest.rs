//! `auto.offset.reset=latest` loses nothing but what was there before the first start.

use replisome_tests::admin::Admin;
use replisome_tests::compare::assert_equal_hashes;
use replisome_tests::contents::Hashes;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;
use replisome_tests::mirror::Mirror;
use replisome_tests::probe::Probe;
use replisome_tests::wait;

use super::{MINUTE, hashes, wait_until_all_is_stored};

const GROUP: &str = "groups-latest";
/// Records in each partition before the first start.
const OLD: usize = 100;

fn fill_one(topic: &str, partition: i32, count: usize) {
    use replisome_tests::load::numbered;
    use replisome_tests::produce::Producer;
    let records: Vec<_> = (0..count).map(|_| numbered(partition, 0)).collect();
    Producer::new(shared().0.bootstrap()).send_all(topic, &records);
}

#[test]
fn latest_loses_nothing_that_came_after_the_first_start() {
    let (source, target) = shared();
    let admin = Admin::new(source.bootstrap());
    let (busy, idle) = ("groups-latest-busy", "groups-latest-idle");
    for topic in [busy, idle] {
        admin.create_topic(topic, 2, &[]);
        fill(source.bootstrap(), topic, 2, OLD, 0);
    }
    let probe = Probe::default();
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), GROUP, "groups-latest-.*");
    let mirror = mirror.consumer("auto.offset.reset", "latest").flags(["--http-listen", probe.address()]);
    let mut running = mirror.start();
    probe.wait_until_ready(&mut running, MINUTE);

    fill_one(busy, 0, 50);
    let during = "groups-latest-created-while-it-runs";
    admin.create_topic(during, 2, &[]);
    fill(source.bootstrap(), during, 2, 50, 0);
    for topic in [busy, idle, during] {
        wait_until_all_is_stored(&running, GROUP, topic);
    }
    assert_eq!(running.stop(MINUTE).code, Some(0), "{}", running.tail());

    fill(source.bootstrap(), idle, 2, 30, 0);
    let down = "groups-latest-created-while-it-is-down";
    admin.create_topic(down, 2, &[]);
    fill(source.bootstrap(), down, 2, 50, 0);
    admin.grow_topic(busy, 4);
    fill(source.bootstrap(), busy, 4, 20, 0);

    let mut running = mirror.start();
    probe.wait_until_ready(&mut running, MINUTE);
    for topic in [busy, idle, during, down] {
        let partitions = admin.partitions(topic) as usize;
        wait::until_true("each partition has a stored offset", MINUTE, || {
            admin.committed(GROUP, topic).len() == partitions
        });
        wait_until_all_is_stored(&running, GROUP, topic);
        let mut expected: Hashes = hashes(source, topic);
        if [busy, idle].contains(&topic) {
            // The partitions of the first start begin after what was there; the others are whole.
            expected.iter_mut().filter(|(partition, _)| **partition < 2).for_each(|(_, of_partition)| {
                of_partition.drain(..OLD);
            });
        }
        let found = hashes(target, topic);
        let counts = |hashes: &Hashes| hashes.values().map(Vec::len).collect::<Vec<_>>();
        eprintln!("{topic}: {:?} of {:?} expected", counts(&found), counts(&expected));
        assert_equal_hashes(&expected, &found);
    }
}
