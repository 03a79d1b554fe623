//! Finds lost sessions, and gives their partitions to others in the entry that ends them.
//!
//! ```text
//!  leadership begins: each session of the table has a full lease
//!     |  two heartbeats later, and no other one came for a while: most have come? those that have not are lost; otherwise
//!     |  all keep their lease
//!     v
//!  heard: a lease more    stream broke: the grace at most    deadline passed -> brake -> ended, with moves
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::ids::{RoutePartition, SessionId};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::super::context::{Context, LeaderConfig};
use super::super::entries::entries;
use super::super::reconcile::{count_moves, timed_plan};
use super::super::table_work::TableWork;
use super::super::tasks::End;
use super::brake::{Brake, Sight, Verdict};
use crate::planner::PlanInput;
use crate::state::{Command, Move, Slot, State};

/// How often deadlines are looked at: a tenth of the shortest one is exact enough.
const TICK: Duration = Duration::from_millis(100);
/// A tick that is later than this is no scheduler's noise: what workers sent meanwhile may still wait to be read.
const LATE: Duration = TICK.saturating_mul(2);

/// How long the sessions that a leader found in the table have at least to come to it: a worker without a leader dials
/// once a second (`DIAL_AGAIN_MAX` of its session).
const COME_WITHIN_MIN: Duration = Duration::from_secs(2);
/// How long no other one must have come: each that comes says that more may be on their way …
const COME_NO_MORE: Duration = Duration::from_millis(500);
/// … and so much longer for each session: where thousands come at once, some are not answered in time, wait for a second, and
/// dial again after another one, when all others are there.
const COME_NO_MORE_EACH: Duration = Duration::from_millis(2);
/// So many of so many sessions must have come before the others are blamed: with fewer it is more likely that this leader
/// can't be reached.
const MOST: (usize, usize) = (2, 3);

/// The sessions that a leader found in the table, until it decided about those that do not come.
struct Found {
    sessions: BTreeSet<SessionId>,
    /// How many have not come.
    awaited: usize,
    due: Instant,
}

impl Found {
    /// Takes note of those that have come.
    fn look(&mut self, context: &Context, now: Instant) {
        let awaited = context.board.awaited().len();
        if awaited < self.awaited {
            let each = COME_NO_MORE_EACH * u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
            self.due = self.due.max(now + COME_NO_MORE + each);
        }
        self.awaited = awaited;
    }

    /// Those that are lost since they have not come and most others have.
    fn lost(mut self, context: &Context) -> BTreeSet<SessionId> {
        let state = context.log.read();
        self.sessions.retain(|session| state.sessions().contains_key(session));
        let absent = &self.sessions & &context.board.awaited();
        let come = self.sessions.len() - absent.len();
        if come * MOST.1 >= self.sessions.len() * MOST.0 { absent } else { BTreeSet::new() }
    }
}

/// How long found sessions are waited for, if most come: a worker whose leader went silent takes two heartbeats to notice.
fn come_within(config: &LeaderConfig) -> Duration {
    COME_WITHIN_MIN.max(config.missing_after())
}

/// Watches the deadlines.
pub(crate) async fn watch(context: Context) -> Option<End> {
    let mut ticked = Instant::now();
    let sessions: BTreeSet<_> = context.log.read().sessions().keys().copied().collect();
    let mut brake = Brake::new(context.config);
    let mut work = context.table_work();
    let due = ticked + come_within(&context.config);
    let mut found = Some(Found { awaited: sessions.len(), sessions, due });
    loop {
        sleep(TICK).await;
        let now = Instant::now();
        let late = (now - ticked).saturating_sub(TICK);
        ticked = now;
        if late >= LATE {
            warn!(late_ms = late.as_millis(), "deadlines were looked at late; all leases are extended by as much");
            context.board.extend(late);
            brake.extend(late);
            found.iter_mut().for_each(|found| found.due += late);
        }
        let ended = context.board.align(context.log.read().sessions().keys(), now + context.config.lease);
        for session in ended {
            context.board.remove(session, "its session is not in the table");
        }
        found.iter_mut().for_each(|found| found.look(&context, now));
        if let Some(due) = found.take_if(|found| now >= found.due) {
            context.board.hasten(&due.lost(&context), now);
        }
        let sight = look(&context, now);
        let done = match brake.judge(&sight, now) {
            Verdict::Wait => Ok(()),
            Verdict::Act => {
                let lost = Arc::new(sight.overdue.into_keys().collect());
                expire(&context, &mut work, &mut brake, lost).await
            }
            Verdict::Hold { lost, registered } => hold(&context, &mut brake, lost, registered).await,
            Verdict::Release(reason) => {
                context.propose_or_log(Command::EndHold { reason: reason.to_owned() }).await.map(drop)
            }
        };
        if let Err(end) = done {
            return Some(end);
        }
    }
}

fn look(context: &Context, now: Instant) -> Sight {
    let Context { board, config, .. } = context;
    let state = context.log.read();
    Sight {
        overdue: board.overdue(now),
        missing: board.missing(now, config.missing_after()),
        registered: state.sessions().len(),
        held: state.hold().is_some(),
    }
}

/// Has missing workers keep what they have.
async fn hold(context: &Context, brake: &mut Brake, lost: usize, registered: usize) -> Result<(), End> {
    let lasts = context.config.mass_loss_hold;
    warn!(lost, registered, ?lasts, "many workers were lost at once; moves are held");
    if context.propose_or_log(Command::HoldMoves { lost, registered, lasts }).await?.is_some() {
        brake.hold(Instant::now());
    }
    Ok(())
}

/// Ends sessions one by one. Each plan knows that the others are lost too, and takes only this one's partitions along. Those that
/// are left when a tick is over are overdue at the next one, too: deadlines are watched meanwhile.
async fn expire(
    context: &Context,
    work: &mut TableWork,
    brake: &mut Brake,
    lost: Arc<BTreeSet<SessionId>>,
) -> Result<(), End> {
    let begun = Instant::now();
    for session in lost.iter().copied() {
        if begun.elapsed() >= TICK {
            break;
        }
        let (of, all) = (context.clone(), lost.clone());
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
            brake.ended(session, Instant::now());
        }
        context.board.remove(session, reason);
    }
    Ok(())
}

/// Where a lost session's partitions go: not to those that are missing, too. `None` if it is not in the table.
pub(super) fn moves_of(context: &Context, session: SessionId, lost: &BTreeSet<SessionId>) -> Option<Vec<Move>> {
    let (mut input, owned) = {
        let state = context.log.read();
        state.sessions().get(&session)?;
        (PlanInput::of(&state, lost), owned_by(&state, session))
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
