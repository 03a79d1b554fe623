//! How much was copied: adds up, per topic, what partitions report, also where a partition was granted anew and counts
//! from zero again. Pure.

use std::collections::BTreeMap;

use common::ids::{Epoch, TopicName, TopicPartition};

use super::watch::{PartitionView, View};

/// Sums of what was copied.
#[derive(Default)]
pub struct Tally {
    partitions: BTreeMap<TopicPartition, Copied>,
}

/// What was copied of one partition: under earlier epochs, and under the latest.
#[derive(Default)]
struct Copied {
    before: Amount,
    epoch: Epoch,
    now: Amount,
}

/// Records and their bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Amount {
    /// How many records.
    pub records: u64,
    /// Bytes of their keys, values and headers.
    pub bytes: u64,
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }
}

/// One topic of a summary.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TopicSum {
    /// Its partitions that were copied.
    pub partitions: usize,
    /// What was copied of them.
    pub amount: Amount,
}

/// The mirror in a line.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Standing {
    /// Partitions to copy.
    pub partitions: usize,
    /// What was copied so far.
    pub amount: Amount,
    /// Records not yet copied, of partitions whose lag is known.
    pub lag: u64,
    /// The partitions that stand still, and topics that wait, by the word for their reason.
    pub held: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Takes in a new view.
    pub fn take(&mut self, view: &View) {
        for (partition, state) in &view.partitions {
            let copied = self.partitions.entry(partition.clone()).or_default();
            let Some(progress) = &state.progress else { continue };
            let now = Amount { records: progress.records, bytes: progress.bytes };
            if progress.epoch != copied.epoch || now.records < copied.now.records {
                copied.before = copied.before + copied.now;
                copied.epoch = progress.epoch;
            }
            copied.now = now;
        }
    }

    /// What was copied of each topic.
    pub fn topics(&self) -> BTreeMap<TopicName, TopicSum> {
        let mut topics = BTreeMap::<_, TopicSum>::new();
        for (partition, copied) in &self.partitions {
            let sum = topics.entry(partition.topic.clone()).or_default();
            sum.partitions += 1;
            sum.amount = sum.amount + copied.before + copied.now;
        }
        topics
    }

    /// The mirror in a line.
    pub fn standing(&self, view: &View) -> Standing {
        let amount = self.topics().values().fold(Amount::default(), |sum, topic| sum + topic.amount);
        let lag = view.partitions.values().filter_map(|state| state.progress.as_ref()?.lag()).sum();
        let mut held = BTreeMap::new();
        let partitions = view.partitions.values().filter_map(PartitionView::held);
        for reason in partitions.chain(view.waiting.values()).chain(view.beyond.values()) {
            *held.entry(reason.kind()).or_default() += 1;
        }
        Standing { partitions: view.partitions.len(), amount, lag, held }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::assignment::Progress;
    use common::ids::{Partition, RouteName, RoutePartition};

    use super::*;

    fn view(epoch: u64, records: u64) -> View {
        let (route, topic) = (RouteName::new("mirror").expect("legal"), TopicName::new("t").expect("legal"));
        let partition = RoutePartition { route, topic, partition: Partition(0) };
        let source = partition.source();
        let progress = Progress {
            partition,
            epoch: Epoch(epoch),
            next_offset: None,
            stored_offset: None,
            source_end: None,
            source_high_watermark: None,
            lag_time: Duration::ZERO,
            records,
            bytes: records * 10,
        };
        let state = PartitionView { phase: None, progress: Some(progress) };
        View { looked: true, partitions: [(source, state)].into(), ..View::default() }
    }

    #[test]
    fn a_partition_granted_anew_keeps_what_it_copied_before() {
        let mut tally = Tally::default();
        for (epoch, records) in [(1, 0), (1, 5), (1, 7), (2, 0), (2, 3)] {
            tally.take(&view(epoch, records));
        }
        let sums: Vec<_> = tally.topics().into_values().collect();
        assert_eq!(sums, [TopicSum { partitions: 1, amount: Amount { records: 10, bytes: 100 } }]);
    }
}
