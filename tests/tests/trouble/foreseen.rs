//! Records that the target will refuse, which is known before they are produced.

use std::time::{SystemTime, UNIX_EPOCH};

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::{fill, numbered};
use replisome_tests::produce::{NewRecord, Producer};

use super::{Scene, alone, assert_equal_topics};

/// A topic with settings of its own on each side.
fn create(topic: &str, partitions: i32, at_source: &[(&str, &str)], at_target: &[(&str, &str)]) {
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic(topic, partitions, at_source);
    Admin::new(target.bootstrap()).create_topic(topic, partitions, at_target);
}

/// A good record, the bad one, and a good one behind it.
fn strike(topic: &str, partition: i32, bad: NewRecord) {
    let records = [numbered(partition, 0), bad, numbered(partition, 0)];
    Producer::new(shared().0.bootstrap()).send_all(topic, &records);
}

fn hours_from_now(hours: i64) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970").as_millis() as i64;
    Some(now + hours * 3_600_000)
}

#[test]
fn a_refusal_that_is_foreseen_pauses_its_partition_alone_until_the_target_is_mended() {
    let _alone = alone();
    let (source, target) = shared();
    let (large, stamped, keyless, bystander) =
        ("foreseen-large", "foreseen-stamped", "foreseen-keyless", "foreseen-bystander");
    let for_ever = &i64::MAX.to_string();
    let any_time = [("message.timestamp.before.max.ms", &**for_ever), ("message.timestamp.after.max.ms", for_ever)];
    create(large, 2, &[], &[("max.message.bytes", "100000")]);
    create(stamped, 3, &any_time, &[("message.timestamp.before.max.ms", "3600000")]);
    create(keyless, 2, &[], &[("cleanup.policy", "compact")]);
    Admin::new(source.bootstrap()).create_topic(bystander, 2, &[]);
    let topics = [large, stamped, keyless, bystander];
    topics.iter().for_each(|topic| fill(source.bootstrap(), topic, 2, 100, 0));
    let others = [(large, 1), (stamped, 2), (keyless, 1), (bystander, 0), (bystander, 1)];
    let scene = Scene::start("foreseen", "foreseen-.*", &others);
    let mend = |topic, configs: &[(&str, &str)]| Admin::new(target.bootstrap()).replace_topic_configs(topic, configs);

    strike(large, 0, numbered(0, 200_000));
    scene.wait_until_held(large, 0, "record-too-large", "max.message.bytes is 100000");
    mend(large, &[("max.message.bytes", "300000")]);
    scene.wait_until_copied(large, 0);
    scene.assert_no_silence("a record too large");

    strike(stamped, 0, NewRecord { timestamp: hours_from_now(-48), ..numbered(0, 0) });
    strike(stamped, 1, NewRecord { timestamp: hours_from_now(48), ..numbered(1, 0) });
    scene.wait_until_held(stamped, 0, "timestamp-refused", "message.timestamp.before.max.ms=3600000");
    scene.wait_until_held(stamped, 1, "timestamp-refused", "message.timestamp.after.max.ms=3600000");
    mend(stamped, &any_time);
    scene.wait_until_copied(stamped, 0);
    scene.wait_until_copied(stamped, 1);
    scene.assert_no_silence("timestamps outside the window");

    strike(keyless, 0, NewRecord { key: None, ..numbered(0, 0) });
    scene.wait_until_held(keyless, 0, "key-missing", "the target topic is compacted");
    mend(keyless, &[("cleanup.policy", "delete")]);
    scene.wait_until_copied(keyless, 0);
    scene.assert_no_silence("a null key into a compacted topic");

    scene.stop();
    assert_equal_topics(source, target, &topics);
}
