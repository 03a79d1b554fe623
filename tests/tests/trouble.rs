//! One bad partition stands still alone, says why, and goes on by itself once its cause is gone; the others hardly
//! notice. Silences are measured by an independent consumer of the target, so these tests run one at a time.

#[path = "trouble/foreseen.rs"]
mod foreseen;
#[path = "trouble/gone.rs"]
mod gone;
#[path = "trouble/rights.rs"]
mod rights;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::arrivals::{Arrivals, TopicPartition};
use replisome_tests::compare::{assert_equal_hashes, assert_nothing_lost};
use replisome_tests::contents;
use replisome_tests::kafka_cluster::{KafkaCluster, shared};
use replisome_tests::load::{Load, STEADY, fill};
use replisome_tests::mirror::Mirror;
use replisome_tests::probe::Probe;
use replisome_tests::process::Replisome;
use replisome_tests::produce::Producer;
use replisome_tests::wait;

const MINUTE: Duration = Duration::from_secs(60);
/// What a cause that is foreseen may cost others.
const FORESEEN: Duration = Duration::from_millis(500);
/// What a cause that strikes while running may cost others, once.
const STRUCK: Duration = Duration::from_secs(3);

/// More than a steady load has in flight in one partition: half a second's worth.
const IN_FLIGHT_MAX: usize = 25;

/// A silence measured beside another test's load says nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass(time: Duration) {
    let started = Instant::now();
    wait::until_true("the time has passed", 2 * time, || started.elapsed() >= time);
}

/// A mirror on one thread, so that all partitions share all that can be shared, with a steady load on those that are to
/// notice nothing.
struct Scene<'a> {
    source: &'a KafkaCluster,
    group: &'static str,
    probe: Probe,
    mirror: Mirror,
    running: Replisome,
    places: Vec<(&'static str, i32)>,
    load: Load,
    arrivals: Arrivals,
    from: Instant,
}

impl Scene<'static> {
    /// Between the shared clusters; the topics exist at the source, and at the target where the test wants them other.
    fn start(group: &'static str, whitelist: &str, places: &[(&'static str, i32)]) -> Self {
        let (source, target) = shared();
        Self::start_with(group, places, (source, target), |mirror| mirror, whitelist)
    }
}

impl<'a> Scene<'a> {
    fn start_with(
        group: &'static str,
        places: &[(&'static str, i32)],
        (source, target): (&'a KafkaCluster, &'a KafkaCluster),
        more: impl Fn(Mirror) -> Mirror,
        whitelist: &str,
    ) -> Self {
        let probe = Probe::default();
        let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), group, whitelist);
        let mirror = more(mirror.flags(["--num.streams", "1", "--http-listen", probe.address()]));
        let mut running = mirror.start();
        let load = Load::start(source.bootstrap(), places, STEADY);
        let topics: Vec<&str> = places.iter().map(|(topic, _)| *topic).collect();
        let mut distinct = topics.clone();
        distinct.dedup();
        let arrivals = Arrivals::watch(target.bootstrap(), &distinct);
        wait::until_true("every steady partition is copied", MINUTE, || {
            assert!(running.try_wait().is_none(), "the mirror ended\n{}", running.tail());
            places.iter().all(|(topic, partition)| arrivals.count(topic, *partition) > 50)
        });
        let places = places.to_vec();
        let scene = Self { source, group, probe, mirror, running, places, load, arrivals, from: Instant::now() };
        pass(Duration::from_secs(3));
        let baseline = scene.longest_silence(scene.from);
        eprintln!("{group}: silence without a fault: {baseline:?}");
        scene
    }

    fn is_steady(&self, (topic, partition): &TopicPartition) -> bool {
        self.places.contains(&(topic.as_str(), *partition))
    }

    fn longest_silence(&self, from: Instant) -> Duration {
        self.arrivals.longest_silence(from, Instant::now(), |place| self.is_steady(place))
    }

    /// Waits until a partition stands still for this reason and the log says so with this text.
    #[track_caller]
    fn wait_until_held(&self, topic: &str, partition: i32, reason: &str, text: &str) {
        self.probe.wait_until_held(&self.running, topic, partition, reason, MINUTE / 2);
        self.assert_logged(topic, text);
    }

    /// Waits until a topic waits as a whole for this reason and the log says so with this text.
    #[track_caller]
    fn wait_until_waiting(&self, topic: &str, reason: &str, text: &str) {
        let waiting = wait::until_or_none(MINUTE / 2, || self.probe.waiting(topic).filter(|waiting| waiting == reason));
        let found = self.probe.waiting(topic);
        assert!(waiting.is_some(), "{topic}: {found:?} instead of {reason:?}\n{}", self.running.tail());
        self.assert_logged(topic, text);
    }

