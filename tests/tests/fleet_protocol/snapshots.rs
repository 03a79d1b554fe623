//! Snapshots that come late: a real worker, led by hand, ignores what is older than what it has applied.

use std::collections::BTreeMap;

use replisome_tests::admin::Admin;
use replisome_tests::fleet::wire::{self, FakeLeader};
use replisome_tests::fleet::{Node, PATIENCE};
use replisome_tests::kafka_cluster::{KafkaCluster, shared};
use replisome_tests::load::fill;
use replisome_tests::{contents, kafka_tools, wait};

use proto::v1;

use super::alone;

const TOPIC: &str = "late-snapshots";
const ROUTE: &str = "by-hand";

/// Kafka's id of a topic, as its own tool prints it.
fn topic_id(cluster: &KafkaCluster) -> Vec<u8> {
    let text = kafka_tools::topics(cluster.bootstrap(), &["--describe", "--topic", TOPIC]);
    let id = text.split_once("TopicId: ").and_then(|(_, rest)| rest.split_whitespace().next());
    base64_url(id.unwrap_or_else(|| panic!("no TopicId in:\n{text}")))
}

fn base64_url(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |c| DIGITS.find(c).expect("a digit of base64") as u8;
    let bits: Vec<bool> = text.chars().flat_map(|c| (0..6).rev().map(move |bit| digit(c) >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect()
}

fn version(fleet_incarnation: u64, controller_epoch: u64, revision: u64) -> v1::Version {
    v1::Version { fleet_incarnation, controller_epoch, revision }
}

/// What the leader by hand wants of one worker.
struct Wanted {
    session: String,
    route: v1::RouteConfig,
    ids: (Vec<u8>, Vec<u8>),
}

impl Wanted {
    fn new(session: &str) -> Self {
        let (source, target) = shared();
        let cluster = |name: &str, cluster: &KafkaCluster| {
            let properties = [("bootstrap.servers".to_owned(), cluster.bootstrap().to_owned())].into();
            Some(v1::Cluster { name: name.to_owned(), properties })
        };
        let route = v1::RouteConfig {
            name: ROUTE.to_owned(),
            fleet: "byhand".to_owned(),
            incarnation: 1,
            offsets_since: 1,
            source: cluster("west", source),
            target: cluster("east", target),
            group: "replisome.byhand.by-hand".to_owned(),
            delivery: v1::Delivery::AtLeastOnce.into(),
            accept_foreign_offsets: false,
            commit_interval_ms: 1_000,
        };
        Self { session: session.to_owned(), route, ids: (topic_id(source), topic_id(target)) }
    }

    fn snapshot(&self, version: v1::Version, partitions: &[u32]) -> v1::Snapshot {
        let grant = |partition: &u32| v1::Grant {
            partition: Some(wire::route_partition(ROUTE, TOPIC, *partition)),
            epoch: 1,
            target_topic: TOPIC.to_owned(),
            source_topic_id: self.ids.0.clone(),
            target_topic_id: self.ids.1.clone(),
            start: Some(v1::StartPosition { at: Some(v1::start_position::At::Earliest(true)) }),
            noted_offset: None,
            accept_foreign_offset: false,
        };
        let (routes, grants) = (vec![self.route.clone()], partitions.iter().map(grant).collect());
        let (session, fleet) = (self.session.clone(), self.route.fleet.clone());
        v1::Snapshot { session, fleet, version: Some(version), routes, grants, more: false }
    }
}

/// What an inventory says is running, with its epochs.
fn running(inventory: &v1::Inventory) -> BTreeMap<u32, u64> {
    let one = |running: &v1::Running| Some((running.partition.as_ref()?.partition, running.epoch));
    inventory.running.iter().filter_map(one).collect()
}

#[test]
fn a_worker_ignores_snapshots_of_an_older_revision_controller_epoch_incarnation_or_of_another_session() {
    let _alone = alone();
    let (source, target) = shared();
    for cluster in [source, target] {
        Admin::new(cluster.bootstrap()).create_topic(TOPIC, 3, &[]);
    }
    fill(source.bootstrap(), TOPIC, 3, 100, 0);
    let leader = FakeLeader::start();
    let mut worker = Node::worker("w1", &[leader.address()], "");
    worker.start();
    let hello = leader.wait_for_hello();
    assert_eq!((hello.worker.as_str(), hello.protocol), ("w1", wire::PROTOCOL));
    let wanted = Wanted::new(&hello.session);

    let newest = version(2, 5, 10);
    leader.push(wanted.snapshot(newest, &[0, 1]));
    let both = BTreeMap::from([(0, 1), (1, 1)]);
    leader.wait_for_inventory("two partitions are copied", |inventory| {
        let is_copying = |running: &v1::Running| running.phase() == v1::Phase::Copying;
        inventory.applied == Some(newest) && running(inventory) == both && inventory.running.iter().all(is_copying)
    });
    let seen = leader.inventories().len();

    leader.push(wanted.snapshot(version(2, 5, 9), &[]));
    leader.push(wanted.snapshot(version(2, 4, 99), &[]));
    leader.push(wanted.snapshot(version(1, 9, 99), &[]));
    let of_another = v1::Snapshot { session: wire::ulid(), ..wanted.snapshot(version(2, 5, 50), &[]) };
    leader.push(of_another);
    leader.push(wanted.snapshot(version(2, 5, 11), &[0, 1, 2]));
    leader.wait_for_inventory("a newer snapshot is obeyed", |inventory| {
        inventory.applied == Some(version(2, 5, 11)) && running(inventory).len() == 3
    });

    for inventory in &leader.inventories()[seen..] {
        let found = running(inventory);
        assert!([0, 1].iter().all(|partition| found.get(partition) == Some(&1)), "released: {inventory:#?}");
        let applied = inventory.applied.expect("a version");
        assert!(applied == newest || applied == version(2, 5, 11), "an old snapshot was applied: {applied:?}");
    }
    wait::until_true("all three partitions are at the target", PATIENCE, || {
        let counts = contents::counts(&contents::hashes(target.bootstrap(), TOPIC));
        counts.values().all(|count| *count == 100)
    });
}
