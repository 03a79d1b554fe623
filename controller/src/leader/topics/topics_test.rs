use std::collections::BTreeMap;
use std::time::Duration;

use common::config::{ClientProperties, ClusterConfig, RouteSettings};
use common::ids::{ClusterName, Epoch, TopicId};
use common::offsets::{NextOffset, StartPosition};
use common::reason::{Reason, Side};
use kafka::memory::MemoryClients;
use tokio::time::{Instant, sleep, timeout};

use crate::leader::fleet_test::{GROUP, clusters, id, lead, lead_mirror, route, settings, stored, topic};
use crate::state::{Command, EventKind, TopicState};

#[tokio::test(start_paused = true)]
async fn a_topic_is_found_created_with_its_settings_assigned_and_pushed() {
    let (source, target) = clusters(&[("a", 3), ("secret", 1), ("__internal", 1)]);
    source.set_config("a", "retention.ms", "5");
    source.set_config("a", "min.insync.replicas", "1");
    source.set_config("a", "segment.ms", "6");
    source.set_config("a", "message.timestamp.type", "LogAppendTime");
    target.refuse_config("segment.ms");
    let fleet = lead((source, target), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(3).await;

    assert!(fleet.handle.topics_ready() && fleet.handle.troubles().is_empty());
    let admin = kafka::clients::Clients::admin(
        &MemoryClients::new([(ClusterName::new("target").unwrap(), fleet.target.clone())]),
        &ClusterConfig { name: ClusterName::new("target").unwrap(), properties: ClientProperties::default() },
    );
    let admin = admin.unwrap();
    assert_eq!(admin.topics().unwrap(), BTreeMap::from([(topic("a"), 3)]));
    let configs = admin.topic_configs(&[topic("a")]).unwrap().remove(0).unwrap();
    let own: BTreeMap<_, _> =
        configs.0.iter().filter(|(_, config)| config.is_override).map(|(key, _)| key.as_str()).zip(1..).collect();
    assert_eq!(own.into_keys().collect::<Vec<_>>(), ["message.timestamp.type", "retention.ms"]);
    assert_eq!(configs.value("message.timestamp.type"), Some("CreateTime"));
    assert_eq!(fleet.event_texts(EventKind::Topic).len(), 3, "{:?}", fleet.event_texts(EventKind::Topic));

    let snapshot = worker.snapshot.lock().unwrap().clone().unwrap();
    let grant = &snapshot.grants[0];
    let start = StartPosition::Offset(NextOffset(0));
    assert_eq!((grant.epoch, grant.start), (Epoch(1), start), "the group was empty: where it ended when first seen");
    assert_eq!(Some(grant.source_topic_id), fleet.source.topic_id("a"));
    assert_eq!(Some(grant.target_topic_id), fleet.target.topic_id("a"));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_grows_is_grown_and_its_new_partitions_start_at_the_earliest_record() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let before = fleet.owners();
    fleet.source.grow_topic("a", 5);
    fleet.source.create_topic("late", 1);
    fleet.until_all_assigned(6).await;
    let after = fleet.owners();
    assert!(before.iter().all(|(id, owner)| after[id] == *owner), "those that ran were left alone");
    let snapshot = worker.snapshot.lock().unwrap().clone().unwrap();
    for grant in &snapshot.grants {
        let seen_first = StartPosition::Offset(NextOffset(0));
        let expected = if before.contains_key(&grant.partition) { seen_first } else { StartPosition::Earliest };
        assert_eq!(grant.start, expected, "{}", grant.partition);
    }
}

#[tokio::test(start_paused = true)]
async fn any_stored_offset_makes_a_partition_without_one_a_later_one() {
    let (source, target) = clusters(&[("a", 2)]);
    let copied = target.create_topic("a", 2);
    source.set_group_offset(GROUP, "a", 0, stored(source.topic_id("a").unwrap(), copied, 6));
    let fleet = lead((source, target), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    assert_eq!(worker.grants(), [(id("a", 0), Epoch(7)), (id("a", 1), Epoch(1))], "one above the stored epoch");
    let snapshot = worker.snapshot.lock().unwrap().clone().unwrap();
    assert!(snapshot.grants.iter().all(|grant| grant.start == StartPosition::Earliest));
}

/// Two mirrors that start at once may each find some of the other's claims. Each partition is to have the same winner.
#[tokio::test(start_paused = true)]
async fn a_mirror_is_granted_all_above_the_greatest_epoch_that_its_group_held_at_first() {
    let (source, target) = clusters(&[("a", 2)]);
    let copied = target.create_topic("a", 2);
    source.set_group_offset(GROUP, "a", 0, stored(source.topic_id("a").unwrap(), copied, 6));
    let fleet = lead_mirror((source, target), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let late = fleet.source.create_topic("late", 1);
    let copied = fleet.target.create_topic("late", 1);
    // The other one was quicker.
    fleet.source.set_group_offset(GROUP, "late", 0, stored(late, copied, 7));
    fleet.until_all_assigned(3).await;
    assert_eq!(worker.grants(), [(id("a", 0), Epoch(7)), (id("a", 1), Epoch(7)), (id("late", 0), Epoch(7))]);
}

#[tokio::test(start_paused = true)]
async fn a_target_with_too_few_partitions_waits_with_the_line_that_mends_it() {
    let (source, target) = clusters(&[("a", 4), ("b", 1)]);
    target.create_topic("a", 1);
    let fleet = lead((source, target), settings()).await;
    let _worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    assert!(fleet.handle.topics_ready(), "what waits with a reason holds nothing up");
    let TopicState::Waiting(reason) = fleet.topic_state("a") else { panic!("{:?}", fleet.topic_state("a")) };
    assert_eq!(reason, Reason::TooFewPartitions { topic: topic("a"), source: 4, target: 1 });
    assert!(reason.to_string().contains("--alter --topic a --partitions 4"), "{reason}");
    fleet.target.grow_topic("a", 4);
    fleet.until_all_assigned(5).await;
    assert_eq!(fleet.topic_state("a"), TopicState::Active);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_target_topic_is_not_created_again_unless_that_is_accepted() {
    let arrange = || {
        let (source, target) = clusters(&[("a", 1)]);
        source.set_group_offset(
            GROUP,
            "a",
            0,
            stored(source.topic_id("a").unwrap(), TopicId(uuid::Uuid::from_u128(9)), 3),
        );
        (source, target)
    };
    let fleet = lead(arrange(), settings()).await;
    let _worker = fleet.worker(0).await;
    timeout(Duration::from_secs(60), fleet.handle.wait_for_topics()).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    let TopicState::Waiting(reason) = fleet.topic_state("a") else { panic!("{:?}", fleet.topic_state("a")) };
    assert!(reason.to_string().contains("deleted at the target"), "{reason}");
    assert_eq!(fleet.target.topic_id("a"), None);

    let fleet = lead(arrange(), RouteSettings { accept_foreign_offsets: true, ..settings() }).await;
    let _worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    assert!(fleet.target.topic_id("a").is_some());
}

#[tokio::test(start_paused = true)]
async fn topics_deleted_while_they_run_wait_and_are_left_to_their_worker() {
    let fleet = lead(clusters(&[("a", 1), ("b", 1), ("c", 1)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(3).await;
    fleet.target.delete_topic("a");
    fleet.source.delete_topic("b");
    fleet.source.delete_topic("c");
    fleet.source.create_topic("c", 1);
    sleep(Duration::from_secs(10)).await;
    assert!(matches!(fleet.topic_state("a"), TopicState::Waiting(Reason::Waiting { .. })));
    assert_eq!(fleet.topic_state("b"), TopicState::Waiting(Reason::TopicMissing { side: Side::Source }));
    let recreated = |state| matches!(state, TopicState::Waiting(Reason::TopicRecreated { side: Side::Source, .. }));
    assert!(recreated(fleet.topic_state("c")));
    assert_eq!((fleet.target.topic_id("a"), worker.grants().len()), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failing_cluster_pauses_nothing_and_is_named() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let revision = fleet.handle.state().revision();
    fleet.source.set_unreachable(true);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((worker.grants().len(), fleet.handle.state().revision()), (2, revision));
    assert_eq!(fleet.handle.troubles()[&route()].kind, kafka::error::ErrorKind::Unreachable);
    fleet.source.set_unreachable(false);
    sleep(Duration::from_secs(5)).await;
    assert!(fleet.handle.troubles().is_empty());
}

#[tokio::test(start_paused = true)]
async fn admin_calls_that_a_cluster_lacks_are_done_without() {
    let (source, target) = clusters(&[("a", 2), ("b", 1)]);
    target.create_topic("a", 2);
    source.set_admin_calls_missing(true);
    target.set_admin_calls_missing(true);
    let fleet = lead((source, target), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    assert!(fleet.handle.topics_ready());
    let snapshot = worker.snapshot.lock().unwrap().clone().unwrap();
    assert!(snapshot.grants.iter().all(|grant| grant.source_topic_id == TopicId::NONE));
    assert!(matches!(fleet.topic_state("b"), TopicState::Waiting(Reason::Waiting { .. })), "it can't be created");
    assert_eq!(fleet.event_texts(EventKind::Topic).len(), 2, "a note for each side, once");
}

#[tokio::test(start_paused = true)]
async fn unmanaged_topics_wait_until_they_exist() {
    let fleet = lead(clusters(&[("a", 2)]), RouteSettings { manage_topics: false, ..settings() }).await;
    let _worker = fleet.worker(0).await;
    timeout(Duration::from_secs(60), fleet.handle.wait_for_topics()).await.unwrap();
    assert!(matches!(fleet.topic_state("a"), TopicState::Waiting(_)));
    fleet.target.create_topic("a", 2);
    fleet.until_all_assigned(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_added_topic_is_copied_at_once_and_a_removed_one_stays_away() {
    let fleet = lead(clusters(&[("a", 1), ("secret", 1)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    let secret = topic("secret");
    let (added, add) = (
        Instant::now(),
        Command::AddTopic { route: route(), topic: secret.clone(), target: secret.clone(), start: None },
    );
    fleet.handle.propose("test", add).await.unwrap();
    fleet.until(|state| state.slots().get(&id("secret", 0)).is_some_and(|slot| slot.life.owner().is_some())).await;
    assert!(added.elapsed() < Duration::from_secs(1), "{:?}", added.elapsed());
    fleet.handle.propose("test", Command::RemoveTopic { route: route(), topic: topic("a") }).await.unwrap();
    fleet.until(|state| state.topics().len() == 1).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(fleet.handle.state().topics().len(), 1, "the filter matches it still");
    assert_eq!(worker.grants(), [(id("secret", 0), Epoch(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_whose_target_another_one_writes_waits_with_that_reason_and_is_reported_once() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    fleet.until(|state| state.topics().len() == 1).await;
    let remove = Command::RemoveTopic { route: route(), topic: topic("a") };
    fleet.handle.propose("test", remove).await.unwrap();
    let add = Command::AddTopic { route: route(), topic: topic("a"), target: topic("b"), start: None };
    fleet.handle.propose("test", add).await.unwrap();
    fleet.source.create_topic("b", 1);
    fleet.until(|state| state.topics().contains_key(&(route(), topic("b")))).await;
    let TopicState::Waiting(reason) = fleet.topic_state("b") else { panic!("{:?}", fleet.topic_state("b")) };
    assert!(reason.to_string().contains("target topic b is written by topic a"), "{reason}");
    sleep(Duration::from_secs(10)).await;
    let revision = fleet.handle.state().revision();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.handle.state().revision(), revision);
}
