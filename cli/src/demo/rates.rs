//! How fast each partition arrives at the target, over the last second.

use std::collections::{BTreeMap, VecDeque};

use common::ids::TopicPartition;
use tokio::time::Instant;

use super::arrivals::Log;
use super::page::Copied;

/// How many samples are kept.
const SAMPLES: usize = 6;

/// The last samples, taken at a steady pace.
#[derive(Default)]
pub struct Rates {
    samples: VecDeque<Sample>,
}

/// How far every partition was at a moment.
struct Sample {
    at: Instant,
    next: BTreeMap<TopicPartition, u64>,
}

impl Rates {
    /// Takes a sample.
    pub fn take(&mut self, log: &Log, now: Instant) {
        let next = log.iter().map(|(partition, arrived)| (partition.clone(), arrived.next)).collect();
        self.samples.push_back(Sample { at: now, next });
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
    }

    /// One partition, of which the source has so many records.
    pub fn of(&self, partition: &TopicPartition, produced: u64) -> Copied {
        let next = |sample: &Sample| sample.next.get(partition).copied().unwrap_or(0);
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else { return Copied::default() };
        let elapsed_ms = last.at.duration_since(first.at).as_millis();
        let new = u128::from(next(last).saturating_sub(next(first)));
        let rate = (new * 1_000).checked_div(elapsed_ms).unwrap_or(0);
        let lag = produced.saturating_sub(next(last));
        Copied { partitions: 1, rate: u64::try_from(rate).unwrap_or(u64::MAX), lag }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::arrivals::Arrived;
    use super::super::scene;
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_samples() {
        let (partition, start) = (scene::partitions().remove(0), Instant::now());
        let mut rates = Rates::default();
        for step in 0..20 {
            let (mut arrived, now) = (Arrived::default(), start + Duration::from_millis(200 * step));
            arrived.add((10 * step * step).checked_sub(1), now);
            rates.take(&Log::from([(partition.clone(), arrived)]), now);
        }
        let second = 10 * (19 * 19 - 14 * 14);
        assert_eq!(rates.of(&partition, 4_000), Copied { partitions: 1, rate: second, lag: 4_000 - 3_610 });
    }
}
