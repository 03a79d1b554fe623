//! Things that are deleted under a running mirror: the target topic, and source records that were not read yet.

use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::{Load, STEADY, fill, numbered};
use replisome_tests::produce::Producer;
use replisome_tests::wait;

use super::{MINUTE, Scene, alone, assert_equal_topics, assert_nothing_lost_and_little_repeated, pass};

#[test]
fn a_deleted_target_topic_pauses_and_once_recreated_goes_on_only_with_continue() {
    let _alone = alone();
    let (source, target) = shared();
    let (doomed, bystander) = ("gone-doomed", "gone-bystander");
    let (admin, target_admin) = (Admin::new(source.bootstrap()), Admin::new(target.bootstrap()));
    [doomed, bystander].iter().for_each(|topic| admin.create_topic(topic, 2, &[]));
    fill(source.bootstrap(), doomed, 2, 1_000, 0);
    let mut scene = Scene::start("gone", "gone-.*", &[(bystander, 0), (bystander, 1)]);
    scene.wait_until_copied(doomed, 0);
    scene.wait_until_copied(doomed, 1);

    let load = Load::start(source.bootstrap(), &[(doomed, 0), (doomed, 1)], STEADY);
    pass(Duration::from_secs(1));
    let struck = Instant::now();
    target_admin.delete_topic(doomed);
    let stands_still = |partition| scene.probe.held(doomed, partition).is_some();
    wait::until_true("both partitions stand still", MINUTE, || stands_still(0) && stands_still(1));
    eprintln!("deleted: {:?} {:?}", scene.probe.held(doomed, 0), scene.probe.held(doomed, 1));
    pass(Duration::from_secs(4));
    assert_eq!(target_admin.partitions(doomed), 0, "a deleted topic is not created again by itself");
    target_admin.create_topic(doomed, 2, &[]);
    scene.wait_until_held(doomed, 0, "topic-recreated", "--continue accepts the new one");
    scene.wait_until_held(doomed, 1, "topic-recreated", "--continue accepts the new one");
    pass(Duration::from_secs(2));
    scene.assert_one_short_silence("a deleted target topic", struck);
    load.stop();
    let arrived = contents::counts(&contents::hashes(target.bootstrap(), doomed));
    assert_eq!(arrived.values().sum::<usize>(), 0, "nothing is written into the new topic: {arrived:?}");

    assert_eq!(scene.running.stop(MINUTE).code, Some(0), "{}", scene.running.tail());
    let stored = admin.committed("gone", doomed);
    let mut accepting = std::mem::replace(&mut scene.mirror, super::Mirror::new("", "", "unused", "unused"));
    accepting = accepting.flags(["--continue"]);
    scene.running = accepting.start();
    scene.wait_until_copied(doomed, 0);
    scene.wait_until_copied(doomed, 1);
    scene.stop();
    let mut expected = contents::hashes(source.bootstrap(), doomed);
    for (partition, hashes) in &mut expected {
        hashes.drain(..stored[partition].offset as usize);
    }
    let offsets: Vec<i64> = stored.values().map(|committed| committed.offset).collect();
    eprintln!("stored at the deletion {offsets:?}, continued with {:?}", contents::counts(&expected));
    super::assert_equal_hashes(&expected, &contents::hashes(target.bootstrap(), doomed));
    assert_nothing_lost_and_little_repeated(source, target, &[bystander]);
}

#[test]
fn records_deleted_before_they_were_read_are_reported_with_exact_numbers_and_stop_their_partition_alone() {
    let _alone = alone();
    let (source, target) = shared();
    let (cut, bystander) = ("range-cut", "range-bystander");
    let (admin, target_admin) = (Admin::new(source.bootstrap()), Admin::new(target.bootstrap()));
    [cut, bystander].iter().for_each(|topic| admin.create_topic(topic, 2, &[]));
    target_admin.create_topic(cut, 2, &[("max.message.bytes", "100000")]);
    fill(source.bootstrap(), cut, 2, 100, 0);
    let mut scene = Scene::start("range", "range-.*", &[(cut, 1), (bystander, 0), (bystander, 1)]);

    // The reader is kept at offset 100 while the records up to 149 are deleted.
    let behind: Vec<_> = (0..100).map(|number| numbered(0, if number == 0 { 200_000 } else { 0 })).collect();
    Producer::new(source.bootstrap()).send_all(cut, &behind);
    scene.wait_until_held(cut, 0, "record-too-large", "max.message.bytes is 100000");
    wait::until_true("offset 100 is stored", MINUTE, || admin.committed("range", cut)[&0].offset == 100);
    admin.delete_records(cut, 0, 150);
    target_admin.replace_topic_configs(cut, &[("max.message.bytes", "300000")]);
    let text =
        "deleted offsets 100 to 149 before they were copied: 50 offsets are gone, the source now holds 150 to 200";
    scene.wait_until_held(cut, 0, "out-of-range", text);
    pass(Duration::from_secs(2));
    scene.assert_no_silence("DeleteRecords past the reader");
    assert_eq!(admin.committed("range", cut)[&0].offset, 100, "the gap is not passed");

    assert_eq!(scene.running.stop(MINUTE).code, Some(0), "{}", scene.running.tail());
    scene.running = scene.mirror.start();
    scene.wait_until_held(cut, 0, "out-of-range", text);
    scene.wait_until_copied(cut, 1);
    scene.stop();
    assert_eq!(contents::counts(&contents::hashes(target.bootstrap(), cut))[&0], 100);
    assert_equal_topics(source, target, &[bystander]);
}
