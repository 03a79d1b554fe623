//! Clusters that ask who one is.

use replisome_tests::admin::Admin;
use replisome_tests::compare::assert_equal;
use replisome_tests::kafka_cluster::{KafkaCluster, Options, shared};
use replisome_tests::mirror::Mirror;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::{contents, kafka_tools};

use super::{CANARY, COPY_DEADLINE, FAILED, assert_no_accident, assert_refused};

const MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// A file's three lines for a login.
fn login(user: &str, password: &str) -> [(&'static str, String); 3] {
    let jaas = format!("{MODULE} required username=\"{user}\" password=\"{password}\";");
    let text = |text: &str| text.to_owned();
    [("security.protocol", text("SASL_PLAINTEXT")), ("sasl.mechanism", text("PLAIN")), ("sasl.jaas.config", jaas)]
}

fn from_secured(secured: &KafkaCluster, user: &str, password: &str) -> Mirror {
    let mirror = Mirror::new(secured.sasl_bootstrap(), shared().1.bootstrap(), "secured", "secured-source");
    login(user, password).iter().fold(mirror, |mirror, (key, value)| mirror.consumer(key, value))
}

fn to_secured(secured: &KafkaCluster, user: &str, password: &str) -> Mirror {
    let mirror = Mirror::new(shared().0.bootstrap(), secured.sasl_bootstrap(), "secured", "secured-target");
    login(user, password).iter().fold(mirror, |mirror, (key, value)| mirror.producer(key, value))
}

#[test]
fn a_wrong_password_is_told_from_a_missing_right_and_neither_shows_the_password() {
    let users = &[("mirror", CANARY), ("stranger", CANARY)];
    let secured = KafkaCluster::start("secured", Options { users, ..Options::default() });
    let (source, target) = shared();
    let user = ["--add", "--allow-principal", "User:mirror", "--operation", "All"];
    let things = ["--topic", "*", "--group", "*", "--cluster"];
    kafka_tools::acls(secured.bootstrap(), &[&user[..], &things[..]].concat());
    for (cluster, topic) in [(&secured, "secured-source"), (source, "secured-target")] {
        Admin::new(cluster.bootstrap()).create_topic(topic, 2, &[]);
        Producer::new(cluster.bootstrap()).send_all(topic, &[NewRecord::new(1, "k", "v")]);
    }

    let wrong = format!("wrong-{CANARY}");
    let credentials = "credentials";
    let texts = ["source", secured.sasl_bootstrap(), credentials, "sasl.", "consumer.properties"];
    assert_refused(from_secured(&secured, "mirror", &wrong).start(), FAILED, &texts);
    let texts = ["target", secured.sasl_bootstrap(), credentials, "sasl.", "producer.properties"];
    assert_refused(to_secured(&secured, "mirror", &wrong).start(), FAILED, &texts);
    let texts = ["source", secured.sasl_bootstrap(), "security.protocol", "consumer.properties"];
    let without_login = from_secured(&secured, "mirror", &wrong).consumer("security.protocol", "PLAINTEXT");
    assert_refused(
        without_login.without_consumer("sasl.jaas.config").without_consumer("sasl.mechanism").start(),
        FAILED,
        &texts,
    );

    let texts = ["source", secured.sasl_bootstrap(), "denies", "group", "grant the right", "consumer.properties"];
    assert_refused(from_secured(&secured, "stranger", CANARY).start(), FAILED, &texts);

    for (mirror, topic, from, to) in [
        (from_secured(&secured, "mirror", CANARY), "secured-source", &secured, target),
        (to_secured(&secured, "mirror", CANARY), "secured-target", source, &secured),
    ] {
        let (replisome, _) = mirror.run_until_end(COPY_DEADLINE);
        assert_no_accident(&replisome.stdout(), &replisome.stderr());
        assert_equal(&contents::read(from.bootstrap(), topic), &contents::read(to.bootstrap(), topic));
    }
}
