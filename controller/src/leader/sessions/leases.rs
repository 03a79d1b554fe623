//! Finds lost sessions, and gives their partitions to others in the entry that ends them.

use std::collections::BTreeSet;
use std::time::Duration;

use common::ids::SessionId;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::super::context::Context;
use super::super::entries::entries;
use super::super::reconcile::{count_moves, timed_plan};
use super::super::tasks::End;
use crate::planner::PlanInput;
use crate::state::{Command, Move, State};

/// How often deadlines are looked at: a tenth of the shortest one is exact enough.
const TICK: Duration = Duration::from_millis(100);
/// A tick that is later than this is no scheduler's noise: what workers sent meanwhile may still wait to be read.
const LATE: Duration = TICK.saturating_mul(2);

/// Watches the deadlines.
pub(crate) async fn watch(context: Context) -> Option<End> {
    let mut ticked = Instant::now();
    loop {
        sleep(TICK).await;
        let now = Instant::now();
        let late = (now - ticked).saturating_sub(TICK);
        ticked = now;
        if late >= LATE {
            warn!(late_ms = late.as_millis(), "the leader was held up; all leases are extended by as much");
            context.board.extend(late);
        }
        let ended = context.board.align(context.log.read().sessions().keys(), now + context.config.lease);
        for session in ended {
            context.board.remove(session, "its session is not in the table");
        }
        let overdue = context.board.overdue(now);
        if !overdue.is_empty()
            && let Err(end) = expire(&context, overdue).await
        {
            return Some(end);
        }
    }
}

/// Ends sessions one by one. Each plan knows that the others are lost too, and takes only this one's partitions along.
async fn expire(context: &Context, lost: BTreeSet<SessionId>) -> Result<(), End> {
    for session in lost.iter().copied() {
        // It may have come back while the proposals before it were waited for.
        if !context.board.is_overdue(session, Instant::now()) {
            continue;
        }
        let is_attached = context.board.is_attached(session);
        let reason = if is_attached { "its lease ran out" } else { "its stream broke and did not come back" };
        let moves = moves_of(&context.log.read(), session, &lost);
        if let Some(moves) = moves {
            info!(%session, reason, moves = moves.len(), "session lost");
            let command = Command::ExpireSession { session, reason: reason.to_owned(), moves: moves.clone() };
            let outcome = context.propose_or_log(command).await?;
            if outcome.is_none() {
                continue;
            }
            count_moves(&moves, outcome.as_ref());
        }
        context.board.remove(session, reason);
    }
    Ok(())
}

/// Where a lost session's partitions go; `None` if it is not in the table.
fn moves_of(state: &State, session: SessionId, lost: &BTreeSet<SessionId>) -> Option<Vec<Move>> {
    state.sessions().get(&session)?;
    let was_its = |step: &Move| {
        let owner = state.slots().get(&step.partition).and_then(|slot| slot.life.owner());
        owner.is_some_and(|(owner, _)| owner == session)
    };
    let mut moves = timed_plan(&PlanInput::of(state, lost, 0)).moves;
    moves.retain(was_its);
    // What does not fit into the entry is vacant after it, and in the next plan.
    Some(entries(moves, |_| 1).into_iter().next().unwrap_or_default())
}
