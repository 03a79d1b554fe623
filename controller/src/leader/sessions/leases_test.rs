use std::collections::BTreeMap;
use std::sync::Arc;

use common::assignment::Up;
use common::ids::{Epoch, RoutePartition};

use super::super::super::context::LeaderConfig;
use super::super::super::fleet_test::{Fleet, SlowLog, Worker, clusters, hello, lead_over, settings};
use super::super::found::COME_WITHIN_MIN;
use super::*;
use crate::state::EventKind;

/// Starts so many workers, which get three partitions each.
async fn staff(fleet: &Fleet, count: usize) -> Vec<Worker> {
    let mut workers = Vec::new();
    for number in 0..count {
        workers.push(fleet.worker(number as u128).await);
    }
    fleet.until(move |state| state.sessions().len() == count).await;
    fleet.until_all_assigned(3 * count).await;
    workers
}

/// A fleet that has just elected another leader: so many workers had three partitions each, and none has come yet.
struct Elected {
    log: Arc<SlowLog>,
    fleet: Fleet,
    before: Vec<Worker>,
    since: Instant,
}

impl Elected {
    async fn new(workers: usize) -> Self {
        let (log, clusters) = (SlowLog::new(), clusters(&[("a", 3 * workers as u32)]));
        let fleet = lead_over(log.clone(), clusters.clone(), settings()).await;
        let before = staff(&fleet, workers).await;
        drop(fleet);
        let fleet = lead_over(log.clone(), clusters, settings()).await;
        Self { log, fleet, before, since: Instant::now() }
    }

