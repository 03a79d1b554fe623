//! A release whose confirmation does not come: the partition moves on once it is certain, and never before.

use replisome_tests::admin::Admin;
use replisome_tests::contents;
use replisome_tests::fleet::wire::{self, Attached, FakeWorker};
use replisome_tests::fleet::{Fleet, PATIENCE, Place, Table};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;

use super::alone;

const PARTITIONS: i32 = 4;
const RECORDS: usize = 100;

/// A worker made by hand that has all of a topic, and is asked to give half of it to a real one that has joined.
struct Scene {
    topic: &'static str,
    fleet: Fleet,
    fake: FakeWorker,
    attached: Attached,
    before: Table,
    released: proto::v1::Snapshot,
}

impl Scene {
    fn new(topic: &'static str) -> Self {
        let (source, target) = shared();
        Admin::new(source.bootstrap()).create_topic(topic, PARTITIONS, &[]);
        fill(source.bootstrap(), topic, PARTITIONS, RECORDS, 0);
        let mut fleet = Fleet::start(3, 0);
        fleet.add_route(topic, source, target, &["--include", topic]);
        let fake = FakeWorker::new("by-hand");
        let attached = fake.attach_to_leader(&fleet.addresses(), &wire::nothing());
        let all = attached.wait_for_snapshot("it has everything", |snapshot| snapshot.grants.len() == 4);
        attached.report(wire::obedient(&all));
        let before = fleet.table();
        assert_eq!(before.of("by-hand").len(), 4, "{before:#?}");
        fleet.add_worker().start();
        let released = attached.wait_for_snapshot("half is to be released", |snapshot| snapshot.grants.len() == 2);
        Self { topic, fleet, fake, attached, before, released }
    }

    /// The two partitions that are to be released.
    fn leaving(&self) -> Vec<Place> {
        let stays = |place: &&Place| {
            let is =
                |grant: &proto::v1::Grant| grant.partition.as_ref().is_some_and(|own| own.partition as i32 == place.1);
            self.released.grants.iter().any(is)
        };
        self.before.rows.keys().filter(|place| !stays(place)).cloned().collect()
    }

    /// Nothing was given away yet.
    #[track_caller]
    fn assert_still_releasing(&self) {
        let table = self.fleet.table();
        self.before.assert_unmoved(&table);
        for place in self.leaving() {
            assert_eq!(table.rows[&place].state, "releasing", "{place:?}: {table:#?}");
        }
    }

    /// The real worker has the two partitions, under the next epoch, and copies them; the others have stayed.
    #[track_caller]
    fn assert_moved_on(&self) {
        let after = self.fleet.wait_for_table("the real worker copies its half", PATIENCE, |table| {
            let own = table.of("w1");
            own.len() == 2 && own.iter().all(|place| table.rows[place].next_offset == Some(RECORDS as i64))
        });
        let changes = self.before.changes(&after);
        assert!(changes.len() == 2 && changes.iter().all(|change| change.is_one_move()), "{changes:#?}");
        let counts = contents::counts(&contents::hashes(shared().1.bootstrap(), self.topic));
        for (topic, partition) in self.leaving() {
            assert_eq!(counts[&partition], RECORDS, "records of {topic}-{partition} at the target");
        }
    }
}

#[test]
fn a_release_whose_confirmation_was_lost_with_the_connection_is_seen_in_the_next_inventory() {
    let _alone = alone();
    let scene = Scene::new("release-lost");
    scene.assert_still_releasing();
    let Scene { attached, .. } = &scene;
    // The release was applied; the word of it never came, the connection broke.
    assert!(attached.renewed().is_some(), "the lease was renewed");
    let again = {
        let inventory = wire::obedient(&scene.released);
        scene.fake.attach_to_leader(&scene.fleet.addresses(), &inventory)
    };
    scene.assert_moved_on();
    drop(again);
}

#[test]
fn a_leader_killed_between_release_and_assignment_leaves_the_rest_to_the_next_one() {
    let _alone = alone();
    let mut scene = Scene::new("release-leader");
    scene.assert_still_releasing();
    let leader = scene.fleet.leader();
    scene.fleet.controllers[leader].kill();
    let next = scene.fleet.leader();
    assert_ne!(next, leader);
    // Everything runs still: the word of the first leader was not obeyed yet.
    let running = scene.before.rows.iter().map(|((topic, partition), row)| proto::v1::Running {
        partition: Some(wire::route_partition(scene.topic, topic, *partition as u32)),
        epoch: row.owner.epoch,
        phase: proto::v1::Phase::Draining.into(),
        reason: None,
    });
    let inventory =
        proto::v1::Inventory { applied: scene.released.version, running: running.collect(), ..Default::default() };
    let attached = scene.fake.attach_to_leader(&scene.fleet.addresses(), &inventory);
    let told = attached.wait_for_snapshot("the next leader wants the same", |snapshot| snapshot.grants.len() == 2);
    assert_eq!(told.grants, scene.released.grants);
    let epochs = [&told, &scene.released].map(|snapshot| snapshot.version.expect("a version").controller_epoch);
    assert!(epochs[0] > epochs[1], "controller epochs {epochs:?}");
    scene.assert_still_releasing();
    attached.report(wire::obedient(&told));
    scene.assert_moved_on();
}
