//! A session with an engine that only keeps books, over a connection within the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::assignment::{Grant, Inventory, PROTOCOL, Phase, Renewal, Running, Snapshot, UncleanRelease, Version};
use common::config::{ClientProperties, ClusterConfig, Delivery, RouteConfig};
use common::ids::{
    ClusterName, ControllerEpoch, Epoch, FleetId, FleetIncarnation, Partition, PoolName, Revision, RouteName,
    RoutePartition, SessionId, TopicId, TopicName, WorkerId,
};
use common::net::{WorkerLink, in_process};
use common::offsets::StartPosition;
use common::weight::Weight;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::engine::Status;
use crate::host::ThisHost;

/// Starts at once; releases when told to by the test, or at once.
#[derive(Default)]
struct Books {
    running: Mutex<BTreeMap<RoutePartition, Status>>,
    changed: Notify,
    slow_release: bool,
}

impl Books {
    fn release(&self, partition: &RoutePartition) {
        self.running.lock().expect("not poisoned").remove(partition);
        self.changed.notify_one();
    }
}

impl Engine for Books {
    fn start(&self, _route: &RouteConfig, grant: Grant) -> Result<(), kafka::error::Error> {
        let running = Running { partition: grant.partition.clone(), epoch: grant.epoch, phase: Phase::Copying };
        let status = Status { running, stopping: false, progress: None };
        let before = self.running.lock().expect("not poisoned").insert(grant.partition, status);
        assert!(before.is_none(), "started beside itself");
        self.changed.notify_one();
        Ok(())
    }

    fn stop(&self, partition: &RoutePartition, _by: Instant) {
        if !self.slow_release {
            self.release(partition);
        } else if let Some(status) = self.running.lock().expect("not poisoned").get_mut(partition) {
            status.stopping = true;
        }
    }

    fn statuses(&self) -> Vec<Status> {
        self.running.lock().expect("not poisoned").values().cloned().collect()
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn broken(&self) -> String {
        std::future::pending().await
    }

    fn unclean(&self) -> Vec<UncleanRelease> {
        Vec::new()
    }

    fn keep_only(&self, _routes: &BTreeSet<RouteName>) {}
}

struct Leader {
    links: mpsc::Sender<WorkerLink>,
    learned: watch::Sender<Vec<String>>,
}

impl Dial for Leader {
    async fn dial(&mut self) -> Result<LeaderLink, Closed> {
        let (up, down) = in_process();
        self.links.send(down).await.map_err(|_| Closed)?;
        Ok(up)
    }

