//! A copy is equal: everything that a topic can hold, in small, on real Kafka. Owns the corners of records, codecs,
//! holes and transactions; speed and faults are shown elsewhere.
//!
//! Equal means: as the harness's own reader of committed records sees both sides, and with the group's offset at the
//! last stable offset of each partition, so that no lag is left.

#[path = "fidelity/holes.rs"]
mod holes;
#[path = "fidelity/shapes.rs"]
mod shapes;
#[path = "fidelity/timestamps.rs"]
mod timestamps;
#[path = "fidelity/transactions.rs"]
mod transactions;

use std::collections::BTreeMap;
use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::compare::assert_equal;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::mirror::Mirror;

const COPY_DEADLINE: Duration = Duration::from_secs(60);

/// A mirror between the shared clusters, under a group that is called as the topics are.
fn mirror(group: &str, whitelist: &str) -> Mirror {
    let (source, target) = shared();
    Mirror::new(source.bootstrap(), target.bootstrap(), group, whitelist).flags(["--num.streams", "2"])
}

/// Both sides of the topic are equal, and the group has come to its last stable offsets.
#[track_caller]
fn assert_copied(group: &str, topic: &str) {
    let (source, target) = shared();
    let expected = contents::read(source.bootstrap(), topic);
    assert_equal(&expected, &contents::read(target.bootstrap(), topic));
    let partitions = Admin::new(source.bootstrap()).partitions(topic);
    assert_eq!(Admin::new(target.bootstrap()).partitions(topic), partitions, "partitions of {topic}");
    assert_eq!(stored(group, topic), stable_ends(topic), "group {group} on {topic}: stored offsets, last stable ones");
}

/// Where the group stands, by partition.
fn stored(group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let committed = Admin::new(shared().0.bootstrap()).committed(group, topic);
    committed.into_iter().map(|(partition, committed)| (partition, committed.offset)).collect()
}

/// The last stable offsets of the source, by partition.
fn stable_ends(topic: &str) -> BTreeMap<i32, i64> {
    let admin = Admin::new(shared().0.bootstrap());
    (0..admin.partitions(topic)).map(|partition| (partition, admin.offsets(topic, partition, false).1)).collect()
}
