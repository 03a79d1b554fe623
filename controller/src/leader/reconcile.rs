//! Brings the table to what the plan wants: finds what was released, plans, proposes the moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use common::ids::SessionId;
use tokio::time::sleep;
use tracing::{info, warn};

use super::changes::Changes;
use super::context::Context;
use super::entries::entries;
use super::tasks::End;
use crate::metrics::{MOVES_TOTAL, PLAN_SECONDS};
use crate::planner::{Plan, PlanInput, plan};
use crate::state::command::Release;
use crate::state::{Command, Effect, Life, Move, Outcome, State};

/// Reconciles whenever the table or an inventory changed; changes that come together are dealt with together.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut changes = Changes::of(&context);
    let mut working = PlanInput::of(&context.log.read(), &BTreeSet::new(), 0).sessions;
    loop {
        changes.mark_seen();
        if let Err(end) = reconcile(&context, &mut working).await {
            return Some(end);
        }
        if let Err(end) = changes.next().await {
            return Some(end);
        }
        sleep(context.config.reconcile_debounce).await;
    }
}

/// One round. With nothing to do it proposes nothing. `working` are the sessions as the round before saw them.
async fn reconcile(context: &Context, working: &mut BTreeMap<SessionId, bool>) -> Result<(), End> {
    let released = {
        let state = context.log.read();
        context.board.retain_progress(|partition| state.slots().contains_key(partition));
        released(&state, context)
    };
    for entry in entries(released, |_| 1) {
        warn_of_refused(context.propose_or_log(Command::Released(entry)).await?.as_ref());
    }
    let plan = {
        let state = context.log.read();
        let mut input = PlanInput::of(&state, &BTreeSet::new(), 0);
        input.budget = budget(&state, working, &input);
        let plan = timed_plan(&input);
        *working = input.sessions;
        plan
    };
    for step in &plan.moves {
        let partition = &step.partition;
        info!(route = %partition.route, topic = %partition.topic, partition = %partition.partition, "{step}");
    }
    for moves in entries(plan.moves, |_| 1) {
        let outcome = context.propose_or_log(Command::Moves(moves.clone())).await?;
        warn_of_refused(outcome.as_ref());
        count_moves(&moves, outcome.as_ref());
    }
    Ok(())
}

/// How many partitions may move for nothing but balance: the even share of each session that takes work since the round
/// before. One that took its worker's place has that one's partitions already.
fn budget(state: &State, before: &BTreeMap<SessionId, bool>, input: &PlanInput) -> usize {
    let joined = |session: &SessionId| match before.get(session) {
        Some(took_work) => !took_work,
        None => !state.sessions()[session].took_over,
    };
    let working = || input.sessions.iter().filter(|(_, takes_work)| **takes_work).map(|(session, _)| session);
    working().filter(|session| joined(session)).count() * input.partitions.len().div_ceil(working().count().max(1))
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
