use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::blocking::Blocking;
use common::config::{ClientProperties, ClusterConfig, RouteSettings};
use common::ids::{ClusterName, Epoch, FleetId, Partition, RouteName, TopicId, WorkerId};
use common::reason::{Reason, Side};
use common::weight::Weight;
use kafka::admin::{ClusterAdmin, GroupMember};
use kafka::error::{Error, ErrorKind};
use kafka::memory::{MemoryClients, MemoryCluster};
use kafka::offsets::OffsetStore;
use tokio::time::{Instant, sleep, timeout};

use super::command_log::LocalLog;
use super::fleet_test::{Fleet, GROUP, clusters, id, lead, route, settings, stored, topic};
use super::net::in_process;
use super::topics::ClusterAccess;
use super::{Leader, LeaderConfig};
use crate::state::{Cause, Command, EventKind, Life, TopicState};

fn worker(number: u32) -> WorkerId {
    WorkerId::new(format!("w{number}")).unwrap()
}

async fn propose(fleet: &Fleet, command: Command) {
    fleet.handle.propose("test", command).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_partition_goes_where_an_operator_moves_it_and_no_other_moves() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await];
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(4).await;
    let before = fleet.owners();
    let from = before[&id("a", 0)].0;
    let (number, to) = if from == workers[0].session { (1, &workers[1]) } else { (0, &workers[0]) };
    propose(&fleet, Command::MovePartition { partition: id("a", 0), to: worker(number) }).await;
    fleet.until_all_assigned(4).await;
    let after = fleet.owners();
    assert_eq!(after[&id("a", 0)], (to.session, Epoch(before[&id("a", 0)].1.0 + 1)));
    assert!(before.iter().filter(|(moved, _)| **moved != id("a", 0)).all(|(other, owner)| after[other] == *owner));
    let moves = fleet.event_texts(EventKind::Move);
    assert!(moves.last().is_some_and(|text| text.contains(&Cause::Operator.to_string())), "{moves:?}");
    let revision = fleet.handle.state().revision();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.handle.state().revision(), revision, "nothing moves it back");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_partition_goes_to_its_worker_leaves_it_with_its_death_and_comes_back() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await];
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(4).await;
    let before = fleet.owners();
    let home = usize::from(before[&id("a", 0)].0 == workers[0].session);
    let pinned = worker(home as u32);
    propose(&fleet, Command::PinPartition { partition: id("a", 0), to: pinned.clone() }).await;
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Releasing { .. })).await;
    fleet.until_all_assigned(4).await;
    let after = fleet.owners();
    assert_eq!(after[&id("a", 0)].0, workers[home].session);
    assert!(before.iter().filter(|(moved, _)| **moved != id("a", 0)).all(|(other, owner)| after[other] == *owner));
    let why = format!("{} to worker {pinned}", Cause::Pinned);
    let pinned_moves = || fleet.event_texts(EventKind::Move).iter().filter(|text| text.contains(&why)).count();
    assert_eq!(pinned_moves(), 2, "a release and a grant");

    let lost = workers[home].session;
    workers[home].stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    fleet.until_all_assigned(4).await;
    assert_eq!(fleet.owners()[&id("a", 0)].0, workers[1 - home].session, "being copied comes first");

    let back = fleet.worker_as(home as u128, 9, Weight::ONE).await;
    let owner = back.session;
    fleet.until(move |state| state.slots()[&id("a", 0)].life.owner().is_some_and(|(now, _)| now == owner)).await;
    fleet.until_all_assigned(4).await;
    assert_eq!((pinned_moves(), fleet.owned_by(&back)), (4, 2), "with its share");
}

