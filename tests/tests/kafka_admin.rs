//! The administration of a real cluster through `ClusterAdmin`: what it says is compared with what the harness did.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use common::config::ClusterConfig;
use common::ids::{ClusterName, Partition, TopicId, TopicName, TopicPartition};
use common::offsets::NextOffset;
use kafka::admin::{ClusterAdmin, NewTopic, OffsetQuery, TopicDescription};
use kafka::clients::Clients;
use kafka::error::ErrorKind;
use kafka::librdkafka::LibrdkafkaClients;
use kafka::offsets::GroupOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use replisome_tests::admin::{Admin, client_config};
use replisome_tests::child::Signal;
use replisome_tests::kafka_cluster::{KafkaCluster, Options};
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::{kafka_tools, wait};

const MINUTE: Duration = Duration::from_secs(60);

/// One cluster for all tests here, with a user whose rights are ACLs.
fn cluster() -> &'static KafkaCluster {
    static CLUSTER: OnceLock<KafkaCluster> = OnceLock::new();
    CLUSTER
        .get_or_init(|| KafkaCluster::start("admin", Options { users: &[("alice", "secret")], ..Options::default() }))
}

fn connect(properties: &[(&str, &str)]) -> Arc<dyn ClusterAdmin> {
    let name = ClusterName::new("tested").expect("a name");
    let cluster = ClusterConfig { name, properties: properties.iter().copied().collect() };
    LibrdkafkaClients.admin(&cluster).expect("make an administrator")
}

fn admin() -> Arc<dyn ClusterAdmin> {
    connect(&[("bootstrap.servers", cluster().bootstrap())])
}

/// The user's administrator, set up in Java's words.
fn alice(password: &str) -> Arc<dyn ClusterAdmin> {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let jaas = format!("{module} required username=\"alice\" password=\"{password}\";");
    connect(&[
        ("bootstrap.servers", cluster().sasl_bootstrap()),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.jaas.config", &jaas),
    ])
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a topic")
}

fn describe(admin: &dyn ClusterAdmin, name: &str) -> Result<TopicDescription, ErrorKind> {
    let described = admin.describe_topics(&[topic(name)]).expect("describe").remove(0);
    described.map_err(|error| error.kind)
}

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_topic_created_anew_has_another_id() {
    let (admin, harness) = (admin(), Admin::new(cluster().bootstrap()));
    harness.create_topic("ids", 2, &[]);
    let before = wait::until("the topic is described", MINUTE, || describe(&*admin, "ids").ok());
    assert!(before.id != TopicId::NONE && before.partitions == 2, "{before:?}");
    harness.delete_topic("ids");
    harness.create_topic("ids", 3, &[]);
    let after = wait::until("the new topic is described", MINUTE, || describe(&*admin, "ids").ok());
    assert!(after.id.contradicts(before.id) && after.partitions == 3, "{after:?}");
    let both = admin.describe_topics(&[topic("not-there"), topic("ids")]).expect("describe");
    assert_eq!(both[0].as_ref().map_err(|error| error.kind), Err(ErrorKind::UnknownTopic));
    assert_eq!(both[1].as_ref(), Ok(&after));
}

#[test]
fn rights_are_told_and_what_may_not_be_seen_is_hidden() {
    let harness = Admin::new(cluster().bootstrap());
    let rights: [(&str, &[&str]); 3] = [("to-read", &["Read"]), ("to-write", &["Write"]), ("hidden", &[])];
    for (name, operations) in rights {
        harness.create_topic(name, 1, &[]);
        for operation in operations {
            let allow = ["--add", "--allow-principal", "User:alice", "--operation", operation, "--topic", name];
            kafka_tools::acls(cluster().bootstrap(), &allow);
        }
    }
    let alice = alice("secret");
    let seen = |name| describe(&*alice, name).map(|topic| (topic.may_read, topic.may_write));
    wait::until_true("alice may read one topic and write the other", MINUTE, || {
        seen("to-read") == Ok((true, false)) && seen("to-write") == Ok((false, true))
    });
    assert_eq!(seen("hidden"), Err(ErrorKind::TopicDenied));
    let visible: Vec<String> = alice.topics().expect("topics").into_keys().map(String::from).collect();
    assert_eq!(visible, ["to-read", "to-write"]);
    let own = |name| describe(&*admin(), name).map(|topic| (topic.may_read, topic.may_write));
    assert_eq!(own("hidden"), Ok((true, true)));

    let denied = |result: Result<(), kafka::error::Error>| result.expect_err("denied").kind;
    let new = NewTopic { name: topic("alices-own"), partitions: 1, configs: BTreeMap::new() };
    assert_eq!(denied(alice.create_topic(&new)), ErrorKind::TopicDenied);
    assert_eq!(denied(alice.grow_topic(&topic("to-read"), 5)), ErrorKind::TopicDenied);
    assert_eq!(
        denied(alice.set_topic_configs(&topic("to-read"), &settings(&[("retention.ms", "1")]))),
        ErrorKind::TopicDenied
    );
    assert_eq!(alice.group_members("guarded").expect_err("denied").kind, ErrorKind::GroupDenied);
    let configs = alice.topic_configs(&[topic("to-read")]).expect("configs").remove(0);
    assert_eq!(configs.map_err(|error| error.kind), Err(ErrorKind::TopicDenied));
    let place = TopicPartition::new(topic("hidden"), Partition(0));
    let offsets = alice.offsets(&[(place, OffsetQuery::Earliest)]).expect("offsets").remove(0);
    assert_eq!(offsets.map_err(|error| error.kind), Err(ErrorKind::TopicDenied));
}

