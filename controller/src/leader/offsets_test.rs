use std::sync::Arc;
use std::time::Duration;

use common::offsets::NextOffset;
use tokio::time::sleep;

use super::fleet_test::{Fleet, Worker, clusters, id, lead, settings};

/// What is told with the grants that follow the loss of their owner.
async fn told_after(fleet: &Fleet, owner: Worker) -> Vec<Option<NextOffset>> {
    let (lost, partitions) = (owner.session, owner.grants().len());
    owner.stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    let next = fleet.worker(1).await;
    fleet.until_all_assigned(partitions).await;
    let snapshot = next.snapshot.lock().unwrap().clone().unwrap();
    snapshot.grants.iter().map(|grant| grant.noted_offset).collect()
}

#[tokio::test(start_paused = true)]
async fn how_far_a_partition_is_stored_is_noted_each_minute_and_told_with_its_next_grant() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let noted = || fleet.handle.state().slots()[&id("a", 0)].noted_offset.get();
    fleet.rates.lock().unwrap().insert(id("a", 0), 100);
    let owner = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let told = owner.snapshot.lock().unwrap().clone().unwrap();
    sleep(Duration::from_secs(20)).await;
    let first = noted().unwrap();
    let revisions = fleet.handle.revisions();
    sleep(Duration::from_secs(60)).await;
    assert!(!revisions.has_changed().unwrap(), "nobody goes over the table for that");
    let more = noted().unwrap().0 - first.0;
    assert!((50..=70).contains(&more), "one record a second is stored, {more} more");
    assert!(Arc::ptr_eq(&told, owner.snapshot.lock().unwrap().as_ref().unwrap()), "who copies it is told nothing");

    fleet.rates.lock().unwrap().insert(id("a", 0), 0);
    sleep(Duration::from_secs(90)).await;
    let (revision, last) = (fleet.handle.state().revision(), noted());
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fleet.handle.state().revision(), revision, "what did not change is not noted again");
    assert_eq!(told_after(&fleet, owner).await, [last, None]);
}

#[tokio::test(start_paused = true)]
async fn where_topics_have_no_ids_nothing_is_noted() {
    let (source, target) = clusters(&[("a", 1)]);
    source.set_admin_calls_missing(true);
    target.create_topic("a", 1);
    let fleet = lead((source, target), settings()).await;
    fleet.rates.lock().unwrap().insert(id("a", 0), 100);
    let owner = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(fleet.handle.state().slots()[&id("a", 0)].noted_offset.get(), None);
    assert_eq!(told_after(&fleet, owner).await, [None]);
}
