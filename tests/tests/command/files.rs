//! Command lines and properties files that are wrong by themselves. The clusters they name are there and hold a topic
//! that would be copied at once, so that a refusal that is missing is seen.

use std::sync::{Arc, OnceLock};

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::mirror::Mirror;
use replisome_tests::process::Replisome;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::scratch::Scratch;

use super::{CANARY, USAGE, assert_refused, mirror};

/// What would be copied if it were not for the mistake.
const TOPIC: &str = "never-copied";

fn mistaken() -> Mirror {
    static FILLED: OnceLock<()> = OnceLock::new();
    FILLED.get_or_init(|| {
        let (source, _) = shared();
        Admin::new(source.bootstrap()).create_topic(TOPIC, 1, &[]);
        Producer::new(source.bootstrap()).send_all(TOPIC, &[NewRecord::new(0, "k", "v")]);
    });
    mirror("mistaken", TOPIC)
}

#[track_caller]
fn assert_usage(mirror: &Mirror, texts: &[&str]) {
    assert_refused(mirror.start(), USAGE, texts);
    let (source, target) = shared();
    assert_eq!(Admin::new(target.bootstrap()).partitions(TOPIC), 0, "nothing is copied");
    assert!(Admin::new(source.bootstrap()).committed("mistaken", TOPIC).is_empty(), "nothing is stored");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_flag() {
    let scratch = Arc::new(Scratch::new("files"));
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let good = scratch.write("good", "bootstrap.servers=127.0.0.1:1\ngroup.id=g\n").display().to_string();
    std::fs::write(scratch.path().join("latin1"), b"bootstrap.servers=127.0.0.1:1\nclient.id=caf\xE9\n")
        .expect("write");
    scratch.write("escape", &format!("group.id=g\nsasl.password={CANARY}\\u12\n"));
    std::fs::create_dir(scratch.path().join("directory")).expect("create a directory");
    for (bad, text) in [
        ("missing", "give the path of a properties file"),
        ("latin1", "UTF-8"),
        ("escape", "line 2"),
        ("directory", "give a readable properties file"),
    ] {
        for (flag, other) in [("--consumer.config", "--producer.config"), ("--producer.config", "--consumer.config")] {
            let args = ["mirror", flag, &path(bad), other, &good, "--whitelist", "a"];
            assert_refused(Replisome::start(args), USAGE, &[flag, &path(bad), text]);
        }
    }
}

#[test]
fn an_unknown_property_is_named_with_what_was_meant() {
    assert_usage(
        &mistaken().producer("batch.sise", CANARY),
        &["--producer.config", "producer.properties", "batch.sise", "did you mean batch.size?"],
    );
    assert_usage(
        &mistaken().consumer("my.own.invention", CANARY),
        &["--consumer.config", "my.own.invention", "remove"],
    );
    assert_usage(&mistaken().consumer("sasl.pasword", CANARY), &["sasl.pasword", "did you mean sasl.password?"]);
}

#[test]
fn a_property_that_runs_code_or_changes_what_is_copied_is_refused() {
    for (key, value, text) in [
        (
            "plugin.library.paths",
            "/tmp/x.so",
            "load code or run a command in this process, so it cannot be set: remove it",
        ),
        ("sasl.kerberos.kinit.cmd", CANARY, "load code or run a command"),
        ("isolation.level", "read_uncommitted", "isolation.level=read_uncommitted"),
        ("auto.offset.reset", "middle", "earliest, latest"),
        ("fetch.min.bytes", "many", "fetch.min.bytes=many: must be a whole number"),
        ("interceptor.classes", "x.Y", "interceptor.classes"),
    ] {
        assert_usage(&mistaken().consumer(key, value), &["--consumer.config", key, text]);
    }
    for (key, value, text) in [
        ("partitioner.class", "x.Y", "keeps its partition number"),
        ("transactional.id", "t", "not written in transactions"),
        ("compression.type", "brotli", "none, gzip, snappy, lz4, zstd"),
        ("security.protocol", "SASL", "security.protocol=SASL: must be one of"),
    ] {
        assert_usage(&mistaken().producer(key, value), &["--producer.config", key, text]);
    }
}

#[test]
fn a_property_that_is_missing_is_named_with_what_it_is_for() {
    let texts = ["--consumer.config", "consumer.properties", "group.id is missing", "set it"];
    assert_usage(&mistaken().without_consumer("group.id"), &texts);
    let texts = ["--consumer.config", "bootstrap.servers is missing", "set it"];
    assert_usage(&mistaken().without_consumer("bootstrap.servers"), &texts);
    let texts = ["--producer.config", "bootstrap.servers is missing", "set it"];
    assert_usage(&mistaken().producer("bootstrap.servers", ""), &texts);
}

#[test]
fn a_login_or_a_store_that_cannot_be_is_refused_without_its_password() {
    let sasl = mistaken().consumer("security.protocol", "SASL_PLAINTEXT").consumer("sasl.mechanism", "PLAIN");
    let without_end = format!("org.apache.kafka.common.security.plain.PlainLoginModule required password=\"{CANARY}\"");
    assert_usage(&sasl.consumer("sasl.jaas.config", &without_end), &["sasl.jaas.config", "semicolon"]);
    let java_store = mistaken().consumer("security.protocol", "SSL").consumer("ssl.truststore.password", CANARY);
    let texts = ["--consumer.config", "ssl.truststore.location", "store.jks", "PEM", "keytool"];
    assert_usage(&java_store.consumer("ssl.truststore.location", "store.jks"), &texts);
    let nameless = mistaken().producer("security.protocol", "SASL_SSL").producer("sasl.mechanism", "PLAIN");
    assert_usage(&nameless.producer("sasl.password", CANARY), &["--producer.config", "sasl.username is missing"]);
}

#[test]
fn an_expression_that_means_nothing_here_is_refused_with_its_text() {
    for (expression, texts) in [
        ("never(", &["\"never(\"", "unclosed group"][..]),
        ("[never", &["\"[never\"", "unclosed"]),
        ("*", &["\"*\"", "'.*'"]),
        ("never-copied,x{1,2}", &["'|'", "{n,m}"]),
        ("(?!x)never.*", &["negative lookahead", "position 1", "Java-only"]),
        ("never(?<=r).*", &["lookbehind", "position 6"]),
        ("never.*+", &["possessive"]),
        (r"(n)ever\1", &["back-reference"]),
        ("", &["empty", "'.*'"]),
    ] {
        let (source, target) = shared();
        let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), "mistaken", expression);
        assert_usage(&mirror, &[&["--whitelist"], texts].concat());
    }
}