#[test]
fn a_wrong_password_is_told_from_an_unreachable_cluster() {
    let error = alice("wrong").topics().expect_err("a wrong password");
    assert_eq!(error.kind, ErrorKind::Authentication, "{error}");
    assert!(!error.text.contains("wrong"), "{error}");
}

#[test]
fn topics_are_created_grown_and_set_up() {
    let admin = admin();
    let configs = settings(&[("cleanup.policy", "compact"), ("retention.ms", "1000000000000")]);
    let new = NewTopic { name: topic("made"), partitions: 3, configs };
    admin.create_topic(&new).expect("create");
    let kind = |result: Result<(), kafka::error::Error>| result.expect_err("refused").kind;
    assert_eq!(kind(admin.create_topic(&new)), ErrorKind::TopicExists);
    admin.grow_topic(&topic("made"), 5).expect("grow");
    assert_eq!(kind(admin.grow_topic(&topic("made"), 2)), ErrorKind::InvalidConfig);
    assert_eq!(kind(admin.grow_topic(&topic("not-there"), 2)), ErrorKind::UnknownTopic);
    admin.set_topic_configs(&topic("made"), &settings(&[("max.message.bytes", "12345")])).expect("set");
    for bad in [("max.message.bytes", "many"), ("no.such.setting", "1")] {
        let new = NewTopic { name: topic("unmade"), partitions: 1, configs: settings(&[bad]) };
        assert_eq!(kind(admin.create_topic(&new)), ErrorKind::InvalidConfig);
        assert_eq!(kind(admin.set_topic_configs(&topic("made"), &settings(&[bad]))), ErrorKind::InvalidConfig);
    }
    wait::until_true("five partitions are known", MINUTE, || admin.topics().expect("topics")[&topic("made")] == 5);

    // A broker knows a setting a moment after the controller has it.
    let harness = wait::until("three settings are known", MINUTE, || {
        Some(Admin::new(cluster().bootstrap()).topic_configs("made")).filter(|settings| settings.len() == 3)
    });
    let described = admin.topic_configs(&[topic("made"), topic("not-there")]).expect("configs");
    let made = described[0].as_ref().expect("configs of the topic");
    let overrides = made.0.iter().filter(|(_, config)| config.is_override);
    let overrides: BTreeMap<_, _> =
        overrides.map(|(key, config)| (key.clone(), config.value.clone().unwrap())).collect();
    assert_eq!(overrides, harness);
    assert_eq!((overrides.len(), made.value("max.message.bytes")), (3, Some("12345")));
    assert!(made.value("segment.bytes").is_some(), "defaults are told, too");
    assert_eq!(described[1].as_ref().map_err(|error| error.kind), Err(ErrorKind::UnknownTopic));
}

