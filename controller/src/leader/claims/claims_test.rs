use std::sync::Arc;

use common::identity::StoredOffset;
use common::ids::FleetId;
use common::offsets::NextOffset;
use kafka::error::ErrorKind;
use kafka::offsets::GroupOffset;

use super::super::LeaderConfig;
use super::super::command_log::LocalLog;
use super::super::fleet_test::{Fleet, GROUP, Worker, clusters, id, lead, lead_over, route, settings, stored, topic};
use super::*;
use crate::state::{EventKind, LeaderClaim, Life};

/// One partition and one worker, which has claimed it at offset 7.
struct Scene {
    fleet: Fleet,
    worker: Worker,
}

impl Scene {
    async fn new() -> Self {
        Self::in_fleet(lead(clusters(&[("a", 1)]), settings()).await).await
    }

    async fn in_fleet(fleet: Fleet) -> Self {
        let worker = fleet.worker(0).await;
        fleet.until_all_assigned(1).await;
        let scene = Self { fleet, worker };
        scene.store(1, 7);
        scene
    }

    /// Somebody stores an offset under an epoch.
    fn store(&self, epoch: u64, next_offset: i64) {
        let [source, target] = [&self.fleet.source, &self.fleet.target].map(|cluster| cluster.topic_id("a").unwrap());
        let next_offset = NextOffset(next_offset);
        self.fleet.source.set_group_offset(GROUP, "a", 0, GroupOffset { next_offset, ..stored(source, target, epoch) });
    }

    /// What is stored: the epoch and the offset.
    fn stored(&self) -> Option<(u64, i64)> {
        let found = self.fleet.source.group_offset(GROUP, "a", 0)?;
        let found = StoredOffset::parse(found.next_offset, found.leader_epoch, &found.metadata);
        Some((found.epoch().0, found.position.next_offset.0))
    }

