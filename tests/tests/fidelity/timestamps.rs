//! Timestamps of any age: none, the first instants of 1970, years ago, and the near future.

use std::time::{SystemTime, UNIX_EPOCH};

use replisome_tests::admin::Admin;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::raw_produce::{self, RawRecord};

use super::{COPY_DEADLINE, assert_copied, mirror};

/// The first instant of 2001.
const YEAR_2001: i64 = 978_307_200_000;
const NO_TIMESTAMP: i64 = -1;

fn raw(number: usize, timestamp: i64) -> RawRecord {
    let text = |what: &str| Some(format!("{what} {number}").into_bytes());
    RawRecord { timestamp, key: text("key"), value: text("value") }
}

#[test]
fn a_record_keeps_its_timestamp_however_old_and_also_none() {
    let (source, target) = shared();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64;
    let timestamps = [NO_TIMESTAMP, 0, 1, YEAR_2001, now, now + 1_800_000];
    for (topic, codec) in [("ages", "none"), ("ages-packed", "zstd")] {
        Admin::new(source.bootstrap()).create_topic(topic, 2, &[]);
        for (number, timestamp) in timestamps.into_iter().enumerate() {
            raw_produce::send(source.bootstrap(), topic, 0, &[raw(number, timestamp)]);
        }
        // All in one batch, in both directions.
        let mixed: Vec<_> = timestamps.iter().chain(timestamps.iter().rev()).copied().enumerate().collect();
        let mixed: Vec<_> = mixed.into_iter().map(|(number, timestamp)| raw(number, timestamp)).collect();
        raw_produce::send(source.bootstrap(), topic, 1, &mixed);
        let by_client = NewRecord { timestamp: Some(YEAR_2001), ..NewRecord::new(1, "k", "by a client") };
        Producer::new(source.bootstrap()).send_all(topic, &[by_client]);

        mirror(topic, topic).producer("compression.type", codec).run_until_end(COPY_DEADLINE);
        assert_copied(topic, topic);
        let found = contents::read(target.bootstrap(), topic).into_iter().map(|record| record.timestamp);
        let expected: Vec<_> = timestamps.iter().map(|stamp| (*stamp != NO_TIMESTAMP).then_some(*stamp)).collect();
        assert_eq!(found.take(timestamps.len()).collect::<Vec<_>>(), expected, "in partition 0 of {topic}");
    }
}
