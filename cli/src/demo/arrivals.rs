//! When records arrive: an independent consumer of the target, on its own clock.
//!
//! Owns: the measure of silence and of what has arrived so far. Never judges what arrived (`audit` does).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::ids::TopicPartition;
use kafka::error::Error;
use kafka::librdkafka::mock::PlainReader;
use tokio::time::Instant;

use super::producer;
use crate::failure::Failure;

/// How long the reader may wait before it looks whether it shall stop.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// What has arrived of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Records, those that came again among them.
    pub records: u64,
    /// The number of the first record that has not arrived.
    pub next: u64,
    /// When: each moment once.
    times: Vec<Instant>,
}

impl Arrived {
    /// A record has arrived, of this number.
    pub fn add(&mut self, number: Option<u64>, now: Instant) {
        self.records += 1;
        self.next = self.next.max(number.map_or(0, |number| number + 1));
        // Silences are measured in milliseconds.
        if self.times.last().is_none_or(|last| now.duration_since(*last) >= Duration::from_millis(1)) {
            self.times.push(now);
        }
    }

    /// The longest interval without an arrival of which some part lies between `from` and `to`.
    pub fn longest_silence(&self, from: Instant, to: Instant) -> Duration {
        let before = self.times.iter().rev().find(|time| **time <= from).copied().unwrap_or(from);
        let inside = self.times.iter().copied().filter(|time| (from..=to).contains(time)).chain([to]);
        let gaps = inside.scan(before, |last, time| Some(time.duration_since(std::mem::replace(last, time))));
        gaps.max().unwrap_or_default()
    }
}

/// All that has arrived.
pub type Log = BTreeMap<TopicPartition, Arrived>;

/// Watches the target until dropped.
pub struct Arrivals {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    log: Mutex<Log>,
}

impl Arrivals {
    /// Starts watching.
    pub fn watch(reader: PlainReader) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || follow(&reader, &shared)
        });
        Self { shared, thread: Some(thread) }
    }

    /// What has arrived so far. The reader waits meanwhile.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails with what made it stop by itself, if it did.
    pub fn check(&mut self) -> Result<(), Failure> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) { self.stop() } else { Ok(()) }
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(Ok(())), JoinHandle::join);
        Ok(ended.map_err(|_| Failure::failed("the consumer of the target panicked"))??)
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        // Nobody asks for what it sees any more.
        let _ = self.stop();
    }
}

fn follow(reader: &PlainReader, shared: &Shared) -> Result<(), Error> {
    while !shared.stop.load(Ordering::Relaxed) {
        reader.next(POLL_TIMEOUT, |partition, record| {
            let (number, now) = (producer::number(record.key), Instant::now());
            let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.entry(partition).or_default().add(number, now);
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_both_ends_and_the_interval_in_which_the_window_begins() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let silence = |times: &[u64], from, to| {
            let mut arrived = Arrived::default();
            times.iter().zip(0..).for_each(|(time, number)| arrived.add(Some(number), at(*time)));
            arrived.longest_silence(at(from), at(to)).as_millis()
        };
        assert_eq!(silence(&[], 0, 70), 70);
        assert_eq!(silence(&[40, 50], 0, 70), 40);
        assert_eq!(silence(&[10, 20], 0, 70), 50);
        assert_eq!(silence(&[10, 100, 110], 50, 120), 90);
        assert_eq!(silence(&[10, 40, 200], 30, 60), 30);
    }

    #[test]
    fn what_comes_again_is_counted_and_not_new() {
        let (mut arrived, now) = (Arrived::default(), Instant::now());
        for number in [0, 1, 2, 1, 2, 3] {
            arrived.add(Some(number), now);
        }
        assert_eq!((arrived.records, arrived.next), (6, 4));
    }
}
