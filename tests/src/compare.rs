//! Judgements over contents. Owns what "equal", "lost", "out of order" and "duplicate" mean; never reads Kafka.

use std::collections::{BTreeMap, HashSet};

use crate::contents::{Hashes, Record};

/// Both topics hold the same records in the same order: key, value, headers and their order, timestamp, partition.
/// Offsets may differ: control records and holes take some on one side only.
#[track_caller]
pub fn assert_equal(source: &[Record], target: &[Record]) {
    let strip = |record: &Record| Record { offset: 0, ..record.clone() };
    for (index, (expected, found)) in source.iter().zip(target).enumerate() {
        assert_eq!(strip(found), strip(expected), "record {index}: source offset {}", expected.offset);
    }
    assert_eq!(target.len(), source.len(), "number of records");
}

/// Like [`assert_equal`], for hashes.
#[track_caller]
pub fn assert_equal_hashes(source: &Hashes, target: &Hashes) {
    let partitions = |hashes: &Hashes| hashes.keys().copied().collect::<Vec<_>>();
    assert_eq!(partitions(target), partitions(source), "partitions of the target");
    for (partition, expected) in source {
        assert_same_order(*partition, expected, &target[partition]);
    }
}

/// Each record's first arrival only, and how many came again, by partition. Records of one partition must differ
/// from each other at the source: give each a number in its value.
pub fn first_arrivals(target: &Hashes) -> (Hashes, BTreeMap<i32, usize>) {
    let mut firsts = Hashes::new();
    let mut duplicates = BTreeMap::new();
    for (partition, hashes) in target {
        let mut seen = HashSet::with_capacity(hashes.len());
        let first: Vec<u64> = hashes.iter().copied().filter(|hash| seen.insert(*hash)).collect();
        duplicates.insert(*partition, hashes.len() - first.len());
        firsts.insert(*partition, first);
    }
    (firsts, duplicates)
}

/// Nothing lost, nothing foreign, first arrivals in the source's order; gives the duplicates by partition.
#[track_caller]
pub fn assert_nothing_lost(source: &Hashes, target: &Hashes) -> BTreeMap<i32, usize> {
    let (unique, repeated) = first_arrivals(source);
    assert_eq!(repeated.values().sum::<usize>(), 0, "the source's records must differ from each other");
    let (firsts, duplicates) = first_arrivals(target);
    assert_equal_hashes(&unique, &firsts);
    duplicates
}

#[track_caller]
fn assert_same_order(partition: i32, source: &[u64], target: &[u64]) {
    let different = source.iter().zip(target).position(|(expected, found)| expected != found);
    let known: HashSet<u64> = source.iter().copied().collect();
    let arrived: HashSet<u64> = target.iter().copied().collect();
    let lost = source.iter().filter(|hash| !arrived.contains(hash)).count();
    let foreign = target.iter().filter(|hash| !known.contains(hash)).count();
    assert!(
        different.is_none() && source.len() == target.len(),
        "partition {partition}: source {} records, target {}; first difference at record {different:?}; \
         {lost} lost, {foreign} not of the source",
        source.len(),
        target.len(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(records: &[u64]) -> Hashes {
        Hashes::from([(0, records.to_vec())])
    }

    #[test]
    fn repeats_are_counted_and_first_arrivals_judged() {
        let duplicates = assert_nothing_lost(&hashes(&[1, 2, 3, 4]), &hashes(&[1, 2, 3, 2, 3, 4]));
        assert_eq!(duplicates, BTreeMap::from([(0, 2)]));
    }

    #[test]
    #[should_panic(expected = "1 lost")]
    fn a_lost_record_is_noticed() {
        assert_nothing_lost(&hashes(&[1, 2, 3]), &hashes(&[1, 3]));
    }

    #[test]
    #[should_panic(expected = "first difference at record Some(1)")]
    fn a_changed_order_is_noticed() {
        assert_nothing_lost(&hashes(&[1, 2, 3]), &hashes(&[1, 3, 2]));
    }

    #[test]
    #[should_panic(expected = "1 not of the source")]
    fn a_foreign_record_is_noticed() {
        assert_nothing_lost(&hashes(&[1, 2]), &hashes(&[1, 9, 2]));
    }
}
