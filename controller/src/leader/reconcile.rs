//! Brings the table to what the plan wants: finds what was released, plans, proposes the moves.

use std::collections::BTreeSet;

use tokio::time::sleep;
use tracing::{info, warn};

use super::context::Context;
use super::tasks::End;
use crate::planner::{PlanInput, plan};
use crate::state::command::Release;
use crate::state::{Command, Effect, Life, Outcome, State};

/// How many moves or releases go into one entry of the log, which keeps it under 1 MiB.
pub(crate) const MOVES_PER_ENTRY_MAX: usize = 5_000;

/// Reconciles whenever the table or an inventory changed; changes that come together are dealt with together.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut revisions = context.log.revisions();
    let mut changes = context.board.changes();
    loop {
        revisions.mark_unchanged();
        changes.mark_unchanged();
        if let Err(end) = reconcile(&context).await {
            return Some(end);
        }
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { return Some(End::NotLeader) },
            changed = changes.changed() => changed.expect("the context holds the board"),
        }
        sleep(context.config.reconcile_debounce).await;
    }
}

/// One round. With nothing to do it proposes nothing.
async fn reconcile(context: &Context) -> Result<(), End> {
    let released = {
        let state = context.log.read();
        context.board.retain_progress(|partition| state.slots().contains_key(partition));
        released(&state, context)
    };
    for entry in released.chunks(MOVES_PER_ENTRY_MAX) {
        propose(context, Command::Released(entry.to_vec())).await?;
    }
    let plan = {
        let budget = context.take_balance_budget();
        plan(&PlanInput::of(&context.log.read(), &BTreeSet::new(), budget))
    };
    for step in &plan.moves {
        let partition = &step.partition;
        info!(route = %partition.route, topic = %partition.topic, partition = %partition.partition, "{step}");
    }
    for entry in plan.moves.chunks(MOVES_PER_ENTRY_MAX) {
        propose(context, Command::Moves(entry.to_vec())).await?;
    }
    Ok(())
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

async fn propose(context: &Context, command: Command) -> Result<(), End> {
    if let Some(Outcome { revision, effect: Effect::Batch { refused, .. } }) = context.propose_or_log(command).await? {
        for refused in refused {
            warn!(%revision, reason = %refused.rejection, "a stale step was refused; it is planned anew");
        }
    }
    Ok(())
}
