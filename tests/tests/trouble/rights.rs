//! Rights on target topics: missing at the start, taken away while running, given back.

use std::time::{Duration, Instant};

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::{KafkaCluster, Options, shared};
use replisome_tests::kafka_tools::acls;
use replisome_tests::load::{Load, STEADY, fill};
use replisome_tests::mirror::Mirror;

use super::{Scene, alone, assert_nothing_lost_and_little_repeated, pass};

#[test]
fn a_topic_without_rights_pauses_alone_and_goes_on_when_they_are_given() {
    let _alone = alone();
    let (source, _) = shared();
    let target = KafkaCluster::start("rights", Options { users: &[("copier", "secret")], ..Options::default() });
    let (denied, bystander) = ("rights-denied", "rights-bystander");
    for topic in [denied, bystander] {
        Admin::new(source.bootstrap()).create_topic(topic, 2, &[]);
        Admin::new(target.bootstrap()).create_topic(topic, 2, &[]);
        fill(source.bootstrap(), topic, 2, 100, 0);
    }
    let may = |verb: &str, operations: &[&str], topic: &str| {
        let who = [verb, "--allow-principal", "User:copier", "--topic", topic];
        let what: Vec<&str> = operations.iter().flat_map(|operation| ["--operation", *operation]).collect();
        acls(target.bootstrap(), &[&who[..], &what, if verb == "--remove" { &["--force"] } else { &[] }].concat());
    };
    may("--add", &["Describe", "DescribeConfigs", "Write"], bystander);
    may("--add", &["Describe", "DescribeConfigs"], denied);
    let with_user = |mirror: Mirror| {
        let mirror = mirror.producer("bootstrap.servers", target.sasl_bootstrap());
        let mirror = mirror.producer("security.protocol", "SASL_PLAINTEXT").producer("sasl.mechanism", "PLAIN");
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let jaas = format!("{module} username=\"copier\" password=\"secret\";");
        mirror.producer("sasl.jaas.config", &jaas)
    };
    let others = [(bystander, 0), (bystander, 1)];
    let scene = Scene::start_with("rights", &others, (source, &target), with_user, "rights-.*");
    scene.wait_until_waiting(denied, "denied", "the target denies Write and Describe");
    pass(Duration::from_secs(3));
    scene.assert_no_silence("no rights at the start");
    may("--add", &["Write"], denied);
    scene.wait_until_copied(denied, 0);
    scene.wait_until_copied(denied, 1);
    scene.assert_no_silence("rights given");

    let load = Load::start(source.bootstrap(), &[(denied, 0), (denied, 1)], STEADY);
    pass(Duration::from_secs(2));
    let struck = Instant::now();
    may("--remove", &["Write"], denied);
    scene.wait_until_held(denied, 0, "denied", "the target denies Write and Describe");
    scene.wait_until_held(denied, 1, "denied", "the target denies Write and Describe");
    pass(Duration::from_secs(3));
    scene.assert_one_short_silence("rights taken away", struck);
    let given = Instant::now();
    may("--add", &["Write"], denied);
    load.stop();
    scene.wait_until_copied(denied, 0);
    scene.wait_until_copied(denied, 1);
    scene.assert_one_short_silence("rights given back", given);
    scene.stop();
    assert_nothing_lost_and_little_repeated(source, &target, &[denied, bystander]);
}
