//! The helpers themselves on real Kafka: what they say must be true before it is used to judge anything else.

use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::arrivals::Arrivals;
use replisome_tests::child::Signal;
use replisome_tests::compare::{assert_equal, assert_equal_hashes, assert_nothing_lost};
use replisome_tests::kafka_cluster::{KafkaCluster, Options, shared};
use replisome_tests::mirror_maker::MirrorMaker;
use replisome_tests::produce::{NewRecord, Producer, compacted_topic};
use replisome_tests::random::Random;
use replisome_tests::{contents, kafka_tools, wait};

const MINUTE: Duration = Duration::from_secs(60);

fn numbered(partitions: i32, count: usize) -> Vec<NewRecord> {
    let partition = |number: usize| number as i32 % partitions;
    (0..count).map(|n| NewRecord::new(partition(n), format!("key {n}"), format!("value {n}"))).collect()
}

#[test]
fn every_field_of_a_record_is_read_back_as_it_was_written() {
    let (source, _) = shared();
    Admin::new(source.bootstrap()).create_topic("fields", 3, &[]);
    let mut random = Random::for_test("every_field_of_a_record_is_read_back_as_it_was_written");
    let mut records: Vec<NewRecord> =
        (0..3_000).map(|number| NewRecord::random(&mut random, number % 3, 300)).collect();
    let repeated = |value: Option<&[u8]>| ("h".to_owned(), value.map(<[u8]>::to_vec));
    records[0].headers = vec![repeated(None), repeated(Some(b"")), repeated(Some(b"x"))];
    (records[1].key, records[1].value, records[1].timestamp) = (None, None, Some(1));
    (records[2].key, records[2].value) = (Some(Vec::new()), Some(Vec::new()));
    for (codec, chunk) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().zip(records.chunks(600)) {
        Producer::with(source.bootstrap(), &[("compression.codec", codec)]).send_all("fields", chunk);
    }
    records.sort_by_key(|record| record.partition);
    let read = contents::read(source.bootstrap(), "fields");
    for (index, (written, read)) in records.iter().zip(&read).enumerate() {
        let (partition, timestamp) = (read.partition, read.timestamp);
        let (key, value, headers) = (read.key.clone(), read.value.clone(), read.headers.clone());
        assert_eq!(&NewRecord { partition, timestamp, key, value, headers }, written, "record {index}");
    }
    assert_eq!(read.len(), records.len());
}

#[test]
fn only_committed_transactions_are_seen() {
    let (source, _) = shared();
    let admin = Admin::new(source.bootstrap());
    admin.create_topic("transactions", 1, &[]);
    let record = |value: &str| NewRecord::new(0, "k", value);
    let producer = Producer::transactional(source.bootstrap(), "harness-a");
    producer.begin();
    producer.send_all("transactions", &[record("committed 1"), record("committed 2")]);
    producer.commit();
    producer.begin();
    producer.send_all("transactions", &[record("aborted")]);
    producer.abort();
    let open = Producer::transactional(source.bootstrap(), "harness-b");
    open.begin();
    open.send_all("transactions", &[record("open")]);

    let values = || {
        let read = contents::read(source.bootstrap(), "transactions");
        read.into_iter().filter_map(|record| String::from_utf8(record.value?).ok()).collect::<Vec<_>>()
    };
    assert_eq!(values(), ["committed 1", "committed 2"]);
    let (stable, high) = (admin.offsets("transactions", 0, false).1, admin.offsets("transactions", 0, true).1);
    assert_eq!((stable, high), (5, 6), "2 records and a marker, 1 record and a marker; then 1 open record");
    open.commit();
    wait::until_true("the third record is committed", MINUTE, || values().len() == 3);
}

#[test]
fn a_compacted_topic_has_holes() {
    let (source, _) = shared();
    compacted_topic(source.bootstrap(), "compacted", 2, 50, 3);
    let (_, end) = Admin::new(source.bootstrap()).offsets("compacted", 1, false);
    let left = contents::read(source.bootstrap(), "compacted").iter().filter(|record| record.partition == 1).count();
    assert!(left >= 50 && (left as i64) < end, "{left} records below the end offset {end}");
}

#[test]
fn mirror_maker_1_squeezes_four_partitions_into_the_brokers_default_of_one() {
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic("walk-through", 4, &[]);
    Producer::new(source.bootstrap()).send_all("walk-through", &numbered(4, 1_000));
    let consumer =
        [("bootstrap.servers", source.bootstrap()), ("group.id", "mm-walk-through"), ("auto.offset.reset", "earliest")];
    let mut mirror_maker =
        MirrorMaker::start(&consumer, &[("bootstrap.servers", target.bootstrap())], 2, "walk-through");
    let admin = Admin::new(target.bootstrap());
    wait::until_true("MirrorMaker has copied 1,000 records", MINUTE, || {
        mirror_maker.assert_runs();
        admin.partitions("walk-through") > 0 && contents::hashes(target.bootstrap(), "walk-through")[&0].len() == 1_000
    });
    assert_eq!(admin.partitions("walk-through"), 1, "the known trap: four partitions became one");
    assert!(mirror_maker.cpu() > Duration::ZERO && mirror_maker.rss_peak_bytes() > 50 << 20);
    let exit = mirror_maker.stop();
    assert!(exit.cpu > Duration::ZERO && exit.rss_peak_bytes > 50 << 20, "{exit:?}");
    let committed = Admin::new(source.bootstrap()).committed("mm-walk-through", "walk-through");
    assert_eq!(committed.values().map(|committed| committed.offset).sum::<i64>(), 1_000, "{committed:?}");
}

