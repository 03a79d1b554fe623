//! When records arrive: an independent consumer of the target, on its own clock. Owns the measure of silence; never
//! judges what arrived.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::admin;

/// Arrivals closer together than this count as one: silences are measured in milliseconds.
const RESOLUTION: Duration = Duration::from_millis(1);
/// How often partitions that have appeared are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_millis(200);

/// A partition of a topic.
pub type TopicPartition = (String, i32);

#[derive(Debug, Default)]
struct Seen {
    times: Vec<Instant>,
    count: u64,
    /// Hashes of the values: each differs from every other one at the source.
    values: HashSet<u64>,
}

type Log = Arc<Mutex<BTreeMap<TopicPartition, Seen>>>;

/// Watches topics until dropped.
#[derive(Debug)]
pub struct Arrivals {
    log: Log,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Arrivals {
    /// Watches `topics`, from their beginning, in all partitions; ones that appear later are found by themselves.
    pub fn watch(bootstrap: &str, topics: &[&str]) -> Self {
        let mut config = admin::client_config(bootstrap);
        config.set("group.id", "never-joined").set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed").set("auto.offset.reset", "earliest");
        config.set("fetch.queue.backoff.ms", "10").set("fetch.wait.max.ms", "50").set("fetch.error.backoff.ms", "20");
        config.set("topic.metadata.refresh.interval.ms", "1000").set("topic.metadata.propagation.max.ms", "1000");
        let consumer: BaseConsumer = config.create().expect("create a consumer");
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let (log, stop) = (Log::default(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (log, stop) = (Arc::clone(&log), Arc::clone(&stop));
            move || run(&consumer, &topics, &log, &stop)
        });
        Self { log, stop, thread: Some(thread) }
    }

    /// How many records have arrived in a partition.
    pub fn count(&self, topic: &str, partition: i32) -> u64 {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.get(&(topic.to_owned(), partition)).map_or(0, |seen| seen.count)
    }

    /// How many records have come again so far, in each partition. Only where the values differ from each other.
    pub fn twice(&self) -> BTreeMap<TopicPartition, u64> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(key, seen)| (key.clone(), seen.count - seen.values.len() as u64)).collect()
    }

    /// When the first and the last record of a topic arrived, over all its partitions.
    pub fn first_and_last(&self, topic: &str) -> Option<(Instant, Instant)> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let times = log.iter().filter(|((own, _), _)| own == topic).map(|(_, seen)| &seen.times);
        let ends = times.filter_map(|times| Some((*times.first()?, *times.last()?)));
        ends.reduce(|(first, last), (other_first, other_last)| (first.min(other_first), last.max(other_last)))
    }

    /// For each partition seen, the longest interval without an arrival between `from` and `to`, both ends counted.
    pub fn silences(&self, from: Instant, to: Instant) -> BTreeMap<TopicPartition, Duration> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(key, seen)| (key.clone(), longest_gap(&seen.times, from, to))).collect()
    }

    /// For each partition seen, every interval without an arrival that is longer than `over`, both ends counted.
    pub fn silences_over(&self, from: Instant, to: Instant, over: Duration) -> BTreeMap<TopicPartition, Vec<Duration>> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(key, seen)| (key.clone(), gaps_over(&seen.times, from, to, over))).collect()
    }

    /// The longest of [`Self::silences`] among the partitions that `counts` accepts.
    pub fn longest_silence(&self, from: Instant, to: Instant, counts: impl Fn(&TopicPartition) -> bool) -> Duration {
        let silences = self.silences(from, to);
        silences.into_iter().filter(|(key, _)| counts(key)).map(|(_, silence)| silence).max().unwrap_or_default()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(ended, Some(Err(_))), "the watching thread panicked");
    }
}

fn longest_gap(times: &[Instant], from: Instant, to: Instant) -> Duration {
    gaps_over(times, from, to, Duration::ZERO).into_iter().max().unwrap_or_default()
}

fn gaps_over(times: &[Instant], from: Instant, to: Instant, over: Duration) -> Vec<Duration> {
    let inside = times.iter().copied().filter(|time| (from..=to).contains(time)).chain([to]);
    let gaps = inside.scan(from, |last, time| Some(time.saturating_duration_since(std::mem::replace(last, time))));
    gaps.filter(|gap| *gap > over).collect()
}

fn run(consumer: &BaseConsumer, topics: &[String], log: &Log, stop: &AtomicBool) {
    let mut known: BTreeMap<String, i32> = BTreeMap::new();
    let mut next_discovery = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= next_discovery {
            discover(consumer, topics, &mut known, log);
            // With all topics there, only growth is left to find; a look takes the reader away for a moment.
            let factor = if known.len() == topics.len() { 5 } else { 1 };
            next_discovery = Instant::now() + DISCOVERY_INTERVAL * factor;
        }
        // Errors are what a fault looks like from here: the reader goes on by itself.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) else { continue };
        let now = Instant::now();
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = log.entry((message.topic().to_owned(), message.partition())).or_default();
        seen.count += 1;
        seen.values.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(message.payload()));
        if seen.times.last().is_none_or(|last| now - *last >= RESOLUTION) {
            seen.times.push(now);
        }
    }
}

fn discover(consumer: &BaseConsumer, topics: &[String], known: &mut BTreeMap<String, i32>, log: &Log) {
    for topic in topics {
        let Ok(metadata) = consumer.fetch_metadata(Some(topic), Duration::from_millis(100)) else { continue };
        let count = metadata.topics().first().map_or(0, |found| found.partitions().len() as i32);
        let before = known.get(topic).copied().unwrap_or(0);
        let mut added = TopicPartitionList::new();
        for partition in before..count {
            added.add_partition_offset(topic, partition, Offset::Beginning).expect("a valid offset");
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.entry((topic.clone(), partition)).or_default();
        }
        if count > before {
            consumer.incremental_assign(&added).expect("assign what has appeared");
            known.insert(topic.clone(), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_both_ends() {
        let from = Instant::now();
        let at = |millis| from + Duration::from_millis(millis);
        assert_eq!(longest_gap(&[], from, at(70)), Duration::from_millis(70));
        assert_eq!(longest_gap(&[at(40), at(50)], from, at(70)), Duration::from_millis(40));
        assert_eq!(longest_gap(&[at(10), at(20)], from, at(70)), Duration::from_millis(50));
        assert_eq!(longest_gap(&[at(10), at(60)], from, at(70)), Duration::from_millis(50));
        let over = gaps_over(&[at(10), at(40), at(45)], from, at(70), Duration::from_millis(20));
        assert_eq!(over, [Duration::from_millis(30), Duration::from_millis(25)]);
    }
}
