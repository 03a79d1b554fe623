use std::sync::Arc;
use std::time::Duration;

use common::offsets::NextOffset;
use tokio::time::sleep;

use super::fleet_test::{clusters, id, lead, settings};

#[tokio::test(start_paused = true)]
async fn how_far_a_partition_is_stored_is_noted_each_minute_and_told_with_its_next_grant() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let noted = || fleet.handle.state().slots()[&id("a", 0)].noted_offset;
    fleet.rates.lock().unwrap().insert(id("a", 0), 100);
    let owner = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let told = owner.snapshot.lock().unwrap().clone().unwrap();
    sleep(Duration::from_secs(90)).await;
    let first = noted().unwrap();
    sleep(Duration::from_secs(60)).await;
    let more = noted().unwrap().0 - first.0;
    assert!((50..=70).contains(&more), "one record a second is stored, {more} more");
    assert!(Arc::ptr_eq(&told, owner.snapshot.lock().unwrap().as_ref().unwrap()), "who copies it is told nothing");

    fleet.rates.lock().unwrap().insert(id("a", 0), 0);
    sleep(Duration::from_secs(90)).await;
    let (revision, last) = (fleet.handle.state().revision(), noted());
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fleet.handle.state().revision(), revision, "what did not change is not noted again");
    let lost = owner.session;
    owner.stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    let next = fleet.worker(1).await;
    fleet.until_all_assigned(2).await;
    let snapshot = next.snapshot.lock().unwrap().clone().unwrap();
    let told: Vec<Option<NextOffset>> = snapshot.grants.iter().map(|grant| grant.noted_offset).collect();
    assert_eq!(told, [last, None]);
}