#[test]
fn a_wrong_flag_is_refused_with_its_remedy() {
    for (flags, texts) in [
        (&["--message.handler", "x.Y"][..], &["--message.handler x.Y", "Java", "remove the flag"][..]),
        (&["--consumer.rebalance.listener", "x.Y"], &["--consumer.rebalance.listener x.Y", "remove the flag"]),
        (&["--num.streams", "0"], &["--num.streams", "0", "1..=256"]),
        (&["--num.streams", "many"], &["--num.streams", "many"]),
        (&["--num.stream", "2"], &["--num.stream", "--num.streams"]),
        (&["--until-the-end"], &["--until-the-end", "--until-end"]),
        (&["--include", "a"], &["--include", "--whitelist"]),
        (&["--memory", "96MB"], &["--memory", "96MB", "MiB"]),
        (&["--http-listen", "nonsense"], &["--http-listen", "nonsense", "127.0.0.1:9404"]),
        (&["--abort.on.send.failure", "perhaps"], &["--abort.on.send.failure", "perhaps", "true"]),
        (&["--offset.commit.interval.ms", "0"], &["--offset.commit.interval.ms", "0"]),
    ] {
        assert_usage(&mistaken().flags(flags.iter().copied()), texts);
    }
    assert_refused(
        Replisome::start(["mirror", "--whitelist", "a"]),
        USAGE,
        &["--consumer.config", "--producer.config"],
    );
    assert_refused(Replisome::start(["miror"]), USAGE, &["miror", "mirror"]);
}
