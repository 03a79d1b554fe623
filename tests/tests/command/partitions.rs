//! A target topic with fewer partitions than its source: records would lose theirs.

use replisome_tests::admin::Admin;
use replisome_tests::compare::assert_equal;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::{contents, kafka_tools};

use super::{CONFLICT, COPY_DEADLINE, assert_refused, mirror};

#[test]
fn a_target_with_fewer_partitions_is_a_conflict_and_the_line_that_mends_it_mends_it() {
    let (source, target) = shared();
    let (at_source, at_target) = (Admin::new(source.bootstrap()), Admin::new(target.bootstrap()));
    at_source.create_topic("narrow", 4, &[]);
    at_target.create_topic("narrow", 1, &[]);
    at_source.create_topic("narrow-fits", 2, &[]);
    let records: Vec<_> = (0..100).map(|n| NewRecord::new(n % 4, format!("key {n}"), format!("value {n}"))).collect();
    Producer::new(source.bootstrap()).send_all("narrow", &records);
    let mirror = mirror("narrow", "narrow.*");
    let line = format!("kafka-topics --bootstrap-server {} --alter --topic narrow --partitions 4", target.bootstrap());
    for flags in [&[][..], &["--until-end"]] {
        let mirror = mirror.clone().flags(flags.iter().copied());
        assert_refused(mirror.start(), CONFLICT, &["narrow: partitions on the target 1", "on the source 4", &line]);
    }
    assert_eq!((at_target.offsets("narrow", 0, true), at_target.partitions("narrow-fits")), ((0, 0), 0), "not copied");
    assert!(at_source.committed("narrow", "narrow").is_empty(), "nothing is stored");

    let args: Vec<&str> = line.split(' ').skip(1).collect();
    kafka_tools::run("org.apache.kafka.tools.TopicCommand", &args);
    mirror.run_until_end(COPY_DEADLINE);
    for topic in ["narrow", "narrow-fits"] {
        assert_equal(&contents::read(source.bootstrap(), topic), &contents::read(target.bootstrap(), topic));
    }
}

#[test]
fn a_target_with_more_partitions_is_fine() {
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic("roomy", 2, &[]);
    Admin::new(target.bootstrap()).create_topic("roomy", 5, &[]);
    let records: Vec<_> = (0..100).map(|n| NewRecord::new(n % 2, format!("key {n}"), format!("value {n}"))).collect();
    Producer::new(source.bootstrap()).send_all("roomy", &records);
    mirror("roomy", "roomy").run_until_end(COPY_DEADLINE);
    assert_equal(&contents::read(source.bootstrap(), "roomy"), &contents::read(target.bootstrap(), "roomy"));
}
