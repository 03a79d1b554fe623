use std::collections::BTreeMap;

use common::config::ClusterConfig;
use common::ids::{ClusterName, Partition, TopicName, TopicPartition};
use common::offsets::{LeaderEpoch, NextOffset};

use crate::admin::{ClusterAdmin, GroupMember, NewTopic, OffsetQuery};
use crate::clients::Clients;
use crate::error::ErrorKind;
use crate::memory::{CommitFault, MemoryAdmin, MemoryClients, MemoryCluster, MemoryOffsets};
use crate::offsets::{GroupOffset, OffsetStore};

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn place(name: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic(name), Partition(partition))
}

fn offset(next: i64) -> GroupOffset {
    GroupOffset { next_offset: NextOffset(next), leader_epoch: Some(LeaderEpoch(3)), metadata: "m".to_owned() }
}

fn kinds<T>(outcomes: Vec<Result<T, crate::error::Error>>) -> Vec<Option<ErrorKind>> {
    outcomes.into_iter().map(|outcome| outcome.err().map(|error| error.kind)).collect()
}

#[test]
fn a_topic_is_created_described_configured_and_grown() {
    let cluster = MemoryCluster::new("c");
    let admin = MemoryAdmin::new(cluster.clone());
    let configs = BTreeMap::from([("retention.ms".to_owned(), "1".to_owned())]);
    let new = NewTopic { name: topic("a"), partitions: 2, configs: configs.clone() };
    admin.create_topic(&new).unwrap();
    assert_eq!(admin.create_topic(&new).unwrap_err().kind, ErrorKind::TopicExists);
    admin.grow_topic(&topic("a"), 3).unwrap();
    assert_eq!(admin.grow_topic(&topic("a"), 3).unwrap_err().kind, ErrorKind::InvalidConfig);
    admin.set_topic_configs(&topic("a"), &BTreeMap::from([("segment.ms".to_owned(), "2".to_owned())])).unwrap();
    let described = admin.topic_configs(&[topic("a"), topic("b")]).unwrap();
    let own = described[0].as_ref().unwrap();
    assert_eq!((own.value("retention.ms"), own.value("segment.ms")), (Some("1"), Some("2")));
    assert!(own.0["retention.ms"].is_override && !own.0["cleanup.policy"].is_override);
    assert_eq!(described[1].as_ref().unwrap_err().kind, ErrorKind::UnknownTopic);
    cluster.refuse_config("segment.ms");
    assert_eq!(admin.set_topic_configs(&topic("a"), &configs).map_err(|error| error.kind), Ok(()));
    let refused = BTreeMap::from([("segment.ms".to_owned(), "3".to_owned())]);
    assert_eq!(admin.set_topic_configs(&topic("a"), &refused).unwrap_err().kind, ErrorKind::InvalidConfig);
    assert_eq!(admin.topics().unwrap(), BTreeMap::from([(topic("a"), 3)]));
}

#[test]
fn denied_topics_tell_so_and_are_hidden_when_nothing_is_allowed() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    cluster.create_topic("b", 1);
    cluster.set_denied("a", true, false);
    cluster.set_denied("b", true, true);
    let admin = MemoryAdmin::new(cluster);
    let described = admin.describe_topics(&[topic("a"), topic("b")]).unwrap();
    let a = described[0].as_ref().unwrap();
    assert!(!a.may_read && a.may_write);
    assert_eq!(described[1].as_ref().unwrap_err().kind, ErrorKind::TopicDenied);
    assert_eq!(admin.topics().unwrap().into_keys().collect::<Vec<_>>(), [topic("a")]);
}

#[test]
fn missing_requests_fail_at_once_and_an_unreachable_cluster_fails_all() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    let admin = MemoryAdmin::new(cluster.clone());
    cluster.set_admin_calls_missing(true);
    assert_eq!(admin.describe_topics(&[topic("a")]).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(kinds(admin.offsets(&[(place("a", 0), OffsetQuery::Earliest)]).unwrap()), [None]);
    cluster.set_unreachable(true);
    assert_eq!(admin.topics().unwrap_err().kind, ErrorKind::Unreachable);
}

#[test]
fn offsets_tell_the_open_transaction_from_the_end() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    for time in [10, 20, 30] {
        cluster.append_text("a", 0, "k", "v", time);
    }
    cluster.delete_records("a", 0, 1);
    cluster.open_transaction("a", 0);
    cluster.append_text("a", 0, "k", "v", 40);
    let admin = MemoryAdmin::new(cluster);
    let cases = [
        (OffsetQuery::Earliest, 1),
        (OffsetQuery::LastStable, 3),
        (OffsetQuery::HighWatermark, 4),
        (OffsetQuery::Time(11), 1),
        (OffsetQuery::Time(21), 2),
        (OffsetQuery::Time(40), 3),
    ];
    for (query, expected) in cases {
        let found = admin.offsets(&[(place("a", 0), query)]).unwrap();
        assert_eq!(found, [Ok(NextOffset(expected))], "{query:?}");
    }
    let missing = [(place("a", 1), OffsetQuery::Earliest), (place("b", 0), OffsetQuery::Earliest)];
    assert_eq!(kinds(admin.offsets(&missing).unwrap()), [Some(ErrorKind::UnknownTopic); 2]);
}

