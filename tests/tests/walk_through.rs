//! The walk-through by which MirrorMaker is usually shown, with MirrorMaker 1's own command: two clusters, a topic `test` of four
//! partitions filled by Kafka's own tool, a whitelist of `.*`. Then the same command in the real MirrorMaker 1, and what
//! both cost. `REPLISOME_FULL=1` copies five million records instead of one.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use replisome_tests::admin::{self, Admin};
use replisome_tests::compare::assert_equal_hashes;
use replisome_tests::kafka_cluster::{KafkaCluster, Options};
use replisome_tests::mirror::Mirror;
use replisome_tests::mirror_maker::MirrorMaker;
use replisome_tests::process::is_full;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::random::Random;
use replisome_tests::{contents, kafka_tools, wait};

const COPY_DEADLINE: Duration = Duration::from_secs(300);
const STREAMS: u32 = 8;
const RECORD_LEN: usize = 100;
const GROUP: &str = "mirror_maker_consumer";
const CONSUMER: &[(&str, &str)] = &[
    ("exclude.internal.topics", "true"),
    ("client.id", "mirror_maker_consumer"),
    ("group.id", GROUP),
    ("auto.offset.reset", "earliest"),
];
const PRODUCER: &[(&str, &str)] = &[("acks", "-1"), ("client.id", "mirror_maker_producer")];

/// Set on `test`, and carried over.
const OWN_CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("max.message.bytes", "2000000"),
    ("message.timestamp.type", "CreateTime"),
    ("retention.ms", "259200000"),
    ("segment.bytes", "134217728"),
];
/// Set on `test`, and left behind: they speak of the source's brokers.
const CONFIGS_OF_THE_SOURCE: &[(&str, &str)] =
    &[("follower.replication.throttled.replicas", "*"), ("min.insync.replicas", "1")];

/// What one run took.
struct Cost {
    cpu: Duration,
    rss_bytes: u64,
    wall: Duration,
}

impl Cost {
    fn cpu_seconds_per_million(&self, records: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / records as f64
    }
}

fn records() -> u64 {
    if is_full() { 5_000_000 } else { 1_000_000 }
}

#[test]
fn the_usual_command_copies_four_partitions_as_they_are_for_half_of_mirror_makers_cpu() {
    let (source, target) = KafkaCluster::start_pair("walk-through", Options::default());
    fill(&source);
    let ours = copy_with_replisome(&source, &target);
    // In this order: reading makes a cluster create its own topic for the offsets of groups.
    check_topics(&source, &target);
    check_records(&source, &target);
    // Three brokers at once would only be in the way of the measurement.
    drop(target);
    let theirs = copy_with_mirror_maker(&source, &KafkaCluster::start("walk-through-mirror-maker", Options::default()));
    print(&ours, &theirs);
    let (our_cpu, their_cpu) = (ours.cpu_seconds_per_million(records()), theirs.cpu_seconds_per_million(records()));
    assert!(our_cpu <= their_cpu / 2.0, "CPU seconds per million records: {our_cpu:.2}, MirrorMaker 1 {their_cpu:.2}");
    assert!(ours.rss_bytes <= 200 << 20, "peak RSS {} bytes", ours.rss_bytes);
}

/// `test` as in the walk-through; beside it a topic that the broker stamps, and topics that are nobody's to copy.
fn fill(source: &KafkaCluster) {
    let admin = Admin::new(source.bootstrap());
    admin.create_topic("test", 4, &[OWN_CONFIGS, CONFIGS_OF_THE_SOURCE].concat());
    kafka_tools::producer_performance(source.bootstrap(), "test", records(), RECORD_LEN);
    admin.create_topic("stamped", 3, &[("message.timestamp.type", "LogAppendTime"), ("retention.bytes", "1000000000")]);
    let mut random = Random::for_test("the_usual_command_copies_four_partitions");
    let stamped: Vec<_> = (0..3_000).map(|number| NewRecord::random(&mut random, number % 3, 300)).collect();
    Producer::new(source.bootstrap()).send_all("stamped", &stamped);
    admin.create_topic("__hidden", 1, &[]);
    Producer::new(source.bootstrap()).send_all("__hidden", &[NewRecord::new(0, "k", "v")]);
    admin.commit("someone", "test", 0, 1, "");
    assert!(admin.partitions("__consumer_offsets") > 0, "the source has an internal topic");
}

fn copy_with_replisome(source: &KafkaCluster, target: &KafkaCluster) -> Cost {
    let streams = STREAMS.to_string();
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), GROUP, ".*").flags(["--num.streams", &streams]);
    let mirror = CONSUMER.iter().fold(mirror, |mirror, (key, value)| mirror.consumer(key, value));
    let mirror = PRODUCER.iter().fold(mirror, |mirror, (key, value)| mirror.producer(key, value));
    let started = Instant::now();
    let (replisome, exit) = mirror.run_until_end(COPY_DEADLINE);
    let wall = started.elapsed();
    let stdout = replisome.stdout();
    for text in ["test", "stamped", "RECORDS"] {
        assert!(stdout.contains(text), "the summary names {text}:\n{stdout}");
    }
    say(&format!("\n{stdout}"));
    Cost { cpu: exit.cpu, rss_bytes: exit.rss_peak_bytes, wall }
}

