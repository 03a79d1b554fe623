use std::time::Duration;

use common::assignment::{Down, Heartbeat, Inventory, Phase, RELEASE_TIMEOUT, Running, Snapshot, UncleanRelease, Up};
use common::ids::{Epoch, SessionId};
use common::net::LeaderLink;
use tokio::time::sleep;

use super::fleet_test::{Fleet, clusters, hello, id, lead, route, settings, topic};
use crate::state::{Command, EventKind, Life, Vacancy};

const SESSION: SessionId = SessionId::from_number(5);

/// A worker by hand that runs one partition and is asked to give it back.
struct Scene {
    fleet: Fleet,
    link: LeaderLink,
    released: std::sync::Arc<Snapshot>,
}

impl Scene {
    async fn new() -> Self {
        let fleet = lead(clusters(&[("a", 1)]), settings()).await;
        let mut link = fleet.dialer.dial().await.unwrap();
        link.send(Up::Hello(hello("w", SESSION))).await.unwrap();
        let granted = snapshot(&mut link, 1).await;
        link.send(Up::Inventory(inventory(&granted, true))).await.unwrap();
        let pause = Command::PauseTopic { route: route(), topic: topic("a"), partition: None, reason: "test".into() };
        fleet.handle.propose("test", pause).await.unwrap();
        let released = snapshot(&mut link, 0).await;
        Self { fleet, link, released }
    }

    /// Lives on for a while and says nothing else.
    async fn live_on(&self, time: Duration) {
        let beats = time.as_millis() / 500;
        for number in 0..beats {
            sleep(Duration::from_millis(500)).await;
            let number = number as u64;
            self.link.send(Up::Heartbeat(Heartbeat { number, rss_bytes: 0 })).await.unwrap();
        }
    }

    async fn report(&self, inventory: Inventory) {
        self.link.send(Up::Inventory(inventory)).await.unwrap();
    }
}

fn inventory(applied: &Snapshot, runs: bool) -> Inventory {
    let running = Running { partition: id("a", 0), epoch: Epoch(1), phase: Phase::Copying };
    let running = if runs { vec![running] } else { Vec::new() };
    Inventory { applied: applied.version, running, ..Inventory::default() }
}

async fn snapshot(link: &mut LeaderLink, grants: usize) -> std::sync::Arc<Snapshot> {
    loop {
        if let Down::Snapshot(snapshot) = link.receive().await.unwrap()
            && snapshot.grants.len() == grants
        {
            return snapshot;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_not_given_back_in_time_is_named_and_given_to_nobody() {
    let scene = Scene::new().await;
    scene.report(inventory(&scene.released, true)).await;
    scene.live_on(RELEASE_TIMEOUT - Duration::from_secs(1)).await;
    assert_eq!(scene.fleet.handle.overdue_releases().len(), 0);
    scene.live_on(RELEASE_TIMEOUT).await;
    assert!(scene.fleet.handle.overdue_releases()[&id("a", 0)] >= RELEASE_TIMEOUT);
    assert!(matches!(scene.fleet.handle.state().slots()[&id("a", 0)].life, Life::Releasing { .. }));
    scene.report(inventory(&scene.released, false)).await;
    scene.live_on(Duration::from_secs(1)).await;
    assert_eq!(scene.fleet.handle.overdue_releases().len(), 0);
    assert_eq!(scene.fleet.event_texts(EventKind::Fence), Vec::<String>::new(), "it was late and clean");
}

#[tokio::test(start_paused = true)]
async fn an_unclean_release_is_an_event_and_the_partition_is_as_one_that_was_lost() {
    for epoch in [Epoch(1), Epoch(9)] {
        let scene = Scene::new().await;
        let unclean = vec![UncleanRelease { partition: id("a", 0), epoch }];
        scene.report(Inventory { unclean, ..inventory(&scene.released, false) }).await;
        scene.fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Unassigned(_))).await;
        let (life, told) =
            (scene.fleet.handle.state().slots()[&id("a", 0)].life, scene.fleet.event_texts(EventKind::Fence));
        if epoch == Epoch(1) {
            assert_eq!(life, Life::Unassigned(Vacancy::Unclean));
            assert!(told[0].starts_with("unclean release: r:a/0 was given back by w"), "{told:?}");
            scene.live_on(Duration::from_secs(10)).await;
            assert!(!scene.fleet.handle.state().slots()[&id("a", 0)].owes_claim(), "it is not to run: it is claimed");
        } else {
            assert_eq!((life, told.len()), (Life::Unassigned(Vacancy::Released), 0), "another grant's was not clean");
        }
    }
}