#[test]
fn offsets_tell_an_open_transaction_from_the_end() {
    let (admin, harness) = (admin(), Admin::new(cluster().bootstrap()));
    harness.create_topic("looked-up", 2, &[]);
    let record = |time| NewRecord { timestamp: Some(time), ..NewRecord::new(0, "k", "v") };
    Producer::new(cluster().bootstrap()).send_all("looked-up", &[record(10), record(20), record(30)]);
    harness.delete_records("looked-up", 0, 1);
    let open = Producer::transactional(cluster().bootstrap(), "kafka-admin-open");
    open.begin();
    open.send_all("looked-up", &[record(40)]);

    let place = |partition| TopicPartition::new(topic("looked-up"), Partition(partition));
    let look_up = |cases: &[(OffsetQuery, i64)]| {
        let queries: Vec<_> = cases.iter().map(|(query, _)| (place(0), *query)).collect();
        let found = admin.offsets(&queries).expect("offsets");
        for ((query, expected), found) in cases.iter().zip(found) {
            assert_eq!(found, Ok(NextOffset(*expected)), "{query:?}");
        }
    };
    use OffsetQuery::{Earliest, HighWatermark, LastStable, Time};
    look_up(&[(Earliest, 1), (LastStable, 3), (HighWatermark, 4), (Time(0), 1), (Time(11), 1), (Time(21), 2)]);
    look_up(&[(Time(31), 3), (Time(-1), 1), (Time(i64::MAX), 3)]);
    open.commit();
    wait::until_true("the transaction's end is stable", MINUTE, || {
        admin.offsets(&[(place(0), LastStable)]).expect("offsets") == [Ok(NextOffset(5))]
    });
    // the transaction's end is a record of today for the broker: looked up by its time, not seen when read
    look_up(&[(HighWatermark, 5), (Time(31), 3), (Time(41), 4), (Time(i64::MAX), 5)]);
    harness.grow_topic("looked-up", 3);
    wait::until_true("the new partition is there", MINUTE, || {
        admin.offsets(&[(place(2), Earliest)]).expect("offsets") == [Ok(NextOffset(0))]
    });

    let begin = Instant::now();
    let missing = TopicPartition::new(topic("not-there"), Partition(0));
    let found = admin.offsets(&[(missing, Earliest), (place(9), Earliest), (place(1), Earliest)]).expect("offsets");
    let kinds: Vec<_> = found.into_iter().map(|found| found.map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Err(ErrorKind::UnknownTopic), Err(ErrorKind::UnknownTopic), Ok(NextOffset(0))]);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn members_of_both_kinds_of_groups_are_seen_as_long_as_they_live() {
    let admin = admin();
    Admin::new(cluster().bootstrap()).create_topic("joined", 1, &[]);
    assert_eq!(admin.group_members("nobody").expect("members"), []);
    for (group, protocol) in [("classic-group", "classic"), ("new-group", "consumer")] {
        let mut config = client_config(cluster().bootstrap());
        config.set("group.id", group).set("client.id", "the-member").set("group.protocol", protocol);
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&["joined"]).expect("subscribe");
        let members = wait::until(&format!("{group} has a member"), MINUTE, || {
            let _record = consumer.poll(Duration::from_millis(100));
            Some(admin.group_members(group).expect("members")).filter(|members| !members.is_empty())
        });
        assert_eq!((members.len(), members[0].client_id.as_str()), (1, "the-member"));
        assert!(members[0].host.contains("127.0.0.1") && !members[0].member_id.is_empty(), "{members:?}");
        assert_eq!(admin.delete_group(group).expect_err("it has a member").kind, ErrorKind::GroupHasMembers);
        drop(consumer);
        wait::until_true("the member has left", MINUTE, || admin.group_members(group).expect("members").is_empty());
    }
}

#[test]
fn a_group_is_deleted_with_its_offsets() {
    let admin = admin();
    Admin::new(cluster().bootstrap()).create_topic("stored", 1, &[]);
    let place = TopicPartition::new(topic("stored"), Partition(0));
    let name = ClusterName::new("tested").expect("a name");
    let properties = [("bootstrap.servers", cluster().bootstrap())];
    let config = ClusterConfig { name, properties: properties.into_iter().collect() };
    let mut offsets = LibrdkafkaClients.offsets(&config, "retired").expect("an offset store");
    let offset = GroupOffset { next_offset: NextOffset(7), leader_epoch: None, metadata: "m".to_owned() };
    wait::until_true("the offset is stored", MINUTE, || {
        let stored = offsets.commit(&[(place.clone(), offset.clone())]);
        stored.is_ok_and(|outcomes| outcomes.iter().all(Result::is_ok))
    });
    assert_eq!(offsets.read(std::slice::from_ref(&place)).expect("offsets"), [Some(offset)]);
    admin.delete_group("retired").expect("it is deleted");
    assert_eq!(offsets.read(&[place]).expect("offsets"), [None]);
    admin.delete_group("retired").expect("it is gone already");
    admin.delete_group("never-there").expect("it is gone already");
}

#[test]
fn a_silent_broker_is_unreachable_and_the_client_recovers() {
    let cluster = KafkaCluster::start("silent", Options::default());
    let admin = connect(&[("bootstrap.servers", cluster.bootstrap())]);
    let id = admin.cluster_id().expect("an id").expect("a cluster id");
    assert!(id.starts_with("replisome-tests-"), "{id}");
    cluster.signal(Signal::Stop);
    let begin = Instant::now();
    for error in [
        admin.topics().expect_err("silence"),
        admin.describe_topics(&[topic("any")]).expect_err("silence"),
        admin.group_members("any").expect_err("silence"),
    ] {
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    cluster.signal(Signal::Continue);
    wait::until_true("the administrator goes on", MINUTE, || admin.topics().is_ok());
    assert_eq!(admin.cluster_id().expect("an id").as_ref(), Some(&id));
}
