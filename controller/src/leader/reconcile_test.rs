use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLockReadGuard};

use common::assignment::{Down, Inventory, Phase, Progress, Running, Up};
use common::ids::{Epoch, FleetId, PoolName, WorkerId};
use common::net::LeaderLink;
use common::offsets::NextOffset;
use common::reason::Reason;
use common::weight::Weight;
use tokio::sync::watch;

use super::super::command_log::{BoxFuture, CommandLog, LocalLog, ProposeError};
use super::super::context::envelope;
use super::super::fleet_test::{Fleet, clusters, hello, id, lead, lead_mirror, lead_over, settings};
use super::*;
use crate::state::Envelope;

/// A log that loses so many moves.
struct LosesMoves {
    log: LocalLog,
    moves: AtomicUsize,
}

impl CommandLog for LosesMoves {
    fn propose(&self, envelope: Envelope) -> BoxFuture<'_, Result<Outcome, ProposeError>> {
        let is_move = matches!(envelope.command, Command::Moves(_));
        let lose = |left: usize| left.checked_sub(1);
        if is_move && self.moves.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
            return Box::pin(std::future::ready(Err(ProposeError::Unknown("lost".into()))));
        }
        self.log.propose(envelope)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.log.read()
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.log.revisions()
    }
}

#[tokio::test(start_paused = true)]
async fn moves_whose_outcome_is_unknown_are_planned_again_without_another_change() {
    let log = Arc::new(LosesMoves { log: LocalLog::new(FleetId::new("f").unwrap()), moves: AtomicUsize::new(3) });
    let fleet = lead_over(log.clone(), clusters(&[("a", 4)]), settings()).await;
    let _first = fleet.worker(0).await;
    let begin = tokio::time::Instant::now();
    fleet.until(|state| state.slots().values().filter(|slot| slot.life.owner().is_some()).count() == 4).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    log.moves.store(1, Ordering::SeqCst);
    let second = fleet.worker(1).await;
    fleet.until(|state| state.slots().values().any(|slot| matches!(slot.life, Life::Releasing { .. }))).await;
    fleet.until_all_assigned(4).await;
    assert_eq!(fleet.owned_by(&second), 2, "the share of one that joined is not lost with a proposal");
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_gives_the_share_that_the_one_before_owed() {
    let log = Arc::new(LocalLog::new(FleetId::new("f").unwrap()));
    let clusters = clusters(&[("a", 4)]);
    let before = lead_over(log.clone(), clusters.clone(), settings()).await;
    let first = before.worker(0).await;
    before.until_all_assigned(4).await;
    drop((first, before));
    let (worker, session) = (WorkerId::new("w1").unwrap(), SessionId::from_number(101));
    let (address, software, weight, pool) = ("here".into(), "0".into(), Weight::default(), PoolName::default());
    let join = Command::RegisterSession { session, worker, address, software, weight, pool, replaces: None };
    log.propose(envelope(None, "test", join)).await.unwrap();
    let after = lead_over(log, clusters, settings()).await;
    let (_first, second) = (after.worker(0).await, after.worker(1).await);
    after.until(|state| state.slots().values().any(|slot| matches!(slot.life, Life::Releasing { .. }))).await;
    after.until_all_assigned(4).await;
    assert_eq!(after.owned_by(&second), 2);
}

/// One worker that was granted one partition under epoch 1, and can't claim it since epoch 9 is stored.
async fn superseded(fleet: Fleet, next_offset: Option<NextOffset>) -> (Fleet, LeaderLink, SessionId) {
    let link = fleet.dialer.dial().await.unwrap();
    let session = SessionId::from_number(5);
    link.send(Up::Hello(hello("w", session))).await.unwrap();
    fleet.until(|state| state.slots().get(&id("a", 0)).is_some_and(|slot| slot.life.owner().is_some())).await;
    let epoch = Epoch(1);
    let phase = Phase::held(Reason::Superseded { epoch: Epoch(9), session: None });
    let running = vec![Running { partition: id("a", 0), epoch, phase }];
    link.send(Up::Inventory(Inventory { running, ..Inventory::default() })).await.unwrap();
    let progress = Progress {
        partition: id("a", 0),
        epoch,
        next_offset,
        stored_offset: None,
        source_end: None,
        source_high_watermark: None,
        lag_time: Duration::ZERO,
        records: 0,
        bytes: 0,
    };
    link.send(Up::Progress(vec![progress])).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    (fleet, link, session)
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_finds_a_greater_epoch_stored_is_granted_above_it() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let (fleet, mut link, session) = superseded(fleet, None).await;
    assert_eq!(fleet.handle.state().slots()[&id("a", 0)].epoch, Epoch(9));
    let applied = loop {
        if let Down::Snapshot(snapshot) = link.receive().await.unwrap()
            && snapshot.grants.is_empty()
        {
            break snapshot.version;
        }
    };
    link.send(Up::Inventory(Inventory { applied, ..Inventory::default() })).await.unwrap();
    fleet.until(|state| state.slots()[&id("a", 0)].life == Life::Assigned { session, epoch: Epoch(10) }).await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_was_claimed_and_superseded_does_not_fight() {
    let fleet = lead(clusters(&[("a", 1)]), settings()).await;
    let (fleet, _link, _) = superseded(fleet, Some(NextOffset(3))).await;
    assert_eq!(fleet.handle.state().slots()[&id("a", 0)].epoch, Epoch(1));
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_finds_a_greater_epoch_at_a_claim_leaves_the_partition_to_the_other_one() {
    let fleet = lead_mirror(clusters(&[("a", 1)]), settings()).await;
    let (fleet, _link, session) = superseded(fleet, None).await;
    assert_eq!(fleet.handle.state().slots()[&id("a", 0)].life, Life::Assigned { session, epoch: Epoch(1) });
}
