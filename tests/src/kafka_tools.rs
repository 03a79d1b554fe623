//! Kafka's own command-line tools, as users run them. Owns starting them and their output. Each run is a JVM of about
//! a second: for hot use there is [`crate::admin`].

use std::fs;

use crate::jars::Jars;
use crate::scratch::Scratch;

/// Runs one tool by its class and gives its stdout.
///
/// # Panics
/// When it fails, with all its output.
#[track_caller]
pub fn run(class: &str, args: &[&str]) -> String {
    let mut java = Jars::Kafka.java(256);
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    // The tools' answers go to stdout: their log must not.
    java.arg("-Dlog4j2.level=OFF").arg("-Dlog4j2.configurationFile=").arg(class).args(args);
    let output = java.output().expect("start java (is Java 17 installed?)");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{class} {args:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// kafka-topics, as `topics(b, &["--describe", "--topic", "test"])`.
#[track_caller]
pub fn topics(bootstrap: &str, args: &[&str]) -> String {
    run("org.apache.kafka.tools.TopicCommand", &[&["--bootstrap-server", bootstrap], args].concat())
}

/// kafka-consumer-groups, as `consumer_groups(b, &["--describe", "--group", "g"])`.
#[track_caller]
pub fn consumer_groups(bootstrap: &str, args: &[&str]) -> String {
    let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    run(class, &[&["--bootstrap-server", bootstrap], args].concat())
}

/// kafka-configs.
#[track_caller]
pub fn configs(bootstrap: &str, args: &[&str]) -> String {
    run("kafka.admin.ConfigCommand", &[&["--bootstrap-server", bootstrap], args].concat())
}

/// kafka-acls, as `acls(b, &["--add", "--allow-principal", "User:alice", "--operation", "Read", "--topic", "t"])`.
#[track_caller]
pub fn acls(bootstrap: &str, args: &[&str]) -> String {
    run("org.apache.kafka.tools.AclCommand", &[&["--bootstrap-server", bootstrap], args].concat())
}

/// kafka-producer-perf-test: `records` records of `len` bytes, as fast as it can.
#[track_caller]
pub fn producer_performance(bootstrap: &str, topic: &str, records: u64, len: usize) -> String {
    let (records, len, servers) = (records.to_string(), len.to_string(), format!("bootstrap.servers={bootstrap}"));
    let size = ["--topic", topic, "--num-records", &records, "--record-size", &len, "--throughput", "-1"];
    let class = "org.apache.kafka.tools.ProducerPerformance";
    run(class, &[&size[..], &["--producer-props", &servers, "acks=1"]].concat())
}

/// kafka-delete-records: deletes the records of a partition below `before`.
#[track_caller]
pub fn delete_records(bootstrap: &str, topic: &str, partition: i32, before: i64) -> String {
    let one = serde_json::json!({"topic": topic, "partition": partition, "offset": before});
    let scratch = Scratch::new("delete-records");
    let file = scratch.path().join("offsets.json");
    fs::write(&file, serde_json::json!({"version": 1, "partitions": [one]}).to_string()).expect("write the offsets");
    let file = file.display().to_string();
    let class = "org.apache.kafka.tools.DeleteRecordsCommand";
    run(class, &["--bootstrap-server", bootstrap, "--offset-json-file", &file])
}