#[test]
fn equal_topics_are_judged_equal_and_repeats_are_counted() {
    let (source, target) = shared();
    let records = numbered(2, 2_000);
    for (cluster, repeats) in [(source, 0), (target, 10)] {
        Admin::new(cluster.bootstrap()).create_topic("judged", 2, &[]);
        let producer = Producer::new(cluster.bootstrap());
        let timed = |record: &NewRecord| NewRecord { timestamp: Some(1_700_000_000_000), ..record.clone() };
        let records: Vec<NewRecord> = records.iter().map(timed).collect();
        producer.send_all("judged", &records);
        producer.send_all("judged", &records[..repeats]);
    }
    let hashes = |cluster: &KafkaCluster| contents::hashes(cluster.bootstrap(), "judged");
    assert_equal_hashes(&hashes(source), &hashes(source));
    assert_equal(&contents::read(source.bootstrap(), "judged"), &contents::read(source.bootstrap(), "judged"));
    assert_eq!(assert_nothing_lost(&hashes(source), &hashes(target)).into_values().collect::<Vec<_>>(), [5, 5]);
}

#[test]
fn a_broker_survives_signals_kill_and_restart_and_the_silence_is_measured() {
    let cluster = KafkaCluster::start("private", Options::default());
    let admin = Admin::new(cluster.bootstrap());
    admin.create_topic("survivor", 1, &[("retention.ms", "100000000")]);
    let producer = Producer::new(cluster.bootstrap());
    let arrivals = Arrivals::watch(cluster.bootstrap(), &["survivor"]);
    let from = Instant::now();
    producer.send_all("survivor", &numbered(1, 10));
    wait::until_true("10 records arrived", MINUTE, || arrivals.count("survivor", 0) == 10);
    cluster.signal(Signal::Stop);
    let stalled = Instant::now();
    wait::until_true("a second has passed", MINUTE, || stalled.elapsed() > Duration::from_secs(1));
    cluster.signal(Signal::Continue);
    producer.send_all("survivor", &numbered(1, 1));
    wait::until_true("11 records arrived", MINUTE, || arrivals.count("survivor", 0) == 11);
    assert!(arrivals.longest_silence(from, Instant::now(), |_| true) > Duration::from_secs(1));
    cluster.kill();
    cluster.start_again();
    cluster.restart();
    assert_eq!(contents::counts(&contents::hashes(cluster.bootstrap(), "survivor"))[&0], 11);
    assert_eq!(admin.topic_configs("survivor")["retention.ms"], "100000000");
    admin.delete_records("survivor", 0, 4);
    assert_eq!(admin.offsets("survivor", 0, false), (4, 11));
    admin.commit("someone", "survivor", 0, 7, "a note");
    assert_eq!(admin.committed("someone", "survivor")[&0].metadata, "a note");
    admin.grow_topic("survivor", 3);
    admin.delete_topic("survivor");
}

#[test]
fn users_may_do_what_acls_allow() {
    let options = Options { users: &[("alice", "secret")], ..Options::default() };
    let cluster = KafkaCluster::start("secured", options);
    Admin::new(cluster.bootstrap()).create_topic("guarded", 1, &[]);
    let user = [("sasl.username", "alice"), ("sasl.password", "secret"), ("sasl.mechanism", "PLAIN")];
    let properties = [&user[..], &[("security.protocol", "SASL_PLAINTEXT"), ("enable.idempotence", "false")]].concat();
    let send = || Producer::with(cluster.sasl_bootstrap(), &properties).send_all("guarded", &numbered(1, 1));
    kafka_tools::acls(
        cluster.bootstrap(),
        &["--add", "--allow-principal", "User:alice", "--producer", "--topic", "guarded"],
    );
    send();
    assert_eq!(contents::read(cluster.bootstrap(), "guarded").len(), 1);
    assert!(kafka_tools::topics(cluster.bootstrap(), &["--list"]).contains("guarded"));
}

#[test]
fn a_million_records_are_read_in_seconds() {
    let (source, _) = shared();
    Admin::new(source.bootstrap()).create_topic("million", 4, &[]);
    kafka_tools::producer_performance(source.bootstrap(), "million", 1_000_000, 100);
    let started = Instant::now();
    let hashes = contents::hashes(source.bootstrap(), "million");
    let took = started.elapsed();
    eprintln!("1,000,000 records of 100 bytes read and hashed in {took:?}");
    assert_eq!(contents::counts(&hashes).values().sum::<usize>(), 1_000_000);
    assert!(took < Duration::from_secs(15), "{took:?}");
}