#[test]
fn offsets_are_stored_per_group_and_a_missing_topic_fails_alone() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    let mut store = MemoryOffsets::new(cluster.clone(), "g");
    let outcomes = store.commit(&[(place("a", 0), offset(5)), (place("b", 0), offset(6))]).unwrap();
    assert_eq!(kinds(outcomes), [None, Some(ErrorKind::UnknownTopic)]);
    assert_eq!(store.read(&[place("b", 0), place("a", 0)]).unwrap(), [None, Some(offset(5))]);
    assert_eq!(store.read_all().unwrap(), [(place("a", 0), offset(5))]);
    assert_eq!(MemoryOffsets::new(cluster.clone(), "other").read_all().unwrap(), []);
    cluster.delete_topic("a");
    assert_eq!(store.read_all().unwrap(), [], "a deleted topic's offsets go with it");
}

#[test]
fn a_group_with_members_or_denied_takes_no_offsets() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    let mut store = MemoryOffsets::new(cluster.clone(), "g");
    let member = GroupMember { member_id: "1".into(), client_id: "mm".into(), host: "/127.0.0.1".into() };
    cluster.set_members("g", vec![member.clone()]);
    assert_eq!(store.commit(&[(place("a", 0), offset(5))]).unwrap_err().kind, ErrorKind::GroupHasMembers);
    let admin = MemoryAdmin::new(cluster.clone());
    assert_eq!(admin.group_members("g").unwrap(), [member]);
    assert_eq!(admin.group_members("unknown").unwrap(), []);
    cluster.set_group_denied("g", true);
    assert_eq!(store.read_all().unwrap_err().kind, ErrorKind::GroupDenied);
    assert_eq!(admin.group_members("g").unwrap_err().kind, ErrorKind::GroupDenied);
}

#[test]
fn a_group_is_deleted_with_its_offsets_unless_it_has_members() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    cluster.set_group_offset("g", "a", 0, offset(1));
    let admin = MemoryAdmin::new(cluster.clone());
    let member = GroupMember { member_id: "m".into(), client_id: "c".into(), host: "h".into() };
    cluster.set_members("g", vec![member]);
    assert_eq!(admin.delete_group("g").unwrap_err().kind, ErrorKind::GroupHasMembers);
    cluster.set_members("g", vec![]);
    cluster.set_group_denied("g", true);
    assert_eq!(admin.delete_group("g").unwrap_err().kind, ErrorKind::GroupDenied);
    cluster.set_group_denied("g", false);
    assert_eq!((admin.delete_group("g"), cluster.group_offset("g", "a", 0)), (Ok(()), None));
    assert_eq!(admin.delete_group("g"), Ok(()), "it is gone already");
}

#[test]
fn a_failed_commit_may_have_stored_all_the_same() {
    let cluster = MemoryCluster::new("c");
    cluster.create_topic("a", 1);
    let mut store = MemoryOffsets::new(cluster.clone(), "g");
    for (fault, next, stored) in [(CommitFault::Lost, 1, None), (CommitFault::Unknown, 2, Some(offset(2)))] {
        cluster.fail_commit(fault);
        let error = store.commit(&[(place("a", 0), offset(next))]).unwrap_err();
        assert_eq!((error.kind, cluster.group_offset("g", "a", 0)), (ErrorKind::Unreachable, stored));
    }
    cluster.fail_commit(CommitFault::Late);
    assert_eq!(store.commit(&[(place("a", 0), offset(3))]).unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(cluster.group_offset("g", "a", 0), Some(offset(2)));
    store.commit(&[(place("a", 0), offset(4))]).unwrap()[0].as_ref().unwrap();
    assert_eq!((cluster.store_late_commits(), cluster.group_offset("g", "a", 0)), (1, Some(offset(3))));
}

#[test]
fn clients_find_a_cluster_by_its_name() {
    let name = ClusterName::new("east").unwrap();
    let cluster = MemoryCluster::new("id-of-east");
    let clients = MemoryClients::new([(name.clone(), cluster)]);
    let config = |name| ClusterConfig { name, properties: Default::default() };
    assert_eq!(clients.admin(&config(name)).unwrap().cluster_id().unwrap().as_deref(), Some("id-of-east"));
    let missing = clients.admin(&config(ClusterName::new("west").unwrap())).err().map(|error| error.kind);
    assert_eq!(missing, Some(ErrorKind::Config));
}