    /// Waits until a worker is lost. Returns how long that took since the election.
    async fn until_lost(&self, number: usize) -> Duration {
        let lost = self.before[number].session;
        self.fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
        self.since.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_to_a_new_leader_is_lost_early_once_most_others_have() {
    let elected = Elected::new(3).await;
    let _come = [elected.fleet.worker(0).await, elected.fleet.worker(1).await];
    let owners = elected.fleet.owners();
    let took = elected.until_lost(2).await;
    assert!(took >= COME_WITHIN_MIN && took < COME_WITHIN_MIN + TICK * 2, "{took:?}");
    let lost = elected.before[2].session;
    for (id, owner) in &elected.fleet.owners() {
        assert_eq!(*owner == owners[id], owners[id].0 != lost, "{id}");
    }
    let texts = elected.fleet.event_texts(EventKind::Session);
    assert!(texts.last().is_some_and(|text| text.contains("it did not come to the new leader")), "{texts:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_lost_early_while_others_are_still_coming() {
    let elected = Elected::new(6).await;
    let mut come = Vec::new();
    for number in 0..4 {
        come.push(elected.fleet.worker(number).await);
    }
    for late in [1_800, 2_200] {
        sleep(Duration::from_millis(late).saturating_sub(elected.since.elapsed())).await;
        come.push(elected.fleet.worker(come.len() as u128).await);
    }
    sleep(Duration::from_secs(10)).await;
    assert_eq!(elected.fleet.handle.state().sessions().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_most_have_not_come_to_blames_nobody_before_a_full_lease() {
    let elected = Elected::new(4).await;
    let _come = [elected.fleet.worker(0).await, elected.fleet.worker(1).await];
    sleep(COME_WITHIN_MIN * 2).await;
    let owners = elected.fleet.owners();
    let _late = elected.fleet.worker(2).await;
    let took = elected.until_lost(3).await;
    let lease = LeaderConfig::default().lease;
    assert!(took >= lease && took < lease + TICK * 2, "{took:?}");
    let lost = elected.before[3].session;
    assert!(elected.fleet.owners().iter().all(|(id, owner)| (*owner == owners[id]) == (owners[id].0 != lost)));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_about_to_be_served_by_a_new_leader_has_come() {
    let elected = Elected::new(3).await;
    let _come = [elected.fleet.worker(0).await, elected.fleet.worker(1).await];
    sleep(COME_WITHIN_MIN / 2).await;
    *elected.log.takes.lock().unwrap() = COME_WITHIN_MIN;
    let _late = elected.fleet.worker(2).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(elected.fleet.handle.state().sessions().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_that_was_held_up_waits_for_workers_as_much_longer() {
    let elected = Elected::new(3).await;
    let _come = [elected.fleet.worker(0).await, elected.fleet.worker(1).await];
    sleep(COME_WITHIN_MIN / 2).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    sleep(COME_WITHIN_MIN / 4).await;
    let _late = elected.fleet.worker(2).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(elected.fleet.handle.state().sessions().len(), 3);
}

/// A fleet of six that has lost three at once, and holds moves since.
struct Held {
    log: Arc<SlowLog>,
    fleet: Fleet,
    workers: Vec<Worker>,
    owners: BTreeMap<RoutePartition, (SessionId, Epoch)>,
    since: Instant,
}

impl Held {
    async fn new() -> Self {
        let log = SlowLog::new();
        let fleet = lead_over(log.clone(), clusters(&[("a", 18)]), settings()).await;
        let workers = staff(&fleet, 6).await;
        let owners = fleet.owners();
        workers[..3].iter().for_each(Worker::stop);
        fleet.until(|state| !state.holds().is_empty()).await;
        let since = Instant::now();
        Self { log, fleet, workers, owners, since }
    }

    async fn until_moved(&self) {
        let lost: Vec<_> = self.workers[..3].iter().map(|worker| worker.session).collect();
        self.fleet.until(move |state| lost.iter().all(|session| !state.sessions().contains_key(session))).await;
        self.fleet.until_all_assigned(18).await;
        for (id, (owner, epoch)) in &self.owners {
            let is_lost = self.workers[..3].iter().any(|worker| worker.session == *owner);
            let (_, now) = self.fleet.owners()[id];
            assert_eq!(now, if is_lost { epoch.next() } else { *epoch }, "{id}");
        }
    }

    fn last_news(&self) -> String {
        self.fleet.event_texts(EventKind::Pause).last().cloned().unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn many_workers_lost_at_once_keep_what_they_have_and_lose_it_when_the_hold_is_over() {
    let held = Held::new().await;
    assert!(held.last_news().starts_with("3 of 6 workers of pool default were lost at once"), "{}", held.last_news());
    let lasts = LeaderConfig::default().mass_loss_hold;
    sleep(lasts - TICK * 2).await;
    assert_eq!(held.fleet.owners(), held.owners);
    held.fleet.until(|state| state.holds().is_empty()).await;
    let took = held.since.elapsed();
    assert!(took >= lasts - TICK && took <= lasts + TICK * 2, "{took:?}");
    held.until_moved().await;
    sleep(Duration::from_secs(60)).await;
    assert!(held.fleet.handle.state().holds().is_empty(), "they were not counted twice");
}

#[tokio::test(start_paused = true)]
async fn workers_that_come_back_while_moves_are_held_go_on_with_what_they_had() {
    let held = Held::new().await;
    sleep(Duration::from_secs(10)).await;
    let mut back = vec![held.fleet.worker(0).await, held.fleet.worker(1).await];
    sleep(Duration::from_secs(5)).await;
    assert!(!held.fleet.handle.state().holds().is_empty(), "one is still missing");
    back.push(held.fleet.worker(2).await);
    held.fleet.until(|state| state.holds().is_empty()).await;
    assert!(held.last_news().contains("all workers are back"), "{}", held.last_news());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(held.fleet.owners(), held.owners);
    assert!(back.iter().all(|worker| worker.grants().len() == 3));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_anew_while_moves_are_held_gets_its_own_partitions_back() {
    let held = Held::new().await;
    let (mut link, old, new) =
        (held.fleet.dialer.dial().await.unwrap(), held.workers[0].session, SessionId::from_number(900));
    link.send(Up::Hello(hello("w0", new))).await.unwrap();
    let own: Vec<_> = held.owners.iter().filter(|(_, (owner, _))| *owner == old).map(|(id, _)| id.clone()).collect();
    held.fleet
        .until(move |state| own.iter().all(|id| state.slots()[id].life.owner().is_some_and(|(owner, _)| owner == new)))
        .await;
    assert!(held.since.elapsed() < Duration::from_secs(1) && !held.fleet.handle.state().holds().is_empty());
    let others = held.fleet.owners().into_iter().filter(|(id, _)| held.owners[id].0 != old);
    assert!(others.into_iter().all(|(id, owner)| owner == held.owners[&id]));
    drop(link.receive().await);
}

#[tokio::test(start_paused = true)]
async fn an_operator_ends_a_hold_at_once() {
    let held = Held::new().await;
    held.fleet.handle.propose("test", Command::EndHold { pool: None, reason: "test".into() }).await.unwrap();
    held.until_moved().await;
    assert!(held.since.elapsed() < Duration::from_secs(2), "{:?}", held.since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hold_outlives_its_leader_and_a_topic_that_is_added_meanwhile_goes_to_who_is_there() {
    let Held { log, fleet, workers, owners, .. } = Held::new().await;
    let clusters = (fleet.source.clone(), fleet.target.clone());
    sleep(Duration::from_secs(20)).await;
    drop(fleet);
    let fleet = lead_over(log, clusters, settings()).await;
    let _there = [fleet.worker(3).await, fleet.worker(4).await, fleet.worker(5).await];
    fleet.source.create_topic("b", 6);
    sleep(Duration::from_secs(25)).await;
    let now = fleet.owners();
    assert!(owners.iter().all(|(id, owner)| now[id] == *owner), "its time is counted anew");
    let there: Vec<_> = workers[3..].iter().map(|worker| worker.session).collect();
    let added: Vec<_> = now.iter().filter(|(id, _)| !owners.contains_key(id)).map(|(_, (owner, _))| *owner).collect();
    assert!(added.len() == 6 && added.iter().all(|owner| there.contains(owner)), "{added:?}");
    fleet.until(|state| state.holds().is_empty()).await;
    fleet.until_all_assigned(24).await;
    assert!(fleet.owners().values().all(|(owner, _)| there.contains(owner)));
}