    fn learn(&mut self, controllers: &[String]) {
        self.learned.send_replace(controllers.to_vec());
    }
}

const SESSION: SessionId = SessionId::from_number(7);

fn partition(number: u32) -> RoutePartition {
    let topic = TopicName::new("t").expect("legal");
    RoutePartition { route: RouteName::new("r").expect("legal"), topic, partition: Partition(number) }
}

fn snapshot(revision: u64, session: SessionId, grants: &[(u32, u64)]) -> Down {
    snapshot_of("f", revision, session, grants)
}

fn snapshot_of(fleet: &str, revision: u64, session: SessionId, grants: &[(u32, u64)]) -> Down {
    let cluster =
        |name| ClusterConfig { name: ClusterName::new(name).expect("legal"), properties: ClientProperties::default() };
    let route = RouteConfig {
        name: RouteName::new("r").expect("legal"),
        fleet: FleetId::new("f").expect("legal"),
        incarnation: Revision(1),
        offsets_since: Revision(1),
        source: cluster("s"),
        target: cluster("t"),
        group: "g".to_owned(),
        delivery: Delivery::AtLeastOnce,
        accept_foreign_offsets: false,
        commit_interval: Duration::from_secs(1),
    };
    let grant = |(number, epoch): &(u32, u64)| Grant {
        partition: partition(*number),
        epoch: Epoch(*epoch),
        target_topic: TopicName::new("t").expect("legal"),
        source_topic_id: TopicId::NONE,
        target_topic_id: TopicId::NONE,
        start: StartPosition::Earliest,
        noted_offset: None,
        accept_foreign_offset: false,
    };
    let incarnation = FleetIncarnation(1);
    let version = Version { incarnation, controller_epoch: ControllerEpoch(1), revision: Revision(revision) };
    Down::Snapshot(Arc::new(Snapshot {
        session,
        fleet: FleetId::new(fleet).expect("legal"),
        version,
        routes: vec![route],
        grants: grants.iter().map(grant).collect(),
    }))
}

struct Rig {
    engine: Arc<Books>,
    links: mpsc::Receiver<WorkerLink>,
    shutdown: CancellationToken,
    readiness: watch::Sender<Option<String>>,
    tether: Arc<Tether>,
    learned: watch::Receiver<Vec<String>>,
    session: tokio::task::JoinHandle<Result<End, RunError>>,
}

fn rig(engine: Books) -> Rig {
    let engine = Arc::new(engine);
    let (sender, links) = mpsc::channel(4);
    let (learns, learned) = watch::channel(Vec::new());
    let shutdown = CancellationToken::new();
    let hello = Hello {
        protocol: PROTOCOL,
        worker: WorkerId::new("w").expect("legal"),
        session: SESSION,
        address: "here".to_owned(),
        software: "0".to_owned(),
        weight: Weight::default(),
        pool: PoolName::default(),
        fleet: None,
    };
    let (for_session, stop) = (engine.clone(), shutdown.clone());
    let (tether, readiness) = (Arc::new(Tether::new(Moment::now())), watch::channel(Some("starting".to_owned())).0);
    let (its_tether, its_readiness) = (tether.clone(), readiness.clone());
    let session = tokio::spawn(async move {
        let supervisor = Supervisor::new(for_session.clone(), SESSION);
        let (engine, tether, readiness) = (for_session.as_ref(), its_tether.as_ref(), &its_readiness);
        Session { hello, engine, supervisor, host: &ThisHost, tether, readiness, shutdown: stop }
            .keep(&mut Leader { links: sender, learned: learns })
            .await
    });
    Rig { engine, links, shutdown, readiness, tether, learned, session }
}

/// A leader that answers each heartbeat until the link ends, then returns the link.
fn renewing(mut link: WorkerLink, count: u64) -> tokio::task::JoinHandle<WorkerLink> {
    tokio::spawn(async move {
        while let Ok(message) = link.receive().await {
            let Up::Heartbeat(heartbeat) = message else { continue };
            link.send(Down::Renewed(renewal(heartbeat.number)));
            if heartbeat.number >= count {
                break;
            }
        }
        link
    })
}

fn renewal(heartbeat: u64) -> Renewal {
    let controllers = vec!["added:7401".to_owned()];
    Renewal {
        heartbeat,
        every: Duration::from_secs(1),
        lease: Duration::from_secs(5),
        progress_every: PROGRESS_EVERY,
        controllers,
    }
}

/// A session that runs one partition under epoch 1, and its leader's end.
async fn copying(engine: Books) -> (Rig, WorkerLink) {
    let mut rig = rig(engine);
    let mut link = rig.links.recv().await.expect("dialled");
    link.send(snapshot(5, SESSION, &[(0, 1)]));
    runs(&mut link, &[(0, 1)]).await;
    (rig, link)
}

/// The next inventory, past whatever else comes.
async fn inventory(link: &mut WorkerLink) -> Inventory {
    loop {
        if let Up::Inventory(inventory) = link.receive().await.expect("connected") {
            return inventory;
        }
    }
}

/// The first inventory with these partitions under these epochs.
async fn runs(link: &mut WorkerLink, expected: &[(u32, u64)]) -> Inventory {
    let expected: Vec<_> = expected.iter().map(|(number, epoch)| (partition(*number), Epoch(*epoch))).collect();
    loop {
        let inventory = inventory(link).await;
        let running: Vec<_> = inventory.running.iter().map(|r| (r.partition.clone(), r.epoch)).collect();
        if running == expected {
            return inventory;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_begins_with_hello_and_the_inventory() {
    let mut rig = rig(Books::default());
    let mut link = rig.links.recv().await.expect("dialled");
    assert!(matches!(link.receive().await, Ok(Up::Hello(hello)) if hello.session == SESSION));
    assert!(matches!(link.receive().await, Ok(Up::Inventory(inventory)) if inventory.running.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_tells_where_the_controllers_are() {
    let mut rig = rig(Books::default());
    let link = rig.links.recv().await.expect("dialled");
    link.send(Down::Renewed(renewal(0)));
    rig.learned.wait_for(|learned| learned == &renewal(0).controllers).await.expect("the session goes on");
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_runs_and_an_older_or_foreign_snapshot_changes_nothing() {
    let mut rig = rig(Books::default());
    let mut link = rig.links.recv().await.expect("dialled");
    link.send(snapshot(5, SESSION, &[(0, 1), (1, 1)]));
    runs(&mut link, &[(0, 1), (1, 1)]).await;
    for stale in [snapshot(4, SESSION, &[]), snapshot(9, SessionId::from_number(8), &[])] {
        link.send(stale);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(rig.engine.statuses().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_epoch_starts_only_after_the_old_one_is_released() {
    let (rig, mut link) = copying(Books { slow_release: true, ..Books::default() }).await;
    link.send(snapshot(6, SESSION, &[(0, 2)]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.engine.statuses()[0].running.epoch, Epoch(1));
    rig.engine.release(&partition(0));
    runs(&mut link, &[(0, 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_stops_nothing_and_is_made_again() {
    let (mut rig, link) = copying(Books::default()).await;
    drop(link);
    let mut again = rig.links.recv().await.expect("dialled again");
    assert!(matches!(again.receive().await, Ok(Up::Hello(_))));
    let inventory = inventory(&mut again).await;
    assert_eq!((inventory.running.len(), inventory.applied.revision), (1, Revision(5)));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_releases_everything_and_says_so() {
    let (rig, mut link) = copying(Books::default()).await;
    rig.shutdown.cancel();
    runs(&mut link, &[]).await;
    assert_eq!(rig.session.await.expect("no panic"), Ok(End::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn a_refused_worker_releases_everything_and_ends() {
    let ended = end_by(RefusalKind::Fatal).await;
    assert_eq!(ended, Err(RunError::Refused("why".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_releases_everything_before_a_new_one_begins() {
    assert_eq!(end_by(RefusalKind::SessionEnded).await, Ok(End::Expired));
}

async fn end_by(kind: RefusalKind) -> Result<End, RunError> {
    let (rig, link) = copying(Books::default()).await;
    link.send(Down::Refused(Refusal { kind, lease: Duration::from_secs(5), text: "why".to_owned() }));
    let ended = rig.session.await.expect("no panic");
    assert!(rig.engine.statuses().is_empty());
    ended
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_id_is_in_use_tries_for_a_lease_and_gives_up() {
    let mut rig = rig(Books::default());
    let began = Instant::now();
    let refuse = async {
        while let Some(link) = rig.links.recv().await {
            link.send(Down::Refused(Refusal {
                kind: RefusalKind::InUse,
                lease: Duration::from_secs(5),
                text: "used by x".to_owned(),
            }));
        }
    };
    refuse.await;
    assert_eq!(rig.session.await.expect("no panic"), Err(RunError::InUse("used by x".to_owned())));
    let tried = began.elapsed();
    assert!(tried >= Duration::from_secs(5) && tried < Duration::from_secs(7), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_renews_nothing_is_left_and_what_runs_goes_on() {
    let (mut rig, link) = copying(Books::default()).await;
    let silent = renewing(link, 3).await.expect("no panic");
    assert_eq!(*rig.readiness.borrow(), None);
    let fell_silent = Instant::now();
    let mut next = rig.links.recv().await.expect("dialled again");
    let waited = fell_silent.elapsed();
    assert!(waited >= Duration::from_secs(2) && waited <= Duration::from_secs(4), "{waited:?}");
    assert!(rig.tether.is_detached(Moment::now()));
    runs(&mut next, &[(0, 1)]).await;
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_slow_release_is_waited_for_with_heartbeats_and_then_told_as_unfinished() {
    let (rig, mut link) = copying(Books { slow_release: true, ..Books::default() }).await;
    rig.shutdown.cancel();
    let mut heartbeats = 0;
    while let Ok(message) = link.receive().await {
        if let Up::Heartbeat(heartbeat) = message {
            heartbeats += 1;
            link.send(Down::Renewed(renewal(heartbeat.number)));
        }
    }
    assert!(heartbeats >= 15, "{heartbeats} heartbeats in {DRAIN_MAX:?}");
    assert_eq!(rig.session.await.expect("no panic"), Err(RunError::NotReleased(1)));
}

#[tokio::test(start_paused = true)]
async fn a_worker_leaves_once_its_leader_took_note_of_what_it_released() {
    let (rig, mut link) = copying(Books::default()).await;
    rig.shutdown.cancel();
    runs(&mut link, &[]).await;
    assert!(!rig.session.is_finished());
    let told = Instant::now();
    link.send(snapshot(6, SESSION, &[]));
    let inventory = runs(&mut link, &[]).await;
    assert_eq!(inventory.applied.revision, Revision(6), "so that the release is confirmed");
    link.send(Down::Renewed(renewal(u64::MAX)));
    assert_eq!(rig.session.await.expect("no panic"), Ok(End::Shutdown));
    assert!(told.elapsed() < FAREWELL_MAX / 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_work_leaves_once_its_leader_has_heard_that_it_does() {
    let mut rig = rig(Books::default());
    let mut link = rig.links.recv().await.expect("dialled");
    runs(&mut link, &[]).await;
    rig.shutdown.cancel();
    while !matches!(link.receive().await.expect("connected"), Up::Draining) {}
    assert!(matches!(link.receive().await.expect("connected"), Up::Heartbeat(_)));
    let told = Instant::now();
    assert!(!rig.session.is_finished());
    link.send(Down::Renewed(renewal(u64::MAX)));
    assert_eq!(rig.session.await.expect("no panic"), Ok(End::Shutdown));
    assert!(told.elapsed() < FAREWELL_MAX / 2);
}

#[tokio::test(start_paused = true)]
async fn a_route_of_another_incarnation_is_begun_anew_though_the_epoch_is_the_same() {
    let mut rig = rig(Books { slow_release: true, ..Books::default() });
    let mut link = rig.links.recv().await.expect("dialled");
    link.send(snapshot(57, SESSION, &[(0, 1)]));
    runs(&mut link, &[(0, 1)]).await;
    let Down::Snapshot(mut restored) = snapshot(58, SESSION, &[(0, 1)]) else { panic!("it is one") };
    Arc::make_mut(&mut restored).routes[0].incarnation = Revision(9);
    link.send(Down::Snapshot(restored));
    let is_stopping = || rig.engine.statuses().first().is_some_and(|status| status.stopping);
    while !is_stopping() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.engine.release(&partition(0));
    while rig.engine.statuses().is_empty() || is_stopping() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn controllers_of_another_fleet_stop_nothing_and_are_joined_once_nothing_is_copied() {
    let mut rig = rig(Books::default());
    let mut link = rig.links.recv().await.expect("dialled");
    link.send(snapshot(57, SESSION, &[(0, 1)]));
    runs(&mut link, &[(0, 1)]).await;
    drop(link);
    for answer in [
        snapshot_of("wiped", 3, SESSION, &[]),
        Down::Refused(Refusal { kind: RefusalKind::OtherFleet, lease: Duration::ZERO, text: "no".to_owned() }),
    ] {
        let mut link = rig.links.recv().await.expect("dialled again");
        let Ok(Up::Hello(Hello { fleet: Some(fleet), .. })) = link.receive().await else { panic!("no hello") };
        assert_eq!(fleet.as_str(), "f");
        link.send(answer);
        drop(link);
    }
    let mut link = rig.links.recv().await.expect("dialled once more");
    runs(&mut link, &[(0, 1)]).await;
    link.send(snapshot(58, SESSION, &[]));
    runs(&mut link, &[]).await;
    drop(link);
    let link = rig.links.recv().await.expect("dialled again");
    link.send(snapshot_of("wiped", 3, SESSION, &[]));
    assert_eq!(rig.session.await.expect("no panic"), Ok(End::Expired));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_heard_although_the_connection_closed_before_anything_was_sent() {
    let mut rig = rig(Books::default());
    let link = rig.links.recv().await.expect("dialled");
    // Both before the session runs again: its hello finds a closed connection.
    link.send(Down::Refused(Refusal { kind: RefusalKind::Fatal, lease: Duration::ZERO, text: "no".to_owned() }));
    drop(link);
    assert_eq!(rig.session.await.expect("no panic"), Err(RunError::Refused("no".to_owned())));
}
