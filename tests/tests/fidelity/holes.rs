//! Logs with holes: compaction, deleted records, nothing at all.

use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::contents::{self, Record};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::produce::{NewRecord, Producer, compacted_topic};
use replisome_tests::wait;

use super::{COPY_DEADLINE, assert_copied, mirror, stored};

#[test]
fn a_compacted_topic_is_copied_past_its_holes_with_its_tombstones() {
    let (source, target) = shared();
    compacted_topic(source.bootstrap(), "holes", 2, 50, 3);
    // From here on nothing more is compacted, on either side.
    let frozen = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "86400000")];
    let admin = Admin::new(source.bootstrap());
    admin.replace_topic_configs("holes", &frozen);
    let deleted = |number: i32| NewRecord { value: None, ..NewRecord::new(number % 2, format!("key {number}"), "") };
    Producer::new(source.bootstrap()).send_all("holes", &(0..20).map(deleted).collect::<Vec<_>>());
    let mut seen: Vec<Record> = Vec::new();
    wait::until_true("compaction has come to rest", Duration::from_secs(30), || {
        let before = std::mem::replace(&mut seen, contents::read(source.bootstrap(), "holes"));
        before == seen
    });
    let written: i64 = (0..2).map(|partition| admin.offsets("holes", partition, false).1).sum();
    assert!((seen.len() as i64) < written, "{} records of {written} offsets: there are holes", seen.len());

    mirror("holes", "holes").run_until_end(COPY_DEADLINE);
    assert_copied("holes", "holes");
    let tombstones = |bootstrap: &str| {
        contents::read(bootstrap, "holes").into_iter().filter(|record| record.value.is_none()).count()
    };
    assert_eq!((tombstones(source.bootstrap()), tombstones(target.bootstrap())), (20, 20));
    let configs = Admin::new(target.bootstrap()).topic_configs("holes");
    assert_eq!(configs["cleanup.policy"], "compact", "{configs:?}");
}

#[test]
fn partitions_that_begin_late_or_hold_nothing_are_copied_to_their_end() {
    let (source, _) = shared();
    let admin = Admin::new(source.bootstrap());
    // 0: its head is deleted, 1: all is deleted, 2: never written to.
    admin.create_topic("deleted", 3, &[]);
    let records: Vec<_> = (0..200).map(|n| NewRecord::new(n % 2, format!("key {n}"), format!("value {n}"))).collect();
    Producer::new(source.bootstrap()).send_all("deleted", &records);
    admin.delete_records("deleted", 0, 60);
    admin.delete_records("deleted", 1, 100);
    assert_eq!([0, 1, 2].map(|partition| admin.offsets("deleted", partition, false)), [(60, 100), (100, 100), (0, 0)]);

    mirror("deleted", "deleted").run_until_end(COPY_DEADLINE);
    assert_copied("deleted", "deleted");
    assert_eq!(stored("deleted", "deleted").into_iter().collect::<Vec<_>>(), [(0, 100), (1, 100), (2, 0)]);
}
