//! Against librdkafka's mock brokers, which lack most admin calls: what is there works, what is not fails at once.

use common::ids::Partition;
use rdkafka::mocking::MockCluster;

use super::*;

fn admin(addresses: &str) -> LibrdkafkaAdmin {
    let config = [("bootstrap.servers", addresses), ("reconnect.backoff.max.ms", "1000")];
    LibrdkafkaAdmin::new(config.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn place(name: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic(name), Partition(partition))
}

#[test]
fn what_a_cluster_lacks_fails_at_once() {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("a", 3, 1).unwrap();
    let admin = admin(&cluster.bootstrap_servers());
    let new = NewTopic { name: topic("b"), partitions: 1, configs: BTreeMap::new() };
    let configs = BTreeMap::from([("retention.ms".to_owned(), "1".to_owned())]);
    let begin = Instant::now();
    let kinds = [
        admin.create_topic(&new).unwrap_err().kind,
        admin.grow_topic(&topic("a"), 4).unwrap_err().kind,
        admin.set_topic_configs(&topic("a"), &configs).unwrap_err().kind,
        admin.topic_configs(&[topic("a")]).unwrap_err().kind,
        admin.group_members("g").unwrap_err().kind,
        admin.delete_group("g").unwrap_err().kind,
    ];
    assert_eq!(kinds, [ErrorKind::Unsupported; 6]);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn what_a_cluster_has_is_answered() {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("a", 3, 1).unwrap();
    let admin = admin(&cluster.bootstrap_servers());
    assert!(admin.cluster_id().unwrap().is_some_and(|id| !id.is_empty()));
    assert_eq!(admin.topics().unwrap(), BTreeMap::from([(topic("a"), 3)]));
    let described = admin.describe_topics(&[topic("a"), topic("a")]).unwrap();
    let a = described[1].as_ref().unwrap();
    assert_eq!((described.len(), a.partitions, a.may_read, a.may_write), (2, 3, true, true));
    let queries = [OffsetQuery::Earliest, OffsetQuery::LastStable, OffsetQuery::HighWatermark];
    let found = admin.offsets(&queries.map(|query| (place("a", 2), query))).unwrap();
    assert_eq!(found, vec![Ok(NextOffset(0)); 3]);
    let found = admin.offsets(&[(place("a", 9), OffsetQuery::Earliest), (place("a", 0), OffsetQuery::Earliest)]);
    let found = found.unwrap();
    assert_eq!(found[0].as_ref().unwrap_err().kind, ErrorKind::UnknownTopic);
    assert_eq!(found[1], Ok(NextOffset(0)));
    assert_eq!(admin.offsets(&[]).unwrap(), []);
    assert_eq!(admin.describe_topics(&[]).unwrap(), []);
}

/// Two brokers: partitions 0 and 2 of topic `a` are led by the first, 1 and 3 by the second. Has looked all up once.
fn two_leaders() -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, LibrdkafkaAdmin) {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("a", 4, 1).unwrap();
    for partition in 0..4 {
        cluster.partition_leader("a", partition, Some(1 + partition % 2)).unwrap();
    }
    let admin = admin(&cluster.bootstrap_servers());
    assert_eq!(admin.offsets(&all_queries()).unwrap(), vec![Ok(NextOffset(0)); 16]);
    (cluster, admin)
}

fn all_queries() -> Vec<(TopicPartition, OffsetQuery)> {
    let queries =
        [OffsetQuery::Earliest, OffsetQuery::LastStable, OffsetQuery::HighWatermark, OffsetQuery::Time(i64::MAX)];
    (0..4).flat_map(|partition| queries.map(|query| (place("a", partition), query))).collect()
}

fn assert_second_fails_alone(admin: &LibrdkafkaAdmin) {
    let begin = Instant::now();
    let found = admin.offsets(&all_queries()).unwrap();
    assert!(begin.elapsed() < QUESTION_TIMEOUT + Duration::from_millis(1500), "{:?}", begin.elapsed());
    for ((place, query), found) in all_queries().iter().zip(found) {
        let expected = if place.partition.0 % 2 == 0 { Ok(NextOffset(0)) } else { Err(ErrorKind::Unreachable) };
        assert_eq!(found.map_err(|error| error.kind), expected, "{place} {query:?}");
    }
}

#[test]
fn a_silent_broker_fails_its_own_partitions_only() {
    let (cluster, admin) = two_leaders();
    cluster.broker_round_trip_time(2, Duration::from_secs(60)).unwrap();
    assert_second_fails_alone(&admin);
}

#[test]
fn a_stopped_broker_fails_its_own_partitions_only_until_another_one_leads_them() {
    let (cluster, admin) = two_leaders();
    cluster.broker_down(2).unwrap();
    assert_second_fails_alone(&admin);
    for partition in [1, 3] {
        cluster.partition_leader("a", partition, Some(1)).unwrap();
    }
    assert_eq!(admin.offsets(&all_queries()).unwrap(), vec![Ok(NextOffset(0)); 16]);
}

#[test]
fn partitions_without_a_leader_are_told_from_missing_ones() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("a", 2, 1).unwrap();
    cluster.partition_leader("a", 0, None).unwrap();
    let admin = admin(&cluster.bootstrap_servers());
    for _ in 0..2 {
        let begin = Instant::now();
        let found = admin.offsets(&[0, 9].map(|partition| (place("a", partition), OffsetQuery::Earliest))).unwrap();
        let kinds: Vec<_> = found.into_iter().map(|found| found.unwrap_err().kind).collect();
        assert_eq!(kinds, [ErrorKind::Unreachable, ErrorKind::UnknownTopic]);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_failure_without_a_broker_s_own_words_has_the_client_s() {
    let admin = admin("127.0.0.1:1");
    for text in ["ConsumerGroupDescribe: ", "ConsumerGroupDescribe:"] {
        let failure = Failure { code: Code::NOT_COORDINATOR, text: text.to_owned() };
        assert_eq!(admin.error("asking", &failure).text, "asking: ConsumerGroupDescribe: Broker: Not coordinator");
    }
}

#[test]
fn an_unreachable_cluster_is_told_from_a_wrong_setting() {
    let admin = admin("127.0.0.1:1");
    let begin = Instant::now();
    let error = admin.topics().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.text.contains("refused"), "{error}");
    assert!(begin.elapsed() < QUESTION_TIMEOUT + Duration::from_secs(2));
    assert_eq!(
        admin.create_topic(&NewTopic { name: topic("b"), partitions: 1, configs: BTreeMap::new() }).unwrap_err().kind,
        ErrorKind::Unreachable
    );
    let wrong = LibrdkafkaAdmin::new(BTreeMap::from([("linger.ms".to_owned(), "soon".to_owned())])).unwrap_err();
    assert_eq!(wrong.kind, ErrorKind::Config);
}