#[tokio::test(start_paused = true)]
async fn a_drained_worker_gives_all_back_and_gets_its_share_when_that_ends() {
    let fleet = lead(clusters(&[("a", 6)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await, fleet.worker(2).await];
    fleet.until(|state| state.sessions().len() == 3).await;
    fleet.until_all_assigned(6).await;
    propose(&fleet, Command::DrainWorker { worker: worker(1) }).await;
    fleet.until_all_assigned(6).await;
    let owned = || workers.each_ref().map(|worker| fleet.owned_by(worker));
    assert_eq!(owned(), [3, 0, 3]);
    propose(&fleet, Command::UndrainWorker { worker: worker(1) }).await;
    fleet.until(|state| state.slots().values().any(|slot| matches!(slot.life, Life::Releasing { .. }))).await;
    fleet.until_all_assigned(6).await;
    assert_eq!(owned(), [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_stored_offset_of_another_identity_is_accepted_by_one_grant() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let owner = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let (route, name) = (route(), topic("a"));
    let partition = Some(Partition(1));
    let resume = Command::ResumeTopic { route, topic: name, partition, accept_foreign_offsets: true };
    propose(&fleet, resume).await;
    fleet.until(|state| state.slots()[&id("a", 1)].epoch == Epoch(2)).await;
    fleet.until_all_assigned(2).await;
    let accepted = || {
        let snapshot = owner.snapshot.lock().unwrap().clone().unwrap();
        let grants = snapshot.grants.iter().map(|grant| (grant.epoch, grant.accept_foreign_offset));
        grants.collect::<Vec<_>>()
    };
    assert_eq!(accepted(), [(Epoch(1), false), (Epoch(2), true)]);
    fleet.until(|state| state.topics().values().all(|topic| topic.accepting.is_none())).await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_created_again_goes_on_once_an_operator_accepts_it() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let owner = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    fleet.source.delete_topic("a");
    fleet.source.create_topic("a", 2);
    let recreated = |state| matches!(state, TopicState::Waiting(Reason::TopicRecreated { side: Side::Source, .. }));
    sleep(Duration::from_secs(10)).await;
    assert!(recreated(fleet.topic_state("a")));
    let (route, name) = (route(), topic("a"));
    let resume = Command::ResumeTopic { route, topic: name, partition: None, accept_foreign_offsets: true };
    propose(&fleet, resume).await;
    fleet.until_all_assigned(2).await;
    let snapshot = owner.snapshot.lock().unwrap().clone().unwrap();
    for grant in &snapshot.grants {
        assert_eq!(Some(grant.source_topic_id), fleet.source.topic_id("a"));
        assert!(grant.accept_foreign_offset, "{}", grant.partition);
    }
    // It was accepted once.
    fleet.source.delete_topic("a");
    fleet.source.create_topic("a", 2);
    sleep(Duration::from_secs(10)).await;
    assert!(recreated(fleet.topic_state("a")));
}

#[tokio::test(start_paused = true)]
async fn the_offsets_of_a_removed_route_are_deleted_as_soon_as_that_is_possible() {
    let (source, target) = clusters(&[("a", 1)]);
    let offset = stored(source.topic_id("a").unwrap(), TopicId::NONE, 1);
    source.set_group_offset(GROUP, "a", 0, offset.clone());
    let fleet = lead((source, target), RouteSettings { accept_foreign_offsets: true, ..settings() }).await;
    let _owner = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    let member = GroupMember { member_id: "m".into(), client_id: "c".into(), host: "h".into() };
    fleet.source.set_members(GROUP, vec![member]);
    propose(&fleet, Command::RemoveRoute { route: route(), keep_offsets: false }).await;
    fleet.until(|state| state.routes().is_empty()).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fleet.handle.troubles()[&route()].kind, ErrorKind::GroupHasMembers);
    assert!(fleet.handle.state().retired().contains_key(&route()));
    fleet.source.set_members(GROUP, vec![]);
    fleet.until(|state| state.retired().is_empty()).await;
    assert_eq!(fleet.source.group_offset(GROUP, "a", 0), None);
    // A worker that was cut off had looked before and stores now.
    fleet.source.set_group_offset(GROUP, "a", 0, offset);
    let deleted = async {
        while fleet.source.group_offset(GROUP, "a", 0).is_some() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), deleted).await.unwrap();
    assert_eq!(fleet.handle.troubles().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_the_source_lacks_waits_with_that_reason() {
    let fleet = lead(clusters(&[]), settings()).await;
    let (begin, missing) = (Instant::now(), topic("missing"));
    let add = Command::AddTopic { route: route(), topic: missing.clone(), target: missing, start: None };
    propose(&fleet, add).await;
    fleet.until(|state| state.topics().values().all(|topic| topic.waiting.is_some())).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(fleet.topic_state("missing"), TopicState::Waiting(Reason::TopicMissing { side: Side::Source }));
}

/// Clusters of which one keeps everybody waiting who asks for it.
struct OneHangs {
    clusters: MemoryClients,
    hanging: ClusterName,
    ends: Arc<(Mutex<bool>, Condvar)>,
}

impl Blocking for OneHangs {}

impl ClusterAccess for OneHangs {
    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error> {
        if cluster.name == self.hanging {
            let (ends, changed) = &*self.ends;
            drop(changed.wait_while(ends.lock().unwrap(), |ends| !*ends).unwrap());
        }
        ClusterAccess::admin(&self.clusters, cluster)
    }

    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error> {
        ClusterAccess::offsets(&self.clusters, cluster, group)
    }
}

#[tokio::test]
async fn a_cluster_that_hangs_holds_up_no_other_route() {
    let names = ["hanging", "source", "target"].map(|name| ClusterName::new(name).unwrap());
    let [hanging, source, target] = &names;
    let cluster = MemoryCluster::new("source");
    cluster.create_topic("a", 3);
    let clients = [("hanging", MemoryCluster::new("h")), ("source", cluster), ("target", MemoryCluster::new("t"))];
    let clients = MemoryClients::new(clients.map(|(name, cluster)| (ClusterName::new(name).unwrap(), cluster)));
    let ends = Arc::default();
    let access = OneHangs { clusters: clients, hanging: hanging.clone(), ends: Arc::clone(&ends) };
    let (_dialer, net) = in_process();
    let log = Arc::new(LocalLog::new(FleetId::new("f").unwrap()));
    let leader = Leader::start(log, Box::new(net), Arc::new(access), LeaderConfig::default()).await.unwrap();
    let handle = leader.handle();
    for name in names.clone() {
        let cluster = ClusterConfig { name, properties: ClientProperties::default() };
        handle.propose("test", Command::AddCluster(cluster)).await.unwrap();
    }
    for (name, source) in [("held-up", hanging), ("route", source)] {
        let settings = RouteSettings { source: source.clone(), target: target.clone(), ..settings() };
        let add = Command::AddRoute { route: RouteName::new(name).unwrap(), settings };
        handle.propose("test", add).await.unwrap();
    }
    let found = timeout(Duration::from_secs(20), handle.wait_until(|state| state.slots().len() == 3)).await;
    *ends.0.lock().unwrap() = true;
    ends.1.notify_all();
    found.expect("the other route's topics are found");
}
