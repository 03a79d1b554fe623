//! A group's offsets.

use std::time::Duration;

use common::offsets::{LeaderEpoch, NextOffset};
use kafka::error::ErrorKind;
use kafka::offsets::GroupOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use replisome_tests::admin::{self, Admin};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::wait;

use super::*;

fn stored(offset: i64, epoch: Option<i32>, metadata: &str) -> GroupOffset {
    let leader_epoch = epoch.map(LeaderEpoch);
    GroupOffset { next_offset: NextOffset(offset), leader_epoch, metadata: metadata.to_owned() }
}

#[test]
fn an_offset_is_read_back_with_its_epoch_and_metadata() {
    let (cluster, _) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-stored", 4, &[]);
    let mut store = offsets(cluster.bootstrap(), "room-stored");
    let places: Vec<_> = (0..4).map(|partition| place("room-stored", partition)).collect();
    // A broker that has just started coordinates groups a little later than it answers.
    let none = wait::until("the group has a coordinator", Duration::from_secs(30), || match store.read(&places) {
        Err(error) if error.kind == ErrorKind::Unreachable => None,
        read => Some(read),
    });
    assert_eq!(none.unwrap(), [None, None, None, None]);
    assert_eq!(store.read_all().unwrap(), []);
    let long = "m".repeat(4_000);
    let commits = [
        (places[2].clone(), stored(0, None, "")),
        (place("room-stored-nowhere", 0), stored(5, None, "x")),
        (places[0].clone(), stored(1 << 40, Some(0), "a=b;c=d")),
        (places[3].clone(), stored(7, Some(41), &long)),
    ];
    let outcomes = store.commit(&commits).unwrap();
    let kinds: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::UnknownTopic), Ok(()), Ok(())], "a missing topic fails alone");
    let mut other = offsets(cluster.bootstrap(), "room-stored");
    let missing = place("room-stored-nowhere", 0);
    let asked = [&places[3], &places[1], &missing, &places[0], &places[2]].map(Clone::clone);
    let expected = [Some(commits[3].1.clone()), None, None, Some(commits[2].1.clone()), Some(commits[0].1.clone())];
    assert_eq!(other.read(&asked).unwrap(), expected);
    let mut all = other.read_all().unwrap();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(all, [commits[2].clone(), commits[0].clone(), commits[3].clone()]);
    let judged = Admin::new(cluster.bootstrap()).committed("room-stored", "room-stored");
    assert_eq!((judged[&0].offset, &*judged[&0].metadata), (1 << 40, "a=b;c=d"));
    // Once more, lower: nothing is fenced.
    store.commit(&[(places[3].clone(), stored(2, None, "lower"))]).unwrap();
    assert_eq!(store.read(&places[3..]).unwrap(), [Some(stored(2, None, "lower"))]);
}

#[test]
fn a_group_with_members_takes_no_offsets_from_outside() {
    let (cluster, _) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-members", 1, &[]);
    let member: BaseConsumer =
        admin::client_config(cluster.bootstrap()).set("group.id", "room-members").create().expect("a consumer");
    member.subscribe(&["room-members"]).expect("subscribe");
    wait::until_true("the member has its partition", MINUTE, || {
        member.poll(Duration::from_millis(50));
        member.assignment().is_ok_and(|assignment| assignment.count() == 1)
    });
    let mut store = offsets(cluster.bootstrap(), "room-members");
    let commit = [(place("room-members", 0), stored(0, None, "x"))];
    assert_eq!(store.commit(&commit).unwrap_err().kind, ErrorKind::GroupHasMembers);
    drop(member);
    wait::until_true("the group is empty again", MINUTE, || store.commit(&commit).is_ok());
    assert_eq!(store.read(&[place("room-members", 0)]).unwrap(), [Some(stored(0, None, "x"))]);
}

#[test]
fn an_unreachable_cluster_is_said_within_the_answers_time() {
    let mut store = offsets("127.0.0.1:1", "room-nowhere");
    let started = Instant::now();
    let read = store.read(&[place("room-nowhere", 0)]).unwrap_err();
    let committed = store.commit(&[(place("room-nowhere", 0), stored(0, None, "x"))]).unwrap_err();
    assert_eq!((read.kind, committed.kind), (ErrorKind::Unreachable, ErrorKind::Unreachable), "{read}, {committed}");
    drop(store);
    assert!(started.elapsed() < Duration::from_secs(25), "it took {:?}", started.elapsed());
}