    async fn until_stored(&self, epoch: u64, next_offset: i64) {
        let stored = async {
            while self.stored() != Some((epoch, next_offset)) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let met = timeout(Duration::from_secs(60), stored).await;
        met.unwrap_or_else(|_| panic!("not ({epoch}, {next_offset}) but {:?}", self.stored()));
    }

    async fn propose(&self, command: Command) {
        self.fleet.handle.propose("test", command).await.unwrap();
    }

    async fn pause(&self) {
        let (route, topic) = (route(), topic("a"));
        self.propose(Command::PauseTopic { route, topic, partition: None, reason: "test".into() }).await;
    }

    async fn remove(&self) {
        self.propose(Command::RemoveTopic { route: route(), topic: topic("a") }).await;
    }

    async fn until_ended(&self) {
        self.fleet.until(|state| state.slots()[&id("a", 0)].leader_claim == Some(LeaderClaim::Ended)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_whose_owner_was_lost_is_claimed_where_it_stands() {
    let scene = Scene::new().await;
    scene.worker.stop();
    scene.pause().await;
    let begin = Instant::now();
    scene.until_stored(2, 7).await;
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    scene.until_ended().await;
    let told = scene.fleet.event_texts(EventKind::Fence);
    assert!(told.len() == 1 && told[0].contains("claimed under epoch 2 at offset 7"), "{told:?}");

    let (route, name) = (route(), topic("a"));
    let _again = scene.fleet.worker(1).await;
    scene.propose(Command::ResumeTopic { route, topic: name, partition: None, accept_foreign_offsets: false }).await;
    scene.fleet.until(|state| state.slots()[&id("a", 0)].life.owner().is_some_and(|owner| owner.1 == Epoch(3))).await;
    scene.store(2, 9);
    sleep(LOOK_AGAIN * 2).await;
    assert_eq!(scene.stored(), Some((2, 9)), "what somebody has is not claimed");
}

#[tokio::test(start_paused = true)]
async fn what_the_lost_owner_stores_late_is_claimed_again_where_it_stands_then_and_a_greater_epoch_is_left_alone() {
    let scene = Scene::new().await;
    scene.worker.stop();
    scene.pause().await;
    scene.until_stored(2, 7).await;
    scene.store(1, 11);
    scene.until_stored(2, 11).await;
    scene.until_ended().await;
    scene.store(1, 13);
    scene.until_stored(2, 13).await;
    scene.store(1, 9);
    scene.until_stored(2, 13).await;
    scene.store(5, 17);
    sleep(LOOK_AGAIN * 3).await;
    assert_eq!(scene.stored(), Some((5, 17)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_only_lacks_a_worker_is_left_to_who_still_copies_it_until_it_is_not_to_be_copied() {
    let scene = Scene::new().await;
    scene.worker.stop();
    scene.fleet.until(|state| state.sessions().is_empty()).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.stored(), Some((1, 7)));
    scene.pause().await;
    scene.until_stored(2, 7).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_topic_goes_once_what_was_lost_of_it_is_claimed() {
    let scene = Scene::new().await;
    scene.worker.stop();
    scene.remove().await;
    scene.fleet.until(|state| state.sessions().is_empty()).await;
    let lost = Instant::now();
    scene.fleet.until(|state| state.topics().is_empty()).await;
    let (took, lease) = (lost.elapsed(), LeaderConfig::default().lease);
    assert!(took >= lease && took < lease + CLAIM_AFTER * 3, "it stood for a lease: {took:?}");
    assert_eq!(scene.stored(), Some((2, 7)));
}

#[tokio::test(start_paused = true)]
async fn a_removed_topic_that_nobody_had_claimed_goes_at_once() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    worker.stop();
    fleet.handle.propose("test", Command::RemoveTopic { route: route(), topic: topic("a") }).await.unwrap();
    fleet.until(|state| state.sessions().is_empty()).await;
    let lost = Instant::now();
    fleet.until(|state| state.topics().is_empty()).await;
    assert!(lost.elapsed() < CLAIM_AFTER * 3, "{:?}", lost.elapsed());
    assert_eq!(fleet.source.group_offset(GROUP, "a", 0), None);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_answer_is_a_trouble_and_keeps_no_removed_topic_for_ever() {
    let scene = Scene::new().await;
    scene.worker.stop();
    scene.fleet.source.set_unreachable(true);
    scene.remove().await;
    scene.fleet.until(|state| state.sessions().is_empty()).await;
    sleep(GIVE_UP_AFTER / 2).await;
    assert_eq!(scene.fleet.handle.claim_troubles()[&route()].kind, ErrorKind::Unreachable);
    assert_eq!(scene.fleet.handle.state().topics().len(), 1);
    scene.fleet.until(|state| state.topics().is_empty()).await;
    let told = scene.fleet.event_texts(EventKind::Fence);
    assert!(told.last().is_some_and(|text| text.contains("could not be claimed")), "{told:?}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.fleet.handle.claim_troubles().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_one_leader_began_the_next_one_makes() {
    let log = Arc::new(LocalLog::new(FleetId::new("f").unwrap()));
    let clusters = clusters(&[("a", 1)]);
    let scene = Scene::in_fleet(lead_over(log.clone(), clusters.clone(), settings()).await).await;
    scene.fleet.source.set_unreachable(true);
    scene.worker.stop();
    scene.pause().await;
    scene.fleet.until(|state| state.slots()[&id("a", 0)].leader_claim == Some(LeaderClaim::Begun)).await;
    let Scene { fleet, worker } = scene;
    drop(fleet);
    clusters.0.set_unreachable(false);
    let scene = Scene { fleet: lead_over(log, clusters, settings()).await, worker };
    scene.until_stored(2, 7).await;
    scene.until_ended().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_is_not_claimed() {
    let scene = Scene::new().await;
    scene.pause().await;
    scene.fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Unassigned(_))).await;
    scene.worker.stop();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.stored(), Some((1, 7)));
}
