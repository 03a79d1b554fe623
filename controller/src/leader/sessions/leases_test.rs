use std::sync::Arc;

use common::ids::FleetId;

use super::super::super::command_log::LocalLog;
use super::super::super::fleet_test::{Fleet, Worker, clusters, lead_over, settings};
use super::*;
use crate::state::EventKind;

/// A fleet that has just elected another leader: so many workers had three partitions each, and none has come yet.
struct Elected {
    fleet: Fleet,
    before: Vec<Worker>,
    since: Instant,
}

impl Elected {
    async fn new(workers: u32) -> Self {
        let log = Arc::new(LocalLog::new(FleetId::new("f").unwrap()));
        let clusters = clusters(&[("a", 3 * workers)]);
        let fleet = lead_over(log.clone(), clusters.clone(), settings()).await;
        let mut before = Vec::new();
        for number in 0..workers {
            before.push(fleet.worker(number.into()).await);
        }
        fleet.until(move |state| state.sessions().len() == workers as usize).await;
        fleet.until_all_assigned(3 * workers as usize).await;
        drop(fleet);
        let fleet = lead_over(log, clusters, settings()).await;
        Self { fleet, before, since: Instant::now() }
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
