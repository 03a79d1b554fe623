//! A mirror that dies at any moment: nothing is lost, first arrivals keep their order, and no more comes twice than what
//! had arrived since the last stored offset.

#[path = "crashes/deaths.rs"]
mod deaths;

use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::child::Signal;
use replisome_tests::compare::assert_nothing_lost;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::{Load, Pace, fill};
use replisome_tests::mirror::Mirror;
use replisome_tests::process::Replisome;
use replisome_tests::random::Random;
use replisome_tests::wait;

use deaths::Deaths;

const MINUTE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 4;
const SIGABRT: i32 = 6;
/// 4,000 records a second over all partitions.
const PACE: Pace = Pace { interval: Duration::from_millis(10), batch: 10, value_len: 80 };

/// A mirror under load that dies again and again.
struct Scene {
    topic: &'static str,
    mirror: Mirror,
    load: Load,
    deaths: Deaths,
}

impl Scene {
    /// A topic with a backlog that takes a mirror a while, and a load on top.
    fn new(topic: &'static str) -> Self {
        let (source, target) = shared();
        Admin::new(source.bootstrap()).create_topic(topic, PARTITIONS, &[]);
        fill(source.bootstrap(), topic, PARTITIONS, 60_000, 80);
        let places: Vec<(&str, i32)> = (0..PARTITIONS).map(|partition| (topic, partition)).collect();
        let load = Load::start(source.bootstrap(), &places, PACE);
        let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), topic, topic).flags(["--num.streams", "2"]);
        Self { topic, mirror, load, deaths: Deaths::new(topic, topic, PARTITIONS) }
    }

    /// Waits until a record arrives that was not there before.
    fn wait_for_an_arrival(&self, running: &Replisome) {
        let admin = Admin::new(shared().1.bootstrap());
        let before = deaths::ends(&admin, self.topic, PARTITIONS);
        let moved = || (deaths::ends(&admin, self.topic, PARTITIONS) != before).then_some(());
        assert!(wait::until_or_none(MINUTE, moved).is_some(), "nothing arrives\n{}", running.tail());
    }

    /// Lets the mirror finish, and judges.
    fn judge(self) {
        let (source, target) = shared();
        let loaded = self.load.stop();
        let (finished, _) = self.mirror.run_until_end(2 * MINUTE);
        let read = |bootstrap| contents::hashes(bootstrap, self.topic);
        let (expected, found) = (read(source.bootstrap()), read(target.bootstrap()));
        let duplicates: usize = assert_nothing_lost(&expected, &found).into_values().sum();
        let records: usize = contents::counts(&expected).into_values().sum();
        eprintln!("{}: {records} records, {loaded} of them while mirrors died; {duplicates} came twice", self.topic);
        self.deaths.assert_no_more_repeats_than_not_stored(&found);
        drop(finished);
    }
}

#[test]
fn a_mirror_killed_ten_times_at_random_loses_nothing_and_repeats_only_what_was_not_stored() {
    let mut random = Random::for_test("a_mirror_killed_ten_times_at_random");
    let mut scene = Scene::new("crashes-random");
    for number in 0..10 {
        let mut running = scene.mirror.start();
        // Every other time while it copies for certain; else perhaps while it starts.
        if number % 2 == 1 {
            scene.wait_for_an_arrival(&running);
        }
        let (started, moment) = (Instant::now(), Duration::from_millis(random.below(1_500)));
        wait::until_true("the moment has come", MINUTE, || started.elapsed() >= moment);
        assert_eq!(running.try_wait(), None, "it ended by itself\n{}", running.tail());
        running.kill();
        scene.deaths.record(&format!("kill {number} after {moment:?}"));
    }
    scene.judge();
}

#[test]
fn a_mirror_that_dies_at_each_crash_point_loses_nothing_and_repeats_only_what_was_not_stored() {
    let mut random = Random::for_test("a_mirror_that_dies_at_each_crash_point");
    let mut scene = Scene::new("crashes-points");
    let places = [
        ("after-claim", 1 + random.below(4)),
        ("after-poll", 1 + random.below(20_000)),
        ("after-produce", 1 + random.below(20_000)),
        ("before-checkpoint", 1 + random.below(4)),
        ("after-checkpoint", 1 + random.below(4)),
        ("in-release", 1),
    ];
    for (place, passages) in places {
        let plan = format!("{place}:{passages}");
        let mut running = scene.mirror.start_with(&[("REPLISOME_CRASH_AT", &plan)]);
        if place == "in-release" {
            scene.wait_for_an_arrival(&running);
            running.signal(Signal::Terminate);
        }
        let exit = running.wait(MINUTE);
        assert_eq!(exit.signal, Some(SIGABRT), "{plan}: {exit:?}\n{}", running.tail());
        scene.deaths.record(&plan);
    }
    scene.judge();
}
