//! A whole leader over clusters in memory, in paused time: workers here do at once what a snapshot says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::assignment::{Down, Hello, Inventory, Phase, Running, Snapshot, Up};
use common::config::{ClientProperties, ClusterConfig, Delivery, RouteSettings, TopicFilter};
use common::ids::{
    ClusterName, Epoch, FleetId, Partition, Revision, RouteName, RoutePartition, SessionId, TopicId, TopicName, WorkerId,
};
use common::identity::{Identity, Owner, StoredBy, StoredOffset};
use common::offsets::{NextOffset, Position, StartPosition};
use common::reason::{Reason, Side};
use kafka::memory::{MemoryClients, MemoryCluster};
use kafka::offsets::GroupOffset;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::command_log::LocalLog;
use super::net::{Dialer, in_process};
use super::{Leader, LeaderConfig, LeaderHandle};
use crate::state::{Cause, Command, Effect, EventKind, Life, Move, Rejection, State, Step, TopicState};

const GROUP: &str = "g";

/// A leader with two clusters, and how its route is to be.
struct Fleet {
    source: MemoryCluster,
    target: MemoryCluster,
    handle: LeaderHandle,
    dialer: Dialer,
    _leader: Leader,
}

/// A worker that applies each snapshot at once, until it is dropped.
struct Worker {
    session: SessionId,
    snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    refused: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

fn route() -> RouteName {
    RouteName::new("r").unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn id(topic: &str, partition: u32) -> RoutePartition {
    RoutePartition { route: route(), topic: TopicName::new(topic).unwrap(), partition: Partition(partition) }
}

fn settings() -> RouteSettings {
    RouteSettings {
        source: ClusterName::new("source").unwrap(),
        target: ClusterName::new("target").unwrap(),
        group: GROUP.into(),
        delivery: Delivery::AtLeastOnce,
        filter: TopicFilter { include: vec![".*".into()], exclude: vec!["secret".into()] },
        start: StartPosition::Latest,
        manage_topics: true,
        accept_foreign_offsets: false,
        commit_interval: Duration::from_secs(1),
    }
}

/// Clusters where the source has these topics.
fn clusters(topics: &[(&str, u32)]) -> (MemoryCluster, MemoryCluster) {
    let (source, target) = (MemoryCluster::new("source"), MemoryCluster::new("target"));
    for (topic, partitions) in topics {
        source.create_topic(topic, *partitions);
    }
    (source, target)
}

/// Starts a leader and adds the route.
async fn lead((source, target): (MemoryCluster, MemoryCluster), settings: RouteSettings) -> Fleet {
    let named = |name: &str| ClusterName::new(name).unwrap();
    let clients = MemoryClients::new([(named("source"), source.clone()), (named("target"), target.clone())]);
    let (dialer, net) = in_process();
    let log = Arc::new(LocalLog::new(FleetId::new("f").unwrap()));
    let leader = Leader::start(log, Box::new(net), Arc::new(clients), LeaderConfig::default()).await.unwrap();
    let handle = leader.handle();
    for name in ["source", "target"] {
        let cluster = ClusterConfig { name: named(name), properties: ClientProperties::default() };
        handle.propose("test", Command::AddCluster(cluster)).await.unwrap();
    }
    handle.propose("test", Command::AddRoute { route: route(), settings }).await.unwrap();
    Fleet { source, target, handle, dialer, _leader: leader }
}

/// An offset as an earlier owner left it.
fn stored(source: TopicId, target: TopicId, epoch: u64) -> GroupOffset {
    let owner = Owner { epoch: Epoch(epoch), session: SessionId::from_number(1) };
    let identity = Identity {
        fleet: FleetId::new("f").unwrap(),
        route_incarnation: Revision(4),
        source_topic_id: source,
        target_topic_id: target,
        owner,
    };
    let offset = StoredOffset { position: Position::at(NextOffset(7)), stored_by: StoredBy::Us(identity) };
    GroupOffset { next_offset: NextOffset(7), leader_epoch: None, metadata: offset.metadata() }
}

impl Fleet {
    async fn worker(&self, number: u128) -> Worker {
        let link = self.dialer.dial().await.unwrap();
        let session = SessionId::from_number(100 + number);
        let worker = WorkerId::new(format!("w{number}")).unwrap();
        link.send(Up::Hello(Hello { worker, session, address: "here".into(), software: "0".into() })).await.unwrap();
        let (snapshot, refused) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let task = tokio::spawn(work(link, snapshot.clone(), refused.clone()));
        Worker { session, snapshot, refused, task }
    }

    #[track_caller]
    fn until(&self, condition: impl Fn(&State) -> bool) -> impl Future<Output = ()> {
        let handle = self.handle.clone();
        let caller = std::panic::Location::caller();
        async move {
            let met = timeout(Duration::from_secs(60), handle.wait_until(condition)).await;
            met.unwrap_or_else(|_| panic!("not within a minute, {caller}: {:#?}", *handle.state()));
        }
    }

    async fn until_all_assigned(&self, partitions: usize) {
        let assigned = move |state: &State| {
            state.slots().values().filter(|slot| matches!(slot.life, Life::Assigned { .. })).count() == partitions
                && state.slots().len() == partitions
        };
        self.until(assigned).await;
        sleep(Duration::from_millis(500)).await;
        assert!(assigned(&self.handle.state()), "it did not stay so");
    }

    fn owners(&self) -> BTreeMap<RoutePartition, (SessionId, Epoch)> {
        let state = self.handle.state();
        state.slots().iter().filter_map(|(id, slot)| Some((id.clone(), slot.life.owner()?))).collect()
    }

    fn owned_by(&self, worker: &Worker) -> usize {
        self.owners().values().filter(|(owner, _)| *owner == worker.session).count()
    }

    fn topic_state(&self, name: &str) -> TopicState {
        self.handle.state().topic_state(&route(), &topic(name)).unwrap()
    }

    fn event_texts(&self, kind: EventKind) -> Vec<String> {
        let state = self.handle.state();
        let events = state.events().into_iter().filter(|event| event.event.kind == kind);
        events.map(|event| event.event.text.clone()).collect()
    }
}

impl Worker {
    fn grants(&self) -> Vec<(RoutePartition, Epoch)> {
        let snapshot = self.snapshot.lock().unwrap();
        let grants = snapshot.iter().flat_map(|snapshot| &snapshot.grants);
        grants.map(|grant| (grant.partition.clone(), grant.epoch)).collect()
    }

    fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn work(
    mut link: common::net::LeaderLink,
    latest: Arc<Mutex<Option<Arc<Snapshot>>>>,
    refused: Arc<Mutex<Option<String>>>,
) {
    let mut inventory = Inventory::default();
    loop {
        if link.send(Up::Inventory(inventory.clone())).await.is_err() {
            return;
        }
        let message = loop {
            match timeout(Duration::from_secs(1), link.receive()).await {
                Ok(message) => break message,
                Err(_) if link.send(Up::Heartbeat).await.is_err() => return,
                Err(_) => {}
            }
        };
        match message {
            Ok(Down::Snapshot(snapshot)) => {
                let running = |grant: &common::assignment::Grant| Running {
                    partition: grant.partition.clone(),
                    epoch: grant.epoch,
                    phase: Phase::Copying,
                };
                inventory = Inventory { applied: snapshot.version, running: snapshot.grants.iter().map(running).collect() };
                *latest.lock().unwrap() = Some(snapshot);
            }
            Ok(Down::Refused(text)) => *refused.lock().unwrap() = Some(text),
            Err(_) => return,
        }
    }
}

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
    let own: BTreeMap<_, _> = configs.0.iter().filter(|(_, config)| config.is_override).map(|(key, _)| key.as_str()).zip(1..).collect();
    assert_eq!(own.into_keys().collect::<Vec<_>>(), ["message.timestamp.type", "retention.ms"]);
    assert_eq!(configs.value("message.timestamp.type"), Some("CreateTime"));
    assert_eq!(fleet.event_texts(EventKind::Topic).len(), 3, "{:?}", fleet.event_texts(EventKind::Topic));

    let snapshot = worker.snapshot.lock().unwrap().clone().unwrap();
    let grant = &snapshot.grants[0];
    assert_eq!((grant.epoch, grant.start), (Epoch(1), StartPosition::Latest), "the group was empty: the route's start");
    assert_eq!(Some(grant.source_topic_id), fleet.source.topic_id("a"));
    assert_eq!(Some(grant.target_topic_id), fleet.target.topic_id("a"));
    assert_eq!(fleet.handle.phases().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_join_moves_its_share_by_release_and_assign_and_nothing_else() {
    let fleet = lead(clusters(&[("a", 4), ("b", 4)]), settings()).await;
    let first = fleet.worker(0).await;
    fleet.until_all_assigned(8).await;
    let before = fleet.owners();
    let second = fleet.worker(1).await;
    let (one, handle) = (second.session, fleet.handle.clone());
    fleet.until(move |state| state.sessions().contains_key(&one)).await;
    fleet.until_all_assigned(8).await;

    assert_eq!((fleet.owned_by(&first), fleet.owned_by(&second)), (4, 4));
    let after = fleet.owners();
    let moved: Vec<_> = after.iter().filter(|(id, owner)| before[*id] != **owner).collect();
    assert_eq!(moved.len(), 4);
    assert!(moved.iter().all(|(_, (owner, epoch))| *owner == second.session && *epoch == Epoch(2)), "{moved:?}");
    assert_eq!((first.grants().len(), second.grants().len()), (4, 4));
    let revision = handle.state().revision();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(handle.state().revision(), revision, "with nothing to do nothing is proposed");
}

#[tokio::test(start_paused = true)]
async fn a_lost_workers_partitions_move_after_the_grace_and_no_others() {
    let fleet = lead(clusters(&[("a", 6)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await, fleet.worker(2).await];
    fleet.until(|state| state.sessions().len() == 3).await;
    fleet.until_all_assigned(6).await;
    let before = fleet.owners();
    let (lost, fell) = (workers[1].session, Instant::now());
    workers[1].stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    let elapsed = fell.elapsed();
    let config = LeaderConfig::default();
    assert!(elapsed >= config.reconnect_grace && elapsed < config.reconnect_grace * 2, "{elapsed:?}");

    let after = fleet.owners();
    assert_eq!(after.len(), 6, "they moved in the entry that ended the session");
    for (id, (owner, epoch)) in &before {
        let expected = if *owner == lost { epoch.next() } else { *epoch };
        assert_eq!((after[id].1, after[id].0 == *owner), (expected, *owner != lost), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dials_again_within_the_grace_keeps_everything() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(4).await;
    let before = fleet.owners();
    worker.stop();
    sleep(Duration::from_millis(500)).await;
    let again = fleet.worker(0).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fleet.owners(), before);
    assert_eq!(again.grants().len(), 4, "a new stream begins with the whole slice");
}

#[tokio::test(start_paused = true)]
async fn a_second_process_with_the_same_worker_id_is_refused_and_a_restarted_one_is_not() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let hello = |session| Hello {
        worker: WorkerId::new("w0").unwrap(),
        session: SessionId::from_number(session),
        address: "there".into(),
        software: "0".into(),
    };
    let mut other = fleet.dialer.dial().await.unwrap();
    other.send(Up::Hello(hello(500))).await.unwrap();
    assert!(matches!(other.receive().await, Ok(Down::Refused(text)) if text.contains("worker w0 has session")));

    worker.stop();
    sleep(Duration::from_millis(100)).await;
    let restarted = fleet.dialer.dial().await.unwrap();
    restarted.send(Up::Hello(hello(501))).await.unwrap();
    let owned = |state: &State| {
        let owner = |slot: &crate::state::Slot| slot.life.owner().map(|(owner, _)| owner);
        state.slots().values().all(|slot| owner(slot) == Some(SessionId::from_number(501)))
    };
    let before = Instant::now();
    fleet.until(owned).await;
    assert!(before.elapsed() < Duration::from_millis(200), "at once, not after the grace");
}

#[tokio::test(start_paused = true)]
async fn a_draining_session_gives_all_back_to_others() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let (leaving, staying) = (fleet.worker(0).await, fleet.worker(1).await);
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(4).await;
    timeout(Duration::from_secs(10), fleet.handle.drain(leaving.session)).await.unwrap().unwrap();
    fleet.until_all_assigned(4).await;
    assert_eq!((fleet.owned_by(&leaving), fleet.owned_by(&staying)), (0, 4));
    let moves = fleet.event_texts(EventKind::Move);
    assert!(moves.iter().any(|text| text.contains("its owner is draining")), "{moves:?}");
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
        let expected = if before.contains_key(&grant.partition) { StartPosition::Latest } else { StartPosition::Earliest };
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

#[tokio::test(start_paused = true)]
async fn a_target_with_too_few_partitions_waits_with_the_line_that_mends_it() {
    let (source, target) = clusters(&[("a", 4), ("b", 1)]);
    target.create_topic("a", 1);
    let fleet = lead((source, target), settings()).await;
    let _worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    assert!(fleet.handle.topics_ready(), "what waits with a reason holds nothing up");
    let TopicState::Waiting(reason) = fleet.topic_state("a") else { panic!("{:?}", fleet.topic_state("a")) };
    assert_eq!(reason, Reason::TooFewPartitions { source: 4, target: 1 });
    assert!(reason.to_string().contains("--alter --topic TOPIC --partitions 4"), "{reason}");
    fleet.target.grow_topic("a", 4);
    fleet.until_all_assigned(5).await;
    assert_eq!(fleet.topic_state("a"), TopicState::Active);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_target_topic_is_not_created_again_unless_that_is_accepted() {
    let arrange = || {
        let (source, target) = clusters(&[("a", 1)]);
        source.set_group_offset(GROUP, "a", 0, stored(source.topic_id("a").unwrap(), TopicId(uuid::Uuid::from_u128(9)), 3));
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
    let (added, add) = (Instant::now(), Command::AddTopic { route: route(), topic: secret.clone(), target: secret.clone(), start: None });
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
async fn an_old_inventory_releases_nothing() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let session = SessionId::from_number(7);
    let hello = Hello { worker: WorkerId::new("w").unwrap(), session, address: "here".into(), software: "0".into() };
    link.send(Up::Hello(hello)).await.unwrap();
    fleet.until_all_assigned(1).await;
    let Down::Snapshot(granted) = link.receive().await.unwrap() else { panic!("refused") };
    let pause = Command::PauseTopic { route: route(), topic: topic("a"), partition: None, reason: "test".into() };
    fleet.handle.propose("test", pause).await.unwrap();
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Releasing { .. })).await;
    // Written before the release was applied: that it lists nothing says nothing.
    link.send(Up::Inventory(Inventory { applied: granted.version, running: vec![] })).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(fleet.handle.state().slots()[&id("a", 0)].life, Life::Releasing { .. }));
    let Down::Snapshot(released) = link.receive().await.unwrap() else { panic!("refused") };
    assert_eq!(released.grants, vec![]);
    link.send(Up::Inventory(Inventory { applied: released.version, running: vec![] })).await.unwrap();
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Unassigned(_))).await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_move_is_refused_and_changes_nothing() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    let before = fleet.owners();
    let stale = Move {
        partition: id("a", 0),
        planned_on: Epoch(0),
        step: Step::Release { from: worker.session },
        cause: Cause::Balance,
    };
    let outcome = fleet.handle.propose("test", Command::Moves(vec![stale])).await.unwrap();
    let Effect::Batch { applied: 0, refused } = outcome.effect else { panic!("{outcome:?}") };
    assert!(matches!(refused[0].rejection, Rejection::StaleEpoch { found: Epoch(1), .. }), "{refused:?}");
    assert_eq!(fleet.owners(), before);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_held_up_blames_no_worker() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(fleet.owned_by(&worker), 2);
    assert_eq!(*worker.refused.lock().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn everything_stops_when_the_leader_is_dropped() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let Fleet { source, handle, _leader: leader, dialer, .. } = fleet;
    drop(leader);
    source.create_topic("b", 1);
    worker.stop();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(handle.state().sessions().len(), 1, "nobody is left to miss it");
    assert_eq!(handle.state().topics().len(), 1);
    assert!(dialer.dial().await.is_err());
}