fn check_records(source: &KafkaCluster, target: &KafkaCluster) {
    let admin = Admin::new(source.bootstrap());
    for (topic, expected) in [("test", records()), ("stamped", 3_000)] {
        let (at_source, at_target) =
            (contents::hashes(source.bootstrap(), topic), contents::hashes(target.bootstrap(), topic));
        assert_equal_hashes(&at_source, &at_target);
        let counts = contents::counts(&at_target);
        assert_eq!(counts.values().sum::<usize>() as u64, expected, "{counts:?}");
        assert!(counts.values().all(|count| *count > 0), "each partition of {topic} is filled: {counts:?}");
        say(&format!("{topic}: records per partition {counts:?}, all equal in order"));
        for (partition, committed) in admin.committed(GROUP, topic) {
            assert_eq!(committed.offset, admin.offsets(topic, partition, false).1, "{topic}-{partition} has no lag");
        }
        assert_eq!(admin.committed(GROUP, topic).len(), at_source.len(), "each partition of {topic} has its offset");
    }
}

fn check_topics(source: &KafkaCluster, target: &KafkaCluster) {
    let admin = Admin::new(target.bootstrap());
    let expected = [("stamped", 3), ("test", 4)].map(|(topic, partitions)| (topic.to_owned(), partitions));
    assert_eq!(admin.topics(), BTreeMap::from(expected), "all topics of the target");
    let own = |topic: &str| admin.topic_configs(topic);
    let map = |configs: &[(&str, &str)]| -> BTreeMap<String, String> {
        configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let at_source = Admin::new(source.bootstrap()).topic_configs("test");
    assert_eq!(at_source, map(&[OWN_CONFIGS, CONFIGS_OF_THE_SOURCE].concat()), "as it was created");
    assert_eq!(own("test"), map(OWN_CONFIGS));
    // The target must not stamp the records anew.
    assert_eq!(own("stamped"), map(&[("message.timestamp.type", "CreateTime"), ("retention.bytes", "1000000000")]));
}

fn copy_with_mirror_maker(source: &KafkaCluster, target: &KafkaCluster) -> Cost {
    let with = |properties: &'static [(&str, &str)], bootstrap| {
        [&[("bootstrap.servers", bootstrap)], properties].concat().into_iter().collect::<Vec<(&str, &str)>>()
    };
    let consumer: Vec<_> = with(CONSUMER, source.bootstrap())
        .into_iter()
        .map(|(key, value)| if key == "group.id" { (key, "mirror_maker_1") } else { (key, value) })
        .collect();
    let started = Instant::now();
    let mut mirror_maker = MirrorMaker::start(&consumer, &with(PRODUCER, target.bootstrap()), STREAMS, ".*");
    let reader: BaseConsumer = admin::client_config(target.bootstrap()).create().expect("create a consumer");
    wait::until_true("MirrorMaker 1 has copied all records", COPY_DEADLINE, || {
        mirror_maker.assert_runs();
        let ends = reader.fetch_watermarks("test", 0, Duration::from_secs(5));
        ends.is_ok_and(|(_, end)| end as u64 >= records())
    });
    let cost = Cost { cpu: mirror_maker.cpu(), rss_bytes: mirror_maker.rss_peak_bytes(), wall: started.elapsed() };
    let topics = Admin::new(target.bootstrap()).topics();
    assert_eq!(topics["test"], 1, "the known trap: the four partitions of the source became one");
    say(&format!("MirrorMaker 1 made of test's 4 partitions: {}", topics["test"]));
    mirror_maker.stop();
    cost
}

fn print(ours: &Cost, theirs: &Cost) {
    let binary = replisome_tests::process::binary();
    let profile = binary.parent().and_then(|directory| directory.file_name()).unwrap_or_default().to_string_lossy();
    let name = format!("replisome ({profile} build)");
    say(&format!(
        "\n{} records of {RECORD_LEN} bytes, 4 partitions, --num.streams {STREAMS}; start-up included\n{:28}{:>16}{:>16}{:>12}",
        records(),
        "",
        "CPU-s / million",
        "peak RSS, MiB",
        "seconds"
    ));
    for (name, cost) in [(name.as_str(), ours), ("MirrorMaker 1 (3.9.1)", theirs)] {
        let cpu = cost.cpu_seconds_per_million(records());
        let (rss, wall) = (cost.rss_bytes >> 20, cost.wall.as_secs_f64());
        say(&format!("{name:28}{cpu:>16.2}{rss:>16}{wall:>12.1}"));
    }
}

/// Says it even when the test succeeds: these are the figures that the test is run for.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
