//! A steady load on some topics, and an independent consumer of them at the target: what silences are measured with. Owns
//! both and the judgement at the end; never copies anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::admin::Admin;
use crate::arrivals::{Arrivals, TopicPartition};
use crate::kafka_cluster::KafkaCluster;
use crate::load::{Load, Pace};
use crate::{compare, contents, wait};

/// How long the undisturbed flow is watched before a fault: the baseline beside what the fault does.
const BASELINE: Duration = Duration::from_secs(5);
/// The longest silence of a baseline that a fault can be judged beside.
const QUIET: Duration = Duration::from_millis(300);
/// How long a busy machine is waited for: brokers that have just started are slow.
const QUIET_DEADLINE: Duration = Duration::from_secs(90);
/// The longest silence that those may see whom a fault does not concern.
pub const SILENCE_MAX: Duration = Duration::from_millis(500);
/// How long the first record of each partition may take.
const FIRST_DEADLINE: Duration = Duration::from_secs(60);

/// A flow of records in each partition.
#[derive(Debug)]
pub struct Flow {
    source: String,
    target: String,
    topics: Vec<String>,
    partitions: i32,
    arrivals: Arrivals,
    /// The same topics at the source.
    departures: Arrivals,
    load: Load,
}

/// The longest silences around one fault.
#[derive(Clone, Copy, Debug)]
pub struct Silences {
    /// Of the load itself, at the source: what the machine did to everybody.
    pub load: Duration,
    /// Of all partitions, before it.
    pub baseline: Duration,
    /// Of the partitions that it concerns.
    pub concerned: Duration,
    /// Of all others.
    pub others: Duration,
}

impl Flow {
    /// Creates the topics on the source and starts the load; the target is watched under the same names.
    pub fn start(source: &KafkaCluster, target: &KafkaCluster, topics: &[&str], partitions: i32, pace: Pace) -> Self {
        let admin = Admin::new(source.bootstrap());
        topics.iter().for_each(|topic| admin.create_topic(topic, partitions, &[]));
        let (departures, arrivals) =
            (Arrivals::watch(source.bootstrap(), topics), Arrivals::watch(target.bootstrap(), topics));
        let places: Vec<(&str, i32)> =
            topics.iter().flat_map(|topic| (0..partitions).map(move |partition| (*topic, partition))).collect();
        let load = Load::start(source.bootstrap(), &places, pace);
        let (source, target) = (source.bootstrap().to_owned(), target.bootstrap().to_owned());
        Self {
            source,
            target,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            partitions,
            arrivals,
            departures,
            load,
        }
    }

    /// The source's address.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its topics.
    pub fn topics(&self) -> Vec<&str> {
        self.topics.iter().map(String::as_str).collect()
    }

    /// How many partitions flow.
    pub fn places(&self) -> usize {
        self.topics.len() * self.partitions as usize
    }

    /// Waits until something of each partition has arrived.
    #[track_caller]
    pub fn wait_for_first(&self) {
        self.wait_for_more(&[]);
    }

    /// Waits until more than these counts has arrived in each partition; what is not counted starts at 0.
    #[track_caller]
    pub fn wait_for_more(&self, than: &[(TopicPartition, u64)]) {
        let before = |place: &TopicPartition| than.iter().find(|(own, _)| own == place).map_or(0, |(_, count)| *count);
        wait::until_true("records arrive in each partition", FIRST_DEADLINE, || {
            self.counts().iter().all(|(place, count)| *count > before(place))
        });
    }

    /// Waits until the undisturbed flow has been quiet for 5 s, and gives the beginning of that: from there on silences
    /// are measured.
    #[track_caller]
    pub fn wait_for_baseline(&self) -> Instant {
        let started = Instant::now();
        loop {
            wait::pass(BASELINE);
            let from = Instant::now() - BASELINE;
            let silence = self.arrivals.longest_silence(from, Instant::now(), |place| self.topics.contains(&place.0));
            if silence <= QUIET {
                return from;
            }
            eprintln!("a baseline of {} ms is too noisy to judge a fault beside it", silence.as_millis());
            assert!(started.elapsed() < QUIET_DEADLINE, "no quiet baseline within {QUIET_DEADLINE:?}");
        }
    }

    /// How many records have arrived in each partition.
    pub fn counts(&self) -> Vec<(TopicPartition, u64)> {
        let places = self.topics.iter().flat_map(|topic| (0..self.partitions).map(move |number| (topic, number)));
        places.map(|(topic, number)| ((topic.clone(), number), self.arrivals.count(topic, number))).collect()
    }

    /// How many records have come again so far, in each partition.
    pub fn twice(&self) -> BTreeMap<TopicPartition, u64> {
        self.arrivals.twice()
    }

    /// The longest silences: the baseline between `from` and `fault`, the rest between `from` and `until`.
    pub fn silences(
        &self,
        from: Instant,
        fault: Instant,
        until: Instant,
        concerned: &BTreeSet<TopicPartition>,
    ) -> Silences {
        let is_own = |place: &TopicPartition| self.topics.contains(&place.0);
        Silences {
            load: self.departures.longest_silence(from, until, is_own),
            baseline: self.arrivals.longest_silence(from, fault, is_own),
            concerned: self.arrivals.longest_silence(from, until, |place| is_own(place) && concerned.contains(place)),
            others: self.arrivals.longest_silence(from, until, |place| is_own(place) && !concerned.contains(place)),
        }
    }

    /// Stops the load, lets `finish` wait until all is copied, and judges: nothing lost, order kept. Gives the number of
    /// records and how many came twice.
    #[track_caller]
    pub fn judge(self, finish: impl FnOnce()) -> (u64, usize) {
        let Self { source, target, topics, arrivals, departures, load, .. } = self;
        let sent = load.stop();
        finish();
        drop((arrivals, departures));
        let judge = |topic: &String| {
            let (expected, found) = (contents::hashes(&source, topic), contents::hashes(&target, topic));
            compare::assert_nothing_lost(&expected, &found).into_values().sum::<usize>()
        };
        (sent, topics.iter().map(judge).sum())
    }
}

impl Silences {
    /// Nobody else was disturbed: beyond what the load itself paused, which a busy machine is to blame for.
    #[track_caller]
    pub fn assert_others_undisturbed(&self, what: &str) {
        let silence = self.others.saturating_sub(self.load);
        assert!(silence <= SILENCE_MAX, "{what}: others were silent for {silence:?}: {self:?}");
    }
}

impl std::fmt::Display for Silences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { load, baseline, concerned, others } = self;
        write!(
            f,
            "silence {} ms, others {} ms, before {} ms, the load itself {} ms",
            concerned.as_millis(),
            others.as_millis(),
            baseline.as_millis(),
            load.as_millis()
        )
    }
}
