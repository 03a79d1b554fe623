//! A source that is written in transactions, some aborted and some still open.

use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::wait;

use super::{COPY_DEADLINE, assert_copied, mirror, stable_ends, stored};

/// Records of one partition, each with a value of its own.
fn records(what: &str, partition: i32, count: usize) -> Vec<NewRecord> {
    (0..count).map(|number| NewRecord::new(partition, format!("key {number}"), format!("{what} {number}"))).collect()
}

/// How often each word begins a value at the target.
fn values_that_begin(topic: &str, word: &str) -> usize {
    let (_, target) = shared();
    let read = contents::read(target.bootstrap(), topic);
    read.iter().filter(|record| record.value.as_ref().is_some_and(|value| value.starts_with(word.as_bytes()))).count()
}

#[test]
fn only_what_was_committed_is_copied_and_an_open_transaction_ends_the_copy_in_front_of_it() {
    let (source, _) = shared();
    let admin = Admin::new(source.bootstrap());
    let topic = "ledger";
    admin.create_topic(topic, 4, &[]);
    let (one, other) =
        (Producer::transactional(source.bootstrap(), "one"), Producer::transactional(source.bootstrap(), "other"));
    let plain = Producer::new(source.bootstrap());
    // 0: committed, aborted and plain records side by side; ends with the marker of an abort.
    for round in 0..20 {
        one.begin();
        other.begin();
        for part in 0..3 {
            one.send_all(topic, &records(&format!("committed {round}.{part}"), 0, 10));
            other.send_all(topic, &records(&format!("aborted {round}.{part}"), 0, 7));
            plain.send_all(topic, &records(&format!("plain {round}.{part}"), 0, 2));
        }
        one.commit();
        other.abort();
    }
    // 1: nothing but an aborted transaction.
    other.begin();
    other.send_all(topic, &records("aborted alone", 1, 100));
    other.abort();
    // 2: an open transaction at the end, with committed and plain records behind it. 3: one that is aborted later.
    plain.send_all(topic, &records("plain", 2, 50));
    let (open, doomed) =
        (Producer::transactional(source.bootstrap(), "open"), Producer::transactional(source.bootstrap(), "doomed"));
    open.begin();
    open.send_all(topic, &records("open", 2, 30));
    one.begin();
    one.send_all(topic, &records("committed behind", 2, 20));
    one.commit();
    plain.send_all(topic, &records("plain behind", 2, 10));
    doomed.begin();
    doomed.send_all(topic, &records("aborted later", 3, 10));
    plain.send_all(topic, &records("plain behind", 3, 10));
    assert_eq!(admin.offsets(topic, 2, false).1, 50, "the last stable offset");
    assert_eq!(admin.offsets(topic, 2, true).1, 111, "30 open records, 20 committed ones and a marker, 10 plain ones");

    mirror("ledger", topic).run_until_end(COPY_DEADLINE);
    assert_copied("ledger", topic);
    assert_eq!((stored("ledger", topic)[&2], stored("ledger", topic)[&3]), (50, 0), "in front of open transactions");
    assert_eq!(values_that_begin(topic, "plain behind"), 0);

    open.commit();
    doomed.abort();
    let transactions_ended = || stable_ends(topic)[&2] == 112 && stable_ends(topic)[&3] == 21;
    wait::until_true("the last stable offset is the end", Duration::from_secs(30), transactions_ended);
    mirror("ledger", topic).run_until_end(COPY_DEADLINE);
    assert_copied("ledger", topic);
    let counts = ["open", "committed behind", "plain behind", "aborted"].map(|word| values_that_begin(topic, word));
    assert_eq!(counts, [30, 20, 20, 0]);
    mirror("ledger", topic).run_until_end(COPY_DEADLINE);
    assert_copied("ledger", topic);
}

#[test]
fn a_running_mirror_copies_a_transaction_once_it_is_committed() {
    let (source, target) = shared();
    let topic = "running-ledger";
    Admin::new(source.bootstrap()).create_topic(topic, 1, &[]);
    let (plain, open) =
        (Producer::new(source.bootstrap()), Producer::transactional(source.bootstrap(), "running-open"));
    plain.send_all(topic, &records("plain", 0, 5));
    open.begin();
    open.send_all(topic, &records("open", 0, 5));
    plain.send_all(topic, &records("behind", 0, 5));
    let mut replisome = mirror(topic, topic).start();
    let at_target = Admin::new(target.bootstrap());
    let copied = |count: i64| at_target.partitions(topic) == 1 && at_target.offsets(topic, 0, true).1 == count;
    wait::until_true("what lies in front of the transaction is copied", COPY_DEADLINE, || copied(5));
    wait::until_true("its offset is stored", COPY_DEADLINE, || stored(topic, topic).get(&0) == Some(&5));
    open.commit();
    wait::until_true("the rest is copied", COPY_DEADLINE, || copied(15));
    let end = stable_ends(topic);
    wait::until_true("the offset behind the marker is stored", COPY_DEADLINE, || stored(topic, topic) == end);
    assert_copied(topic, topic);
    assert_eq!(replisome.stop(COPY_DEADLINE).code, Some(0), "{}", replisome.tail());
}
