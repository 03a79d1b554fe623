//! Brings the table to what the plan wants: finds what was released, plans, proposes the moves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::assignment::{Phase, Running};
use common::ids::{Epoch, RoutePartition, SessionId};
use common::reason::Reason;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::changes::Changes;
use super::command_log::ProposeError;
use super::context::Context;
use super::entries::entries;
use super::tasks::End;
use crate::metrics::{MOVES_TOTAL, PLAN_SECONDS};
use crate::planner::{Plan, PlanInput, plan};
use crate::state::command::Release;
use crate::state::{Cause, Command, Effect, Life, Move, Outcome, State};

/// How soon a round follows one of which a proposal has no known outcome.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Reconciles whenever the table or an inventory changed; changes that come together are dealt with together.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut changes = Changes::of(&context);
    loop {
        changes.mark_seen();
        let patience = match reconcile(&context).await {
            Ok(true) => Duration::MAX,
            Ok(false) => AFTER_FAILURE,
            Err(end) => return Some(end),
        };
        if let Ok(Err(end)) = timeout(patience, changes.next()).await {
            return Some(end);
        }
        sleep(context.config.reconcile_debounce).await;
    }
}

/// One round. With nothing to do it proposes nothing. Returns whether each proposal has an outcome.
async fn reconcile(context: &Context) -> Result<bool, End> {
    let (released, superseded) = {
        let state = context.log.read();
        context.board.retain_progress(|partition| state.slots().contains_key(partition));
        (released(&state, context), superseded(&state, context))
    };
    let mut all_stand = true;
    for entry in entries(released, |_| 1) {
        let outcome = context.propose_or_log(Command::Released(entry)).await?;
        warn_of_refused(outcome.as_ref());
        all_stand &= outcome.is_some();
    }
    for command in superseded {
        match context.propose(command).await {
            // Of one that is stale by now nothing is left to be done.
            Ok(_) | Err(ProposeError::Rejected(_)) => {}
            Err(ProposeError::Unknown(_)) => all_stand = false,
            Err(ProposeError::NotLeader) => return Err(End::NotLeader),
        }
    }
    let (plan, owed, budget) = {
        let state = context.log.read();
        let mut input = PlanInput::of(&state, &BTreeSet::new(), 0);
        let owed = if state.hold().is_none() {
            owed(&state, &input)
        } else {
            // Who is missing may be back any moment: nothing is balanced around it.
            input.miss(&context.missing());
            Vec::new()
        };
        input.budget = budget(owed.len(), &input);
        (timed_plan(&input), owed, input.budget)
    };
    for step in &plan.moves {
        let partition = &step.partition;
        info!(route = %partition.route, topic = %partition.topic, partition = %partition.partition, "{step}");
    }
    let spent = plan.moves.iter().filter(|step| step.cause == Cause::Balance).count();
    let is_given = spent == budget || !plan.is_uneven;
    for moves in entries(plan.moves, |_| 1) {
        let outcome = context.propose_or_log(Command::Moves(moves.clone())).await?;
        warn_of_refused(outcome.as_ref());
        count_moves(&moves, outcome.as_ref());
        all_stand &= outcome.is_some();
    }
    if is_given && all_stand && !owed.is_empty() {
        all_stand &= context.propose_or_log(Command::SettleSessions(owed)).await?.is_some();
    }
    Ok(all_stand)
}

/// The sessions that take work and were not given their even share yet.
fn owed(state: &State, input: &PlanInput) -> Vec<SessionId> {
    input.working().filter(|session| state.sessions()[session].owed).collect()
}

/// How many partitions may move for nothing but balance: the even share of each session that it is owed to.
fn budget(owed: usize, input: &PlanInput) -> usize {
    owed * input.partitions.len().div_ceil(input.working().count().max(1))
}

/// The grants that could not be claimed since a greater epoch is stored: the table is an older one than the offsets. Who
/// had claimed already was superseded by somebody else, and must not fight him.
fn superseded(state: &State, context: &Context) -> Vec<Command> {
    let stored = |(partition, (session, running)): (RoutePartition, (SessionId, Running))| {
        let Phase::Held(Reason::Superseded { epoch: stored, .. }) = running.phase else { return None };
        let life = state.slots().get(&partition)?.life;
        let granted = running.epoch;
        let is_granted =
            matches!(life, Life::Assigned { session: owner, epoch } if (owner, epoch) == (session, granted));
        (is_granted && stored > granted).then_some((partition, granted, stored))
    };
    let stored: Vec<_> = context.board.running().into_iter().filter_map(stored).collect();
    if stored.is_empty() {
        return Vec::new();
    }
    let progress = context.board.progress();
    let is_unclaimed = |(partition, granted, _): &(RoutePartition, Epoch, Epoch)| {
        progress.get(partition).is_some_and(|progress| progress.epoch == *granted && progress.next_offset.is_none())
    };
    let raise = |(partition, granted, stored)| Command::RaiseEpoch { partition, granted, stored };
    stored.into_iter().filter(is_unclaimed).map(raise).collect()
}

/// Plans, and takes the time.
pub(crate) fn timed_plan(input: &PlanInput) -> Plan {
    let begin = Instant::now();
    let plan = plan(input);
    metrics::histogram!(PLAN_SECONDS).record(begin.elapsed());
    plan
}

/// Counts the moves of an entry that were made.
pub(crate) fn count_moves(moves: &[Move], outcome: Option<&Outcome>) {
    let Some(Outcome { effect: Effect::Batch { refused, .. }, .. }) = outcome else { return };
    let refused: BTreeSet<usize> = refused.iter().map(|refused| refused.index).collect();
    for (_, step) in moves.iter().enumerate().filter(|(index, _)| !refused.contains(index)) {
        metrics::counter!(MOVES_TOTAL, "reason" => step.cause.name()).increment(1);
    }
}

/// *Released* is derived: the session applied the release or a later change, and no longer lists the partition.
fn released(state: &State, context: &Context) -> Vec<Release> {
    let mut releases = Vec::new();
    for (partition, slot) in state.slots() {
        if let Life::Releasing { session, epoch, since } = slot.life
            && context.board.has_released(session, partition, since)
        {
            releases.push(Release { partition: partition.clone(), epoch });
        }
    }
    releases
}

fn warn_of_refused(outcome: Option<&Outcome>) {
    let Some(Outcome { revision, effect: Effect::Batch { refused, .. } }) = outcome else { return };
    for refused in refused {
        warn!(%revision, reason = %refused.rejection, "a stale step was refused; it is planned anew");
    }
}

#[cfg(test)]
#[path = "reconcile_test.rs"]
mod reconcile_test;
