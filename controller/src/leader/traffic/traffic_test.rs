use std::time::Duration;

use common::ids::{PoolName, SessionId, WorkerId};
use tokio::time::{Instant, sleep};

use super::super::LeaderConfig;
use super::super::fleet_test::{Fleet, Worker, clusters, id, lead, settings};
use crate::state::{Command, EventKind};

const MIB: u64 = 1 << 20;

/// Two workers with four partitions each: those of the first bring twenty times as much.
async fn busy_and_quiet() -> (Fleet, [Worker; 2]) {
    let fleet = lead(clusters(&[("a", 8)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await];
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(8).await;
    fleet.until(|state| state.budget(&PoolName::default()) == 0).await;
    let rate = |owner: SessionId| if owner == workers[0].session { 20 * MIB } else { MIB };
    let rates = fleet.owners().into_iter().map(|(partition, (owner, _))| (partition, rate(owner))).collect();
    *fleet.rates.lock().unwrap() = rates;
    (fleet, workers)
}

async fn propose(fleet: &Fleet, command: Command) {
    fleet.handle.propose("test", command).await.unwrap();
}

/// What each worker's partitions bring, in MiB a second.
fn loads(fleet: &Fleet, workers: &[Worker; 2]) -> [u64; 2] {
    let (owners, rates) = (fleet.owners(), fleet.rates.lock().unwrap().clone());
    workers.each_ref().map(|worker| {
        let own = owners.iter().filter(|(_, (owner, _))| *owner == worker.session);
        own.map(|(partition, _)| rates[partition] / MIB).sum()
    })
}

fn moves_for_load(fleet: &Fleet) -> Vec<String> {
    fleet.event_texts(EventKind::Move).into_iter().filter(|text| text.contains("load: ")).collect()
}

const A_WHILE: Duration = Duration::from_secs(1_500);

#[tokio::test(start_paused = true)]
async fn busy_partitions_change_places_with_quiet_ones_after_a_cool_down_and_then_rest() {
    let (fleet, workers) = busy_and_quiet().await;
    let begun = Instant::now();
    while moves_for_load(&fleet).is_empty() {
        sleep(Duration::from_secs(5)).await;
        assert!(begun.elapsed() < A_WHILE, "nothing moves: {:?}", fleet.handle.rates());
    }
    assert!(
        begun.elapsed() > LeaderConfig::default().load_cool_down - Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    fleet.until_all_assigned(8).await;
    assert_eq!(loads(&fleet, &workers), [42, 42]);
    assert_eq!(workers.each_ref().map(|worker| fleet.owned_by(worker)), [4, 4]);
    sleep(A_WHILE).await;
    let moves = moves_for_load(&fleet);
    assert_eq!(moves.len(), 8, "four are released and assigned, once: {moves:?}");
    let is_told = |text: &String| text.ends_with(": load: w0 at 80.0 MiB/s, w1 at 4.0 MiB/s");
    assert!(moves.iter().all(is_told), "{moves:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_for_load_while_frozen_and_what_is_pinned_never_does() {
    let (fleet, workers) = busy_and_quiet().await;
    propose(&fleet, Command::Freeze).await;
    sleep(A_WHILE).await;
    assert_eq!((moves_for_load(&fleet).len(), loads(&fleet, &workers)), (0, [80, 4]));
    for partition in 0..8 {
        let to = WorkerId::new(if fleet.owners()[&id("a", partition)].0 == workers[0].session { "w0" } else { "w1" });
        propose(&fleet, Command::PinPartition { partition: id("a", partition), to: to.unwrap() }).await;
    }
    propose(&fleet, Command::Unfreeze).await;
    sleep(A_WHILE).await;
    assert_eq!((moves_for_load(&fleet).len(), loads(&fleet, &workers)), (0, [80, 4]));
    for partition in 0..8 {
        propose(&fleet, Command::UnpinPartition { partition: id("a", partition) }).await;
    }
    sleep(Duration::from_secs(30)).await;
    assert_eq!(loads(&fleet, &workers), [42, 42]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_an_operator_moved_stays_for_a_cool_down() {
    let (fleet, workers) = busy_and_quiet().await;
    let busy: Vec<_> = {
        let rates = fleet.rates.lock().unwrap();
        rates.iter().filter(|(_, rate)| **rate > MIB).map(|(partition, _)| partition.clone()).collect()
    };
    sleep(LeaderConfig::default().load_cool_down / 2).await;
    // There and back again: it is where it was, under another epoch.
    for to in ["w1", "w0"] {
        for partition in &busy {
            propose(&fleet, Command::MovePartition { partition: partition.clone(), to: WorkerId::new(to).unwrap() })
                .await;
        }
        fleet.until_all_assigned(8).await;
    }
    sleep(LeaderConfig::default().load_cool_down - Duration::from_secs(30)).await;
    assert_eq!((moves_for_load(&fleet).len(), loads(&fleet, &workers)), (0, [80, 4]));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(loads(&fleet, &workers), [42, 42]);
}
