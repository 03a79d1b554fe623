use std::time::Duration;

use common::ids::{PoolName, WorkerId};
use common::weight::Weight;
use tokio::time::{Instant, sleep};

use super::fleet_test::{Fleet, clusters, id, lead, settings};
use crate::planner::WAVE_MAX;
use crate::state::{Balance, Command, EventKind, Life, State};

fn worker(number: u32) -> WorkerId {
    WorkerId::new(format!("w{number}")).unwrap()
}

async fn propose(fleet: &Fleet, command: Command) {
    fleet.handle.propose("test", command).await.unwrap();
}

fn is_moving(state: &State) -> bool {
    state.slots().values().any(|slot| matches!(slot.life, Life::Releasing { .. }))
}

/// Waits until something moves, then until all has come to rest.
async fn until_moved(fleet: &Fleet, partitions: usize) {
    fleet.until(is_moving).await;
    let at_rest = move |state: &State| {
        let assigned = state.slots().values().filter(|slot| matches!(slot.life, Life::Assigned { .. }));
        assigned.count() == partitions && state.budget(&PoolName::default()) == 0
    };
    fleet.until(at_rest).await;
    fleet.until_all_assigned(partitions).await;
}

/// How many partitions each wave released, by the events.
#[track_caller]
fn waves(fleet: &Fleet) -> Vec<usize> {
    let (mut waves, mut in_motion, mut is_ebbing) = (Vec::new(), 0, true);
    for text in fleet.event_texts(EventKind::Move) {
        if text.contains(" is released by ") {
            if is_ebbing {
                assert_eq!(in_motion, 0, "a wave began before the last one was assigned again: {text}");
                waves.push(0);
            }
            *waves.last_mut().unwrap() += 1;
            (in_motion, is_ebbing) = (in_motion + 1, false);
        } else if !text.ends_with("it had no owner yet") {
            (in_motion, is_ebbing) = (in_motion - 1, true);
        }
    }
    waves
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_for_a_join_while_frozen_and_its_share_in_waves_after_that() {
    let fleet = lead(clusters(&[("a", 200)]), settings()).await;
    let first = fleet.worker(0).await;
    fleet.until_all_assigned(200).await;
    propose(&fleet, Command::Freeze).await;
    let second = fleet.worker(1).await;
    fleet.until(|state| state.sessions().len() == 2).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!((fleet.owned_by(&first), fleet.owned_by(&second)), (200, 0));
    propose(&fleet, Command::Unfreeze).await;
    until_moved(&fleet, 200).await;
    assert_eq!((fleet.owned_by(&first), fleet.owned_by(&second)), (100, 100));
    assert_eq!(waves(&fleet), [WAVE_MAX, 100 - WAVE_MAX]);
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_evens_out_what_operators_moved_as_far_as_it_may() {
    let fleet = lead(clusters(&[("a", 8)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await];
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(8).await;
    for partition in 0..8 {
        propose(&fleet, Command::MovePartition { partition: id("a", partition), to: worker(0) }).await;
    }
    fleet.until_all_assigned(8).await;
    let owned = || workers.each_ref().map(|worker| fleet.owned_by(worker));
    assert_eq!(owned(), [8, 0]);
    for (moves_max, expected) in [(Some(1), [7, 1]), (None, [4, 4])] {
        propose(&fleet, Command::Rebalance { moves_max }).await;
        fleet.until(|state| state.balance() == Balance::Idle).await;
        fleet.until_all_assigned(8).await;
        assert_eq!(owned(), expected);
    }
    let over = fleet.event_texts(EventKind::Admin).into_iter().filter(|text| text.contains("is over"));
    let moved: Vec<String> = over.filter_map(|text| Some(text.split_once("; ")?.1.to_owned())).collect();
    assert_eq!(moved, ["moved: 1", "moved: 3"]);
    propose(&fleet, Command::Rebalance { moves_max: None }).await;
    let begun = Instant::now();
    fleet.until(|state| state.balance() == Balance::Idle).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "with nothing to move it is over at once");
}

#[tokio::test(start_paused = true)]
async fn a_pin_waits_for_the_end_of_a_freeze_and_a_loss_a_drain_and_a_move_do_not() {
    let fleet = lead(clusters(&[("a", 6)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await, fleet.worker(2).await];
    fleet.until(|state| state.sessions().len() == 3).await;
    fleet.until_all_assigned(6).await;
    let owner = |partition| fleet.owners()[&id("a", partition)].0;
    let pinned = (0..6).find(|partition| owner(*partition) != workers[0].session).unwrap();
    propose(&fleet, Command::Freeze).await;
    propose(&fleet, Command::PinPartition { partition: id("a", pinned), to: worker(0) }).await;
    sleep(Duration::from_secs(60)).await;
    assert_ne!(owner(pinned), workers[0].session);

    let other = (0..6).find(|partition| owner(*partition) == workers[0].session).unwrap();
    propose(&fleet, Command::MovePartition { partition: id("a", other), to: worker(1) }).await;
    fleet.until_all_assigned(6).await;
    assert_eq!(owner(other), workers[1].session);
    propose(&fleet, Command::DrainWorker { worker: worker(2) }).await;
    fleet.until_all_assigned(6).await;
    assert_eq!(fleet.owned_by(&workers[2]), 0);
    let lost = workers[1].session;
    workers[1].stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    fleet.until_all_assigned(6).await;
    assert_eq!(fleet.owned_by(&workers[0]), 6);
    propose(&fleet, Command::UndrainWorker { worker: worker(2) }).await;
    propose(&fleet, Command::PinPartition { partition: id("a", pinned), to: worker(2) }).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.owned_by(&workers[0]), 6, "what takes work again waits, too");
    propose(&fleet, Command::Unfreeze).await;
    until_moved(&fleet, 6).await;
    assert_eq!((owner(pinned), fleet.owned_by(&workers[2])), (workers[2].session, 3));
}

#[tokio::test(start_paused = true)]
async fn workers_have_partitions_in_proportion_to_their_weights() {
    let fleet = lead(clusters(&[("a", 9)]), settings()).await;
    let [two, three] = [2, 3].map(|weight| Weight::try_from(weight).unwrap());
    let first = fleet.worker(0).await;
    fleet.until_all_assigned(9).await;
    let second = fleet.worker_as(1, 0, two).await;
    until_moved(&fleet, 9).await;
    assert_eq!((fleet.owned_by(&first), fleet.owned_by(&second)), (3, 6));
    let third = fleet.worker_as(2, 0, three).await;
    until_moved(&fleet, 9).await;
    let owned = [&first, &second, &third].map(|worker| fleet.owned_by(worker));
    assert!(owned == [1, 3, 5] || owned == [2, 3, 4], "{owned:?}");
    let lost = third.session;
    third.stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    fleet.until_all_assigned(9).await;
    assert_eq!((fleet.owned_by(&first), fleet.owned_by(&second)), (3, 6));
}
