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
    ];
    assert_eq!(kinds, [ErrorKind::Unsupported; 5]);
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
