//! Both clusters read to their ends by plain consumers, and compared partition by partition.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::thread;

use common::ids::TopicPartition;
use kafka::error::Error;
use kafka::librdkafka::mock::{PlainRead, PlainReader};

use crate::failure::Failure;

/// All partitions of both sides.
pub type Audit = BTreeMap<TopicPartition, Compared>;

/// One partition on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// At the source.
    pub source: Contents,
    /// At the target.
    pub target: Contents,
}

impl Compared {
    /// Whether the same records first came in the same order.
    pub fn is_equal(&self) -> bool {
        (self.source.records, self.source.checksum) == (self.target.records, self.target.checksum)
    }
}

/// A partition's records, in the order of their first arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Different records.
    pub records: u64,
    /// Records that were there before.
    pub repeated: u64,
    /// Over keys, values and timestamps of first arrivals; the order counts.
    pub checksum: u64,
}

impl Contents {
    fn add(&mut self, seen: &mut HashSet<u64>, record: &PlainRead<'_>) {
        let mut hasher = DefaultHasher::new();
        (record.timestamp_ms, record.key, record.value).hash(&mut hasher);
        let hash = hasher.finish();
        if seen.insert(hash) {
            self.records += 1;
            // Not commutative: a record in another place gives another sum.
            self.checksum = self.checksum.rotate_left(7).wrapping_mul(0x0100_0000_01B3) ^ hash;
        } else {
            self.repeated += 1;
        }
    }

    /// Of several partitions together; their order counts.
    pub fn sum(contents: impl IntoIterator<Item = Self>) -> Self {
        contents.into_iter().fold(Self::default(), |sum, next| Self {
            records: sum.records + next.records,
            repeated: sum.repeated + next.repeated,
            checksum: sum.checksum.rotate_left(7).wrapping_mul(0x0100_0000_01B3) ^ next.checksum,
        })
    }
}

/// Reads both sides.
pub fn audit(source: &PlainReader, target: &PlainReader) -> Result<Audit, Failure> {
    let (source, target) = thread::scope(|scope| {
        let source = scope.spawn(|| read(source));
        let target = read(target);
        (source.join().expect("reading does not panic"), target)
    });
    let (source, mut target) = (source?, target?);
    let mut audit: Audit = source
        .into_iter()
        .map(|(partition, source)| {
            let target = target.remove(&partition).unwrap_or_default();
            (partition, Compared { source, target })
        })
        .collect();
    audit.extend(target.into_iter().map(|(partition, target)| (partition, Compared { target, ..Compared::default() })));
    Ok(audit)
}

fn read(reader: &PlainReader) -> Result<BTreeMap<TopicPartition, Contents>, Error> {
    let mut partitions: BTreeMap<TopicPartition, (HashSet<u64>, Contents)> = BTreeMap::new();
    reader.read(|partition, record| {
        let (seen, contents) = partitions.entry(partition).or_default();
        contents.add(seen, &record);
    })?;
    Ok(partitions.into_iter().map(|(partition, (_, contents))| (partition, contents)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(values: &[&str]) -> Contents {
        let (mut seen, mut contents) = (HashSet::new(), Contents::default());
        for value in values {
            let record = PlainRead { timestamp_ms: Some(1), key: None, value: Some(value.as_bytes()) };
            contents.add(&mut seen, &record);
        }
        contents
    }

    #[test]
    fn a_repeated_tail_is_equal_and_everything_else_is_not() {
        let source = contents(&["a", "b", "c", "d"]);
        let equal = |target: &[&str]| Compared { source, target: contents(target) }.is_equal();
        assert!(equal(&["a", "b", "c", "d"]));
        assert!(equal(&["a", "b", "c", "b", "c", "d"]));
        assert!(!equal(&["a", "b", "d", "c"]));
        assert!(!equal(&["a", "b", "d"]));
        assert!(!equal(&["a", "b", "c", "x"]));
        assert_eq!(contents(&["a", "b", "c", "b", "c", "d"]).repeated, 2);
    }
}
