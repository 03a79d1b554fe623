//! Finds lost sessions, and gives their partitions to others in the entry that ends them.
//!
//! ```text
//!  leadership begins: each session of the table has a full lease; those that do not come lose it sooner (`found`)
//!     v
//!  heard: a lease more    stream broke: the grace at most    deadline passed -> brake -> ended, with moves
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::ids::{PoolName, RoutePartition, SessionId};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::super::context::Context;
use super::super::entries::entries;
use super::super::reconcile::{count_moves, timed_plan};
use super::super::table_work::TableWork;
use super::super::tasks::End;
use super::brake::{Brake, Sight, Verdict};
use super::found::Found;
use crate::planner::PlanInput;
use crate::state::{Command, Move, Slot, State};

/// How often deadlines are looked at: a tenth of the shortest one is exact enough.
const TICK: Duration = Duration::from_millis(100);
/// A tick that is later than this is no scheduler's noise: what workers sent meanwhile may still wait to be read.
const LATE: Duration = TICK.saturating_mul(2);

/// Watches the deadlines.
pub(crate) async fn watch(context: Context) -> Option<End> {
    let mut ticked = Instant::now();
    let mut brakes = BTreeMap::<PoolName, Brake>::new();
    let mut work = context.table_work();
    let mut found = Some(Found::at(&context, ticked));
    loop {
        sleep(TICK).await;
        let now = Instant::now();
        let late = (now - ticked).saturating_sub(TICK);
        ticked = now;
        if late >= LATE {
            warn!(late_ms = late.as_millis(), "deadlines were looked at late; all leases are extended by as much");
            context.board.extend(late);
            brakes.values_mut().for_each(|brake| brake.extend(late));
            found.iter_mut().for_each(|found| found.extend(late));
        }
        let ended = context.board.align(context.log.read().sessions().keys(), now + context.config.lease);
        for session in ended {
            context.board.remove(session, "its session is not in the table");
        }
        found.iter_mut().for_each(|found| found.look(&context, now));
        if let Some(due) = found.take_if(|found| found.is_due(now)) {
            context.board.hasten(&due.lost(&context), now);
        }
        let sights = look(&context, now);
        brakes.retain(|pool, _| sights.contains_key(pool));
        let mut lost = BTreeMap::new();
        for (pool, sight) in sights {
            let brake = brakes.entry(pool.clone()).or_insert_with(|| Brake::new(context.config));
            let done = match brake.judge(&sight, now) {
                Verdict::Wait => Ok(()),
                Verdict::Act => {
                    lost.extend(sight.overdue.into_keys().map(|session| (session, pool.clone())));
                    Ok(())
                }
                Verdict::Hold { lost, registered } => hold(&context, brake, pool, (lost, registered)).await,
                Verdict::Release(reason) => {
                    let command = Command::EndHold { pool: Some(pool), reason: reason.to_owned() };
                    context.propose_or_log(command).await.map(drop)
                }
            };
            if let Err(end) = done {
                return Some(end);
            }
        }
        if let Err(end) = expire(&context, &mut work, &mut brakes, lost).await {
            return Some(end);
        }
    }
}

/// What is seen of each pool that has sessions or is held.
fn look(context: &Context, now: Instant) -> BTreeMap<PoolName, Sight> {
    let Context { board, config, .. } = context;
    let (overdue, missing) = (board.overdue(now), board.missing(now, config.missing_after()));
    let state = context.log.read();
    let held = |pool: &PoolName| (pool.clone(), Sight { held: true, ..Sight::default() });
    let mut sights: BTreeMap<PoolName, Sight> = state.holds().keys().map(held).collect();
    for (id, session) in state.sessions() {
        let sight = sights.entry(session.pool.clone()).or_default();
        sight.registered += 1;
        if let Some(since) = overdue.get(id) {
            sight.overdue.insert(*id, *since);
        }
        if missing.contains(id) {
            sight.missing.insert(*id);
        }
    }
    sights
}

/// Has a pool's missing workers keep what they have.
async fn hold(
    context: &Context,
    brake: &mut Brake,
    pool: PoolName,
    (lost, registered): (usize, usize),
) -> Result<(), End> {
    let lasts = context.config.mass_loss_hold;
    warn!(%pool, lost, registered, ?lasts, "many workers were lost at once; moves are held");
    if context.propose_or_log(Command::HoldMoves { pool, lost, registered, lasts }).await?.is_some() {
        brake.hold(Instant::now());
    }
    Ok(())
}

/// Ends sessions one by one. Each plan knows that the others are lost too, and takes only this one's partitions along. Those that
/// are left when a tick is over are overdue at the next one, too: deadlines are watched meanwhile.
async fn expire(
    context: &Context,
    work: &mut TableWork,
    brakes: &mut BTreeMap<PoolName, Brake>,
    lost: BTreeMap<SessionId, PoolName>,
) -> Result<(), End> {
    let begun = Instant::now();
    let all = Arc::new(lost.keys().copied().collect::<BTreeSet<_>>());
    for (session, pool) in lost {
        if begun.elapsed() >= TICK {
            break;
        }
        let (of, all) = (context.clone(), all.clone());
        let moves = work.run(move || moves_of(&of, session, &all)).await;
        // It may have come back meanwhile.
        if !context.board.is_overdue(session, Instant::now()) {
            continue;
        }
        let reason = context.board.why_lost(session);
        if let Some(moves) = moves {
            info!(%session, reason, moves = moves.len(), "session lost");
            let command = Command::ExpireSession { session, reason: reason.to_owned(), moves: moves.clone() };
            let outcome = context.propose_or_log(command).await?;
            if outcome.is_none() {
                continue;
            }
            count_moves(&moves, outcome.as_ref());
            brakes.get_mut(&pool).expect("just judged").ended(session, Instant::now());
        }
        context.board.remove(session, reason);
    }
    Ok(())
}

/// Where a lost session's partitions go: not to those that are missing, too. `None` if it is not in the table.
pub(super) fn moves_of(context: &Context, session: SessionId, lost: &BTreeSet<SessionId>) -> Option<Vec<Move>> {
    let (mut input, owned) = {
        let state = context.log.read();
        let pool = &state.sessions().get(&session)?.pool;
        (PlanInput::of(&state, pool, lost), owned_by(&state, session))
    };
    input.miss(&context.missing());
    let mut moves = timed_plan(&input).moves;
    moves.retain(|step| owned.contains(&step.partition));
    // What does not fit into the entry is vacant after it, and in the next plan.
    Some(entries(moves, |_| 1).into_iter().next().unwrap_or_default())
}

fn owned_by(state: &State, session: SessionId) -> BTreeSet<RoutePartition> {
    let is_its = |slot: &Slot| slot.life.owner().is_some_and(|(owner, _)| owner == session);
    state.slots().iter().filter(|(_, slot)| is_its(slot)).map(|(id, _)| id.clone()).collect()
}

#[cfg(test)]
#[path = "leases_test.rs"]
mod leases_test;
