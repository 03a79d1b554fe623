use std::collections::BTreeSet;

use common::assignment::Hello;
use common::config::{RouteSettings, TopicFilter};
use common::ids::{PoolName, RouteName, SessionId, WorkerId};

use super::context::LeaderConfig;
use super::fleet_test::{Fleet, Worker, clusters, hello, id, lead, settings};
use crate::state::{Balance, Command, State};

fn near() -> PoolName {
    PoolName::new("near").unwrap()
}

fn copies(topic: &str) -> RouteSettings {
    let filter = TopicFilter { include: vec![topic.to_owned()], exclude: Vec::new() };
    RouteSettings { filter, ..settings() }
}

/// A fleet that copies topic `a`, and topic `n` with the other pool.
async fn two_pools(partitions: u32) -> Fleet {
    let fleet = lead(clusters(&[("a", partitions), ("n", 3)]), copies("a")).await;
    let settings = RouteSettings { pool: near(), group: "near".into(), ..copies("n") };
    propose(&fleet, Command::AddRoute { route: near_route(), settings }).await;
    fleet
}

fn near_route() -> RouteName {
    RouteName::new("near").unwrap()
}

async fn propose(fleet: &Fleet, command: Command) {
    fleet.handle.propose("test", command).await.unwrap();
}

async fn near_worker(fleet: &Fleet, number: u128) -> Worker {
    let hello = hello(&format!("w{number}"), SessionId::from_number(100 + number));
    fleet.join(Hello { pool: near(), ..hello }).await
}

fn near_owners(state: &State) -> BTreeSet<SessionId> {
    state.slots_of_route(&near_route()).filter_map(|(_, slot)| slot.life.owner()).map(|(session, _)| session).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_ends_though_another_pool_has_given_all_back_and_has_nobody() {
    let fleet = two_pools(8).await;
    let ours = [fleet.worker(0).await, fleet.worker(1).await];
    let _theirs = near_worker(&fleet, 2).await;
    fleet.until_all_assigned(11).await;
    propose(&fleet, Command::DrainWorker { worker: WorkerId::new("w2").unwrap() }).await;
    fleet.until(|state| near_owners(state).is_empty()).await;
    let to = WorkerId::new("w0").unwrap();
    for partition in 0..8 {
        propose(&fleet, Command::MovePartition { partition: id("a", partition), to: to.clone() }).await;
    }
    fleet.until(|state| state.slots().values().filter(|slot| slot.life.owner().is_some()).count() == 8).await;
    propose(&fleet, Command::Rebalance { moves_max: None }).await;
    fleet.until(|state| state.balance() == Balance::Idle).await;
    assert_eq!(ours.each_ref().map(|worker| fleet.owned_by(worker)), [4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_loses_many_at_once_holds_its_own_moves_and_no_others() {
    let fleet = two_pools(6).await;
    let ours = [fleet.worker(0).await, fleet.worker(1).await, fleet.worker(2).await];
    let theirs = [near_worker(&fleet, 3).await, near_worker(&fleet, 4).await, near_worker(&fleet, 5).await];
    fleet.until(|state| near_owners(state).len() == 3).await;
    fleet.until_all_assigned(9).await;
    let before = near_owners(&fleet.handle.state());
    theirs[..2].iter().for_each(Worker::stop);
    fleet.until(|state| state.holds().keys().eq([&near()])).await;

    // One of another pool is replaced at once.
    ours[0].stop();
    fleet.until(|state| !state.sessions().contains_key(&ours[0].session)).await;
    fleet.until_all_assigned(9).await;
    assert_eq!(fleet.owned_by(&ours[1]) + fleet.owned_by(&ours[2]), 6);
    assert_eq!(near_owners(&fleet.handle.state()), before, "what is missing keeps what it has");
    assert!(!fleet.handle.state().holds().is_empty());

    tokio::time::sleep(LeaderConfig::default().mass_loss_hold).await;
    fleet.until(|state| state.holds().is_empty()).await;
    fleet.until(|state| near_owners(state) == BTreeSet::from([theirs[2].session])).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_ten_that_loses_nine_gives_the_last_one_nothing_however_large_the_fleet_is() {
    let fleet = two_pools(3).await;
    let mut ours = Vec::new();
    for number in 0..30 {
        ours.push(fleet.worker(number).await);
    }
    let mut theirs = Vec::new();
    for number in 30..40 {
        theirs.push(near_worker(&fleet, number).await);
    }
    fleet.until(|state| state.sessions().len() == 40).await;
    fleet.until_all_assigned(6).await;
    let before = near_owners(&fleet.handle.state());
    theirs[..9].iter().for_each(Worker::stop);
    fleet.until(|state| state.holds().keys().eq([&near()])).await;
    assert_eq!(near_owners(&fleet.handle.state()), before);
}
