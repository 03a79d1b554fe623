use std::collections::BTreeMap;
use std::time::Duration;

use common::assignment::{
    Down, Grant, Heartbeat, Hello, Inventory, PROTOCOL, Phase, Running, Snapshot, UncleanRelease, Up,
};
use common::ids::{Epoch, FleetId, PoolName, SessionId, WorkerId};
use common::net::LeaderLink;
use common::weight::Weight;
use tokio::time::{Instant, sleep, timeout};

use super::LeaderConfig;
use super::fleet_test::{Fleet, SlowLog, clusters, hello, id, lead, lead_over, route, settings, topic};
use crate::state::{Cause, Command, Effect, EventKind, Life, Move, Rejection, State, Step};

/// The next snapshot, past renewals.
async fn next_snapshot(link: &mut LeaderLink) -> std::sync::Arc<Snapshot> {
    loop {
        match link.receive().await.unwrap() {
            Down::Snapshot(snapshot) => return snapshot,
            Down::Renewed(_) => {}
            Down::Refused(refusal) => panic!("{refusal:?}"),
        }
    }
}

/// What the leader says when it refuses.
async fn next_refusal(link: &mut LeaderLink) -> String {
    loop {
        if let Down::Refused(refusal) = link.receive().await.unwrap() {
            return refusal.text;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_moves_its_share_by_release_and_assign_and_nothing_else() {
    let fleet = lead(clusters(&[("a", 4), ("b", 4)]), settings()).await;
    let first = fleet.worker(0).await;
    fleet.until_all_assigned(8).await;
    let before = fleet.owners();
    let second = fleet.worker(1).await;
    let (one, handle) = (second.session, fleet.handle.clone());
    fleet.until(move |state| state.sessions().contains_key(&one)).await;
    fleet.until_all_assigned(8).await;

    assert_eq!((fleet.owned_by(&first), fleet.owned_by(&second)), (4, 4));
    let after = fleet.owners();
    let moved: Vec<_> = after.iter().filter(|(id, owner)| before[*id] != **owner).collect();
    assert_eq!(moved.len(), 4);
    assert!(moved.iter().all(|(_, (owner, epoch))| *owner == second.session && *epoch == Epoch(2)), "{moved:?}");
    assert_eq!((first.grants().len(), second.grants().len()), (4, 4));
    let revision = handle.state().revision();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(handle.state().revision(), revision, "with nothing to do nothing is proposed");
}

#[tokio::test(start_paused = true)]
async fn a_lost_workers_partitions_move_after_the_grace_and_no_others() {
    let fleet = lead(clusters(&[("a", 6)]), settings()).await;
    let workers = [fleet.worker(0).await, fleet.worker(1).await, fleet.worker(2).await];
    fleet.until(|state| state.sessions().len() == 3).await;
    fleet.until_all_assigned(6).await;
    let before = fleet.owners();
    let (lost, fell) = (workers[1].session, Instant::now());
    workers[1].stop();
    fleet.until(move |state| !state.sessions().contains_key(&lost)).await;
    let elapsed = fell.elapsed();
    let config = LeaderConfig::default();
    assert!(elapsed >= config.reconnect_grace && elapsed < config.reconnect_grace * 2, "{elapsed:?}");

    let after = fleet.owners();
    assert_eq!(after.len(), 6, "they moved in the entry that ended the session");
    for (id, (owner, epoch)) in &before {
        let expected = if *owner == lost { epoch.next() } else { *epoch };
        assert_eq!((after[id].1, after[id].0 == *owner), (expected, *owner != lost), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dials_again_within_the_grace_keeps_everything() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(4).await;
    let before = fleet.owners();
    worker.stop();
    sleep(Duration::from_millis(500)).await;
    let again = fleet.worker(0).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fleet.owners(), before);
    assert_eq!(again.grants().len(), 4, "a new stream begins with the whole slice");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dials_again_in_time_is_not_lost_while_the_log_is_slow() {
    let log = SlowLog::new();
    let fleet = lead_over(log.clone(), clusters(&[("a", 4)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(4).await;
    let before = fleet.owners();
    worker.stop();
    sleep(Duration::from_millis(500)).await;
    *log.takes.lock().unwrap() = Duration::from_secs(2);
    let again = fleet.worker(0).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!((fleet.owners(), again.refused.lock().unwrap().clone()), (before, None));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_is_heard_while_the_log_is_slow() {
    let log = SlowLog::new();
    let fleet = lead_over(log.clone(), clusters(&[]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let session = SessionId::from_number(5);
    link.send(Up::Hello(hello("w", session))).await.unwrap();
    next_snapshot(&mut link).await;
    *log.takes.lock().unwrap() = Duration::from_secs(4);
    let drained = Instant::now();
    link.send(Up::Draining).await.unwrap();
    link.send(Up::Heartbeat(Heartbeat { number: 9, rss_bytes: 0 })).await.unwrap();
    while !matches!(link.receive().await.unwrap(), Down::Renewed(renewal) if renewal.heartbeat == 9) {}
    assert!(drained.elapsed() < Duration::from_secs(1), "{:?}", drained.elapsed());
    fleet.until(move |state| state.is_draining(session)).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_process_with_the_same_worker_id_is_refused_and_a_restarted_one_is_not() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let hello = |session| hello("w0", SessionId::from_number(session));
    let mut other = fleet.dialer.dial().await.unwrap();
    other.send(Up::Hello(hello(500))).await.unwrap();
    assert!(next_refusal(&mut other).await.contains("worker id w0 is in use by here"));

    worker.stop();
    sleep(Duration::from_millis(100)).await;
    let restarted = fleet.dialer.dial().await.unwrap();
    restarted.send(Up::Hello(hello(501))).await.unwrap();
    let owned = |state: &State| {
        let owner = |slot: &crate::state::Slot| slot.life.owner().map(|(owner, _)| owner);
        state.slots().values().all(|slot| owner(slot) == Some(SessionId::from_number(501)))
    };
    let before = Instant::now();
    fleet.until(owned).await;
    assert!(before.elapsed() < Duration::from_millis(200), "at once, not after the grace");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_starts_anew_again_and_again_is_a_death_and_a_join_and_said_to_be_so_once() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let (staying, flapping) = (fleet.worker(0).await, fleet.worker(1).await);
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(4).await;
    flapping.stop();
    let hello = |session| Hello { address: "there".into(), ..hello("w1", SessionId::from_number(session)) };
    for start in 0..3 {
        let link = fleet.dialer.dial().await.unwrap();
        link.send(Up::Hello(hello(500 + start))).await.unwrap();
        fleet.until(move |state| state.sessions().contains_key(&SessionId::from_number(500 + start))).await;
    }
    for _ in 0..2 {
        let mut link = fleet.dialer.dial().await.unwrap();
        link.send(Up::Hello(hello(600))).await.unwrap();
        assert!(next_refusal(&mut link).await.contains("too often within a minute"));
    }
    fleet.until(|state| !state.sessions().contains_key(&SessionId::from_number(502))).await;
    assert_eq!(fleet.owned_by(&staying), 4);
    assert_eq!(fleet.handle.flapping(), [WorkerId::new("w1").unwrap()]);
    let told = fleet.event_texts(EventKind::Session);
    assert_eq!(told.iter().filter(|text| text.contains("more than 3 times")).count(), 1, "{told:?}");
    let link = fleet.dialer.dial().await.unwrap();
    link.send(Up::Hello(hello(600))).await.unwrap();
    fleet.until(|state| state.sessions().contains_key(&SessionId::from_number(600))).await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_session_gives_all_back_to_others() {
    let fleet = lead(clusters(&[("a", 4)]), settings()).await;
    let (leaving, staying) = (fleet.worker(0).await, fleet.worker(1).await);
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(4).await;
    timeout(Duration::from_secs(10), fleet.handle.drain(leaving.session)).await.unwrap().unwrap();
    fleet.until_all_assigned(4).await;
    assert_eq!((fleet.owned_by(&leaving), fleet.owned_by(&staying)), (0, 4));
    let moves = fleet.event_texts(EventKind::Move);
    assert!(moves.iter().any(|text| text.contains("its owner is draining")), "{moves:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_inventory_releases_nothing() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let session = SessionId::from_number(7);
    link.send(Up::Hello(hello("w", session))).await.unwrap();
    fleet.until_all_assigned(1).await;
    let granted = next_snapshot(&mut link).await;
    let pause = Command::PauseTopic { route: route(), topic: topic("a"), partition: None, reason: "test".into() };
    fleet.handle.propose("test", pause).await.unwrap();
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Releasing { .. })).await;
    // Written before the release was applied: that it lists nothing says nothing.
    link.send(Up::Inventory(Inventory { applied: granted.version, ..Inventory::default() })).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(fleet.handle.state().slots()[&id("a", 0)].life, Life::Releasing { .. }));
    let released = next_snapshot(&mut link).await;
    assert_eq!(released.grants, vec![]);
    link.send(Up::Inventory(Inventory { applied: released.version, ..Inventory::default() })).await.unwrap();
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Unassigned(_))).await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_move_is_refused_and_changes_nothing() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    let before = fleet.owners();
    let stale = Move {
        partition: id("a", 0),
        planned_on: Epoch(0),
        step: Step::Release { from: worker.session },
        cause: Cause::Balance,
    };
    let outcome = fleet.handle.propose("test", Command::Moves(vec![stale])).await.unwrap();
    let Effect::Batch { applied: 0, refused } = outcome.effect else { panic!("{outcome:?}") };
    assert!(matches!(refused[0].rejection, Rejection::StaleEpoch { found: Epoch(1), .. }), "{refused:?}");
    assert_eq!(fleet.owners(), before);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_held_up_blames_no_worker() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(fleet.owned_by(&worker), 2);
    assert_eq!(*worker.refused.lock().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn everything_stops_when_the_leader_is_dropped() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    let Fleet { source, handle, _leader: leader, dialer, .. } = fleet;
    drop(leader);
    source.create_topic("b", 1);
    worker.stop();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(handle.state().sessions().len(), 1, "nobody is left to miss it");
    assert_eq!(handle.state().topics().len(), 1);
    assert!(dialer.dial().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_no_snapshot_showed_is_confirmed_all_the_same() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(1).await;
    let (route, topic) = (route(), topic("a"));
    let pause =
        Command::PauseTopic { route: route.clone(), topic: topic.clone(), partition: None, reason: "test".into() };
    fleet.handle.propose("test", pause).await.unwrap();
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Unassigned(_))).await;
    // All in one go, before anybody is told of the grant.
    let step = |planned_on, step| Move { partition: id("a", 0), planned_on, step, cause: Cause::Drain };
    let assign = step(Epoch(1), Step::Assign { to: worker.session });
    let release = step(Epoch(2), Step::Release { from: worker.session });
    for command in [
        Command::ResumeTopic { route, topic, partition: None, accept_foreign_offsets: false },
        Command::Moves(vec![assign, release]),
    ] {
        fleet.handle.propose("test", command).await.unwrap();
    }
    fleet.until_all_assigned(1).await;
    assert_eq!(worker.grants(), [(id("a", 0), Epoch(3))]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_says_that_it_leaves_and_runs_nothing_is_not_waited_for() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let session = SessionId::from_number(5);
    link.send(Up::Hello(hello("w", session))).await.unwrap();
    let applied = loop {
        let snapshot = next_snapshot(&mut link).await;
        if !snapshot.grants.is_empty() {
            break snapshot.version;
        }
    };
    let running = Running { partition: id("a", 0), epoch: Epoch(1), phase: Phase::Copying };
    link.send(Up::Inventory(Inventory { applied, running: vec![running], ..Inventory::default() })).await.unwrap();
    link.send(Up::Draining).await.unwrap();
    fleet.until(|state| matches!(state.slots()[&id("a", 0)].life, Life::Releasing { .. })).await;
    // It drains and takes no snapshots: the release is never confirmed by its revision.
    link.send(Up::Inventory(Inventory { applied, ..Inventory::default() })).await.unwrap();
    let left = Instant::now();
    drop(link);
    fleet.until(move |state| !state.sessions().contains_key(&session)).await;
    assert!(left.elapsed() < LeaderConfig::default().reconnect_grace, "{:?}", left.elapsed());
    assert!(matches!(fleet.handle.state().slots()[&id("a", 0)].life, Life::Unassigned(_)));
}

/// The next snapshot with so many grants.
async fn granted(link: &mut LeaderLink, count: usize) -> std::sync::Arc<Snapshot> {
    loop {
        let snapshot = next_snapshot(link).await;
        if snapshot.grants.len() == count {
            return snapshot;
        }
    }
}

/// Runs so many partitions, then shuts down. Returns the last word: all is given back, uncleanly.
async fn run_and_drain(link: &mut LeaderLink, count: usize) -> Up {
    let snapshot = granted(link, count).await;
    let running = |grant: &Grant| {
        let (partition, epoch) = (grant.partition.clone(), grant.epoch);
        Running { partition, epoch, phase: Phase::Copying }
    };
    let running: Vec<_> = snapshot.grants.iter().map(running).collect();
    let unclean = |running: &Running| UncleanRelease { partition: running.partition.clone(), epoch: running.epoch };
    let unclean = running.iter().map(unclean).collect();
    let applied = snapshot.version;
    link.send(Up::Inventory(Inventory { applied, running, ..Inventory::default() })).await.unwrap();
    link.send(Up::Draining).await.unwrap();
    let applied = granted(link, 0).await.version;
    Up::Inventory(Inventory { applied, running: Vec::new(), unclean })
}

#[tokio::test(start_paused = true)]
async fn what_a_leaving_worker_had_is_assigned_in_the_entry_that_ends_its_session() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    link.send(Up::Hello(hello("w", SessionId::from_number(5)))).await.unwrap();
    fleet.until_all_assigned(1).await;
    let other = fleet.worker(0).await;
    let farewell = run_and_drain(&mut link, 1).await;
    link.send(farewell).await.unwrap();
    drop(link);
    fleet.until_all_assigned(1).await;
    assert_eq!(fleet.owned_by(&other), 1);
    let state = fleet.handle.state();
    let events = state.events();
    let revision_of = |what: &str| events.iter().find(|event| event.event.text.contains(what)).unwrap().revision;
    let assigned = revision_of("a/0 is assigned to w0");
    assert_eq!(assigned, revision_of("it gave everything back and left"));
    assert!(revision_of("unclean release: r:a/0 was given back by w") < assigned);
}

#[tokio::test(start_paused = true)]
async fn what_workers_had_that_leave_together_is_spread_evenly() {
    let log = SlowLog::new();
    let fleet = lead_over(log.clone(), clusters(&[]), settings()).await;
    let others = [fleet.worker(0).await, fleet.worker(1).await];
    let mut links = Vec::new();
    for number in 0..2 {
        let link = fleet.dialer.dial().await.unwrap();
        link.send(Up::Hello(hello(&format!("leaves-{number}"), SessionId::from_number(5 + number)))).await.unwrap();
        links.push(link);
    }
    fleet.until(|state| state.sessions().len() == 4).await;
    fleet.source.create_topic("a", 12);
    let mut farewells = Vec::new();
    for link in &mut links {
        farewells.push(run_and_drain(link, 3).await);
    }
    *log.takes.lock().unwrap() = Duration::from_millis(50);
    for (link, farewell) in links.into_iter().zip(farewells) {
        link.send(farewell).await.unwrap();
    }
    fleet.until(|state| state.sessions().len() == 2).await;
    fleet.until_all_assigned(12).await;
    assert_eq!(others.each_ref().map(|worker| fleet.owned_by(worker)), [6, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_another_protocol_version_is_told_so() {
    let fleet = lead(clusters(&[]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let hello = Hello { protocol: PROTOCOL + 1, ..hello("w", SessionId::from_number(5)) };
    link.send(Up::Hello(hello)).await.unwrap();
    let text = next_refusal(&mut link).await;
    let both = format!("speaks protocol {}, this controller {PROTOCOL}", PROTOCOL + 1);
    assert!(text.contains(&both), "{text}");
    assert_eq!(fleet.handle.state().sessions().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_another_fleet_is_told_so_and_people_too() {
    let fleet = lead(clusters(&[]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let theirs = FleetId::new("theirs").unwrap();
    let hello = Hello { fleet: Some(theirs.clone()), ..hello("w", SessionId::from_number(5)) };
    link.send(Up::Hello(hello)).await.unwrap();
    let text = next_refusal(&mut link).await;
    assert!(text.contains("those of fleet f, worker w is of theirs"), "{text}");
    assert_eq!(fleet.handle.state().sessions().len(), 0);
    assert_eq!(fleet.handle.strangers(), BTreeMap::from([(WorkerId::new("w").unwrap(), theirs)]));
    sleep(Duration::from_secs(31)).await;
    assert!(fleet.handle.strangers().is_empty(), "it asks no more");
}

#[tokio::test(start_paused = true)]
async fn while_moves_are_held_a_restarted_worker_takes_its_place_though_the_old_connection_was_never_closed() {
    let fleet = lead(clusters(&[("a", 6)]), settings()).await;
    let _others = [fleet.worker(0).await, fleet.worker(1).await, fleet.worker(2).await];
    let mut silent = Vec::new();
    for number in 3..6 {
        let link = fleet.dialer.dial().await.unwrap();
        link.send(Up::Hello(hello(&format!("w{number}"), SessionId::from_number(number)))).await.unwrap();
        silent.push(link);
    }
    fleet.until(|state| !state.holds().is_empty()).await;
    let link = fleet.dialer.dial().await.unwrap();
    link.send(Up::Hello(hello("w3", SessionId::from_number(503)))).await.unwrap();
    fleet.until(|state| state.sessions().contains_key(&SessionId::from_number(503))).await;
    assert!(!fleet.handle.state().holds().is_empty(), "the others are still missing");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_answered_with_their_number() {
    let fleet = lead(clusters(&[]), settings()).await;
    let mut link = fleet.dialer.dial().await.unwrap();
    let session = SessionId::from_number(5);
    link.send(Up::Hello(hello("w", session))).await.unwrap();
    link.send(Up::Heartbeat(Heartbeat { number: 3, rss_bytes: 77 })).await.unwrap();
    let renewal = loop {
        if let Down::Renewed(renewal) = link.receive().await.unwrap()
            && renewal.heartbeat > 0
        {
            break renewal;
        }
    };
    let config = LeaderConfig::default();
    assert_eq!((renewal.heartbeat, renewal.every, renewal.lease), (3, config.heartbeat, config.lease));
    let liveness = fleet.handle.liveness()[&session];
    assert_eq!((liveness.connected, liveness.rss_bytes), (true, 77));
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_table_and_not_on_the_board_gets_a_lease_and_the_other_way_round_ends() {
    let fleet = lead(clusters(&[("a", 2)]), settings()).await;
    let worker = fleet.worker(0).await;
    fleet.until_all_assigned(2).await;
    // As after proposals whose outcome nobody learned.
    let (unseen, seen) = (SessionId::from_number(7), worker.session);
    let register = Command::RegisterSession {
        session: unseen,
        worker: WorkerId::new("unseen").unwrap(),
        address: "nowhere".into(),
        software: "0".into(),
        weight: Weight::default(),
        pool: PoolName::default(),
        replaces: None,
    };
    fleet.handle.propose("test", register).await.unwrap();
    let expire = Command::ExpireSession { session: seen, reason: "test".into(), moves: Vec::new() };
    fleet.handle.propose("test", expire).await.unwrap();
    let began = Instant::now();
    fleet.until(move |state| !state.sessions().contains_key(&unseen)).await;
    let lease = LeaderConfig::default().lease;
    assert!(began.elapsed() >= lease && began.elapsed() < lease * 2, "{:?}", began.elapsed());
    assert!(worker.refused.lock().unwrap().as_ref().is_some_and(|text| text.contains("not in the table")));
}
