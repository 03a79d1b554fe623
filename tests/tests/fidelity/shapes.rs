//! Records of every shape and size, from each codec and into each codec.

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::kafka_tools;
use replisome_tests::produce::{HeaderField, NewRecord, Producer};
use replisome_tests::random::Random;

use super::{COPY_DEADLINE, assert_copied, mirror};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const PARTITIONS: i32 = 3;

/// Lengths of values: nothing to the most that a topic takes by default, batch header included (1,048,588 bytes).
const LENGTHS: [usize; 9] = [0, 1, 99, 16_383, 16_384, 100_000, 999_999, 1_000_000, 1_048_500];

/// Null, empty and filled, in key, value and headers; header keys that repeat, are empty or are not ASCII.
fn corners() -> Vec<NewRecord> {
    let field = [None, Some(Vec::new()), Some(b"filled".to_vec())];
    let header = |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
    let headers: [Vec<HeaderField>; 5] = [
        vec![],
        vec![header("", None)],
        vec![header("h", None), header("h", Some(b"")), header("h", Some(b"2")), header("h", Some(b"1"))],
        vec![header("z", Some(b"first")), header("a", Some(b"second")), header("z", Some(b"third"))],
        vec![header("ключ \u{1F600}", Some(&[0, 0xFF, b'\n']))],
    ];
    let mut records = Vec::new();
    for key in &field {
        for value in &field {
            for headers in &headers {
                let (key, value, headers) = (key.clone(), value.clone(), headers.clone());
                records.push(NewRecord { key, value, headers, ..NewRecord::default() });
            }
        }
    }
    spread(records)
}

fn sized(random: &mut Random) -> Vec<NewRecord> {
    spread(LENGTHS.iter().map(|len| NewRecord::new(0, format!("{len} bytes"), random.bytes(*len))).collect())
}

fn spread(mut records: Vec<NewRecord>) -> Vec<NewRecord> {
    for (number, record) in records.iter_mut().enumerate() {
        record.partition = number as i32 % PARTITIONS;
    }
    records
}

/// Creates the topic at the source and fills it with one codec.
fn fill(topic: &str, codec: &str, records: &[Vec<NewRecord>]) {
    let (source, _) = shared();
    Admin::new(source.bootstrap()).create_topic(topic, PARTITIONS, &[]);
    let producer = Producer::with(source.bootstrap(), &[("compression.codec", codec)]);
    records.iter().for_each(|records| producer.send_all(topic, records));
}

#[test]
fn every_shape_and_size_of_record_arrives_unchanged_from_each_codec() {
    let mut random = Random::for_test("every_shape_and_size_of_record_arrives_unchanged_from_each_codec");
    for codec in CODECS {
        let any = (0..1_000).map(|number| NewRecord::random(&mut random, number % PARTITIONS, 2_000)).collect();
        fill(&format!("shapes-{codec}"), codec, &[corners(), any, sized(&mut random)]);
    }
    mirror("shapes", "shapes-.*").run_until_end(COPY_DEADLINE);
    for codec in CODECS {
        assert_copied("shapes", &format!("shapes-{codec}"));
    }
}

#[test]
fn records_stay_equal_when_the_producer_compresses_them_anew() {
    let mut random = Random::for_test("records_stay_equal_when_the_producer_compresses_them_anew");
    // Each codec once at the source and once at the target.
    let turned = CODECS.iter().zip(CODECS.iter().cycle().skip(1));
    for (at_source, at_target) in turned {
        let topic = format!("packed-{at_target}");
        let repeating = (0..300).map(|n| NewRecord::new(n % PARTITIONS, format!("key {n}"), "text ".repeat(400)));
        let mut records = vec![corners(), repeating.collect(), sized(&mut random)];
        if *at_source != "none" && *at_target != "none" {
            // Beyond the topic's limit, but for its compression.
            records.push(vec![NewRecord::new(1, "large", "packs well ".repeat(300_000))]);
        }
        fill(&topic, at_source, &records);
        mirror(&topic, &topic).producer("compression.type", at_target).run_until_end(COPY_DEADLINE);
        assert_copied(&topic, &topic);
    }
}

#[test]
fn the_producers_codec_is_what_the_target_stores() {
    let (source, target) = shared();
    let topics: Vec<String> = CODECS.iter().map(|codec| format!("stored-{codec}")).collect();
    for (topic, codec) in topics.iter().zip(CODECS) {
        let repeating: Vec<_> = (0..300).map(|n| NewRecord::new(0, format!("{n}"), "text ".repeat(400))).collect();
        Admin::new(source.bootstrap()).create_topic(topic, 1, &[]);
        Producer::new(source.bootstrap()).send_all(topic, &repeating);
        mirror(topic, topic).producer("compression.type", codec).run_until_end(COPY_DEADLINE);
    }
    let list = topics.join(",");
    let answer = kafka_tools::run(
        "org.apache.kafka.tools.LogDirsCommand",
        &["--bootstrap-server", target.bootstrap(), "--describe", "--topic-list", &list],
    );
    let json = answer.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no JSON:\n{answer}"));
    let json: serde_json::Value = serde_json::from_str(json).expect("the tool's JSON");
    let partitions = json["brokers"][0]["logDirs"][0]["partitions"].as_array().expect("partitions").clone();
    for (topic, codec) in topics.iter().zip(CODECS) {
        let own = partitions.iter().find(|partition| partition["partition"] == format!("{topic}-0"));
        let bytes = own.and_then(|partition| partition["size"].as_u64()).expect("the size of the partition");
        assert_eq!(bytes < 100_000, codec != "none", "{codec}: 600,000 bytes of text take {bytes}");
    }
}
