//! Whether the demo's claim is true: reads both clusters and compares them, partition by partition.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use kafka::librdkafka::mock::{PlainRead, PlainReader};

use super::scene::{PARTITIONS, Scene, TOPIC};
use crate::failure::Failure;
use crate::output::grouped;

/// Both sides, read to their ends.
pub struct Verdict {
    partitions: Vec<Compared>,
}

/// One partition on both sides.
struct Compared {
    source: Contents,
    target: Contents,
    /// How many records may have come twice.
    repeated_max: u64,
}

/// A partition's records, in the order of their first arrival.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Contents {
    /// Different records.
    records: u64,
    /// Records that were there before.
    repeated: u64,
    /// Over keys, values and timestamps of first arrivals; the order counts.
    checksum: u64,
}

impl Verdict {
    /// Reads both clusters; `repeated_max` says how many records of each partition may have come twice.
    pub fn find(scene: &Scene, repeated_max: Vec<u64>) -> Result<Self, Failure> {
        let partitions = (0..PARTITIONS).zip(repeated_max);
        let compare = |(partition, repeated_max)| {
            let source = Contents::read(&scene.source_reader, partition)?;
            let target = Contents::read(&scene.target_reader, partition)?;
            Ok(Compared { source, target, repeated_max })
        };
        Ok(Self { partitions: partitions.map(compare).collect::<Result<_, Failure>>()? })
    }

    /// Records that came twice.
    pub fn repeated(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.target.repeated).sum()
    }

    /// What was found, as lines of a table.
    pub fn table(&self) -> Vec<String> {
        let heading =
            "   PARTITION    SOURCE    TARGET  REPEATED          SOURCE CHECKSUM   TARGET CHECKSUM".to_owned();
        let row = |(number, partition): (usize, &Compared)| {
            let (source, target) = (&partition.source, &partition.target);
            format!(
                "  {number:>10}  {:>8}  {:>8}  {:>8}          {:016x}  {:016x}  {}",
                grouped(source.records),
                grouped(target.records),
                grouped(target.repeated),
                source.checksum,
                target.checksum,
                partition.wrong().map_or("equal", |_| "NOT EQUAL")
            )
        };
        std::iter::once(heading).chain(self.partitions.iter().enumerate().map(row)).collect()
    }

    /// Fails with everything that is untrue.
    pub fn judge(&self, commit_interval_ms: u128) -> Result<(), Failure> {
        let wrong =
            self.partitions.iter().enumerate().filter_map(|(number, partition)| {
                partition.wrong().map(|text| format!("\n  {TOPIC}/{number}: {text}"))
            });
        let wrong: String = wrong.collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "untrue: the target is not what the source is (offsets were stored every {commit_interval_ms} ms):{wrong}"
        )))
    }
}

impl Compared {
    /// What is wrong with it, if anything.
    fn wrong(&self) -> Option<String> {
        let (source, target) = (&self.source, &self.target);
        if source.records != target.records {
            return Some(format!("{} records at the source, {} at the target", source.records, target.records));
        }
        if source.checksum != target.checksum {
            return Some("records or their order differ".to_owned());
        }
        if target.repeated > self.repeated_max {
            let text = format!(
                "{} records came twice, but only {} were copied since offsets were stored",
                target.repeated, self.repeated_max
            );
            return Some(text);
        }
        None
    }
}

impl Contents {
    fn read(reader: &PlainReader, partition: u32) -> Result<Self, Failure> {
        let (mut seen, mut contents) = (HashSet::new(), Self::default());
        reader.read(TOPIC, partition, |record| contents.add(&mut seen, &record))?;
        Ok(contents)
    }

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

    fn wrong(source: &[&str], target: &[&str], repeated_max: u64) -> Option<String> {
        Compared { source: contents(source), target: contents(target), repeated_max }.wrong()
    }

    #[test]
    fn a_repeated_tail_is_right_and_everything_else_is_not() {
        let source = ["a", "b", "c", "d"];
        assert_eq!(wrong(&source, &source, 0), None);
        assert_eq!(wrong(&source, &["a", "b", "c", "b", "c", "d"], 2), None);
        assert!(wrong(&source, &["a", "b", "c", "b", "c", "d"], 1).expect("wrong").contains("twice"));
        assert!(wrong(&source, &["a", "b", "d", "c"], 0).expect("wrong").contains("order"));
        assert!(wrong(&source, &["a", "b", "d"], 0).expect("wrong").contains("3 at the target"));
        assert!(wrong(&source, &["a", "b", "c", "x"], 0).expect("wrong").contains("differ"));
    }
}