    #[track_caller]
    fn assert_logged(&self, topic: &str, text: &str) {
        let says = |line: &str| line.contains(topic) && line.contains(text);
        let said = self.running.stderr().lines().any(says);
        assert!(said, "no line of the log with {topic} and {text:?}\n{}", self.running.tail());
    }

    /// Waits until everything of a partition is stored.
    #[track_caller]
    fn wait_until_copied(&self, topic: &str, partition: i32) {
        let admin = Admin::new(self.source.bootstrap());
        let end = admin.offsets(topic, partition, false).1;
        let stored = || admin.committed(self.group, topic).get(&partition).map_or(-1, |committed| committed.offset);
        let copied = wait::until_or_none(MINUTE, || (stored() >= end).then_some(()));
        assert!(copied.is_some(), "{topic}-{partition}: end {end}, stored {}\n{}", stored(), self.running.tail());
    }

    /// The steady partitions were never silent for longer than a foreseen cause may cost.
    #[track_caller]
    fn assert_no_silence(&self, what: &str) {
        let longest = self.longest_silence(self.from);
        eprintln!("{what}: longest silence of the others {longest:?}");
        assert!(longest <= FORESEEN, "{what}: {longest:?}\n{}", self.running.tail());
    }

    /// The steady partitions were silent once at most, and not for long.
    #[track_caller]
    fn assert_one_short_silence(&self, what: &str, from: Instant) {
        let silences = self.arrivals.silences_over(from, Instant::now(), FORESEEN);
        let silences: Vec<_> = silences.into_iter().filter(|(place, _)| self.is_steady(place)).collect();
        let longest = self.longest_silence(from);
        eprintln!("{what}: longest silence of the others {longest:?}, over {FORESEEN:?}: {silences:?}");
        assert!(longest <= STRUCK, "{what}: {longest:?}\n{}", self.running.tail());
        assert!(silences.iter().all(|(_, over)| over.len() <= 1), "{what}: {silences:?}\n{}", self.running.tail());
    }

    /// Ends load and mirror.
    #[track_caller]
    fn stop(mut self) {
        self.load.stop();
        assert_eq!(self.running.stop(MINUTE).code, Some(0), "{}", self.running.tail());
        drop(self.mirror);
    }
}

#[track_caller]
fn assert_equal_topics(source: &KafkaCluster, target: &KafkaCluster, topics: &[&str]) {
    for topic in topics {
        let read = |cluster: &KafkaCluster| contents::hashes(cluster.bootstrap(), topic);
        assert_equal_hashes(&read(source), &read(target));
    }
}

/// For causes that strike while running: they cost the lane its producer, and what that had sent and not heard of is
/// sent again. Of a steady load that is little.
#[track_caller]
fn assert_nothing_lost_and_little_repeated(source: &KafkaCluster, target: &KafkaCluster, topics: &[&str]) {
    for topic in topics {
        let read = |cluster: &KafkaCluster| contents::hashes(cluster.bootstrap(), topic);
        let repeats = assert_nothing_lost(&read(source), &read(target));
        eprintln!("{topic}: came twice {repeats:?}");
        assert!(repeats.values().all(|repeats| *repeats <= IN_FLIGHT_MAX), "{topic}: {repeats:?}");
    }
}

#[test]
fn abort_on_send_failure_ends_the_mirror_with_code_1() {
    let _alone = alone();
    let (source, target) = shared();
    let topic = "trouble-abort";
    Admin::new(source.bootstrap()).create_topic(topic, 1, &[]);
    Admin::new(target.bootstrap()).create_topic(topic, 1, &[("max.message.bytes", "10000")]);
    fill(source.bootstrap(), topic, 1, 100, 0);
    Producer::new(source.bootstrap()).send_all(topic, &[replisome_tests::load::numbered(0, 20_000)]);
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), topic, topic);
    let mirror = mirror.flags(["--abort.on.send.failure", "true"]);
    let mut running = mirror.start();
    running.wait_for_code(1, MINUTE);
    assert!(running.stderr().contains("max.message.bytes is 10000"), "{}", running.tail());
    assert_eq!(contents::counts(&contents::hashes(target.bootstrap(), topic))[&0], 100, "what came before has arrived");
    assert_eq!(Admin::new(source.bootstrap()).committed(topic, topic)[&0].offset, 100);
}
