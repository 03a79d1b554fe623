//! Moves for balance: shown, run, frozen.

use common::ids::SessionId;
use proto::v1;

use super::super::errors::ApiError;
use super::super::{Api, Leading, parse};
use crate::planner::{PlanInput, Shift, WAVE_MAX, preview};
use crate::state::{Balance, Cause, Command, Run, State};

/// Tells what a rebalance would move.
pub async fn plan(api: &Api, asked: v1::PlanRebalanceRequest) -> Result<v1::PlanRebalanceReply, ApiError> {
    let moves_max = moves_max(asked.moves_max)?;
    api.look(move |leading| {
        let state = leading.handle.state();
        let moves = shifts(&state, moves_max).into_iter().map(|shift| describe(&state, shift)).collect();
        v1::PlanRebalanceReply { moves, frozen: state.balance().is_frozen() }
    })
    .await
}

/// Moves partitions until each worker has its even share. With nothing to move nothing is begun; a request that began one is
/// answered alike when it is repeated, though nothing may be left by then.
pub async fn run(api: &Api, asked: v1::RunRebalanceRequest) -> Result<v1::ChangeReply, ApiError> {
    let (context, moves_max) = (parse::asked(asked.context)?, moves_max(asked.moves_max)?);
    let request = context.request;
    let look = move |leading: &Leading| {
        let state = leading.handle.state();
        if state.change_of(request).is_some() {
            return None;
        }
        let for_balance = shifts(&state, moves_max).into_iter().filter(|shift| shift.cause == Cause::Balance);
        Some((for_balance.count(), state.revision().0, state.balance()))
    };
    let Some((count, revision, balance)) = api.look(look).await? else {
        return api.change(context, Command::Rebalance { moves_max }, Vec::new()).await;
    };
    if count == 0 && balance == Balance::Idle {
        let notes = vec!["nothing to move: each worker has its even share".to_owned()];
        return Ok(v1::ChangeReply { revision, existed: true, notes });
    }
    let notes = vec![format!("partitions to move: {count}, at most {WAVE_MAX} of a pool at a time")];
    let mut reply = api.change(context, Command::Rebalance { moves_max }, notes).await?;
    if let Some(Run { since, .. }) = balance.run().filter(|_| reply.existed) {
        reply.notes = vec![format!("a rebalance is under way since revision {since}")];
    }
    Ok(reply)
}

/// Has nothing move for balance or to where it is pinned.
pub async fn freeze(api: &Api, asked: v1::FreezeRebalanceRequest) -> Result<v1::ChangeReply, ApiError> {
    api.change(parse::asked(asked.context)?, Command::Freeze, Vec::new()).await
}

/// Ends that.
pub async fn unfreeze(api: &Api, asked: v1::UnfreezeRebalanceRequest) -> Result<v1::ChangeReply, ApiError> {
    api.change(parse::asked(asked.context)?, Command::Unfreeze, Vec::new()).await
}

/// How balance stands.
pub fn state(state: &State) -> v1::RebalanceState {
    let (word, since, run) = match state.balance() {
        Balance::Idle => ("idle", 0, None),
        Balance::Running(run) => ("running", run.since.0, Some(run)),
        Balance::Frozen { since } => ("frozen", since.0, None),
    };
    let (moves, moves_max) = (run.map_or(0, |run| run.moves), run.and_then(|run| run.moves_max));
    v1::RebalanceState { state: word.to_owned(), since, moves, moves_max }
}

fn moves_max(asked: Option<u32>) -> Result<Option<u32>, ApiError> {
    match asked {
        Some(0) => Err(ApiError::Invalid("moves_max: is 0; give at least 1, or leave it out".into())),
        asked => Ok(asked),
    }
}

fn shifts(state: &State, moves_max: Option<u32>) -> Vec<Shift> {
    let mut left = moves_max.map_or(usize::MAX, |max| max as usize);
    let mut all = Vec::new();
    for input in PlanInput::at_rest(state) {
        let shifts = preview(&input, left);
        left -= shifts.iter().filter(|shift| shift.cause == Cause::Balance).count();
        all.extend(shifts);
    }
    all
}

fn describe(state: &State, Shift { partition, from, to, cause }: Shift) -> v1::PlannedMove {
    let worker = |session: SessionId| state.sessions()[&session].worker.to_string();
    let (from, to) = (worker(from), worker(to));
    let text = if cause == Cause::Pinned { format!("{cause} to worker {to}") } else { cause.to_string() };
    v1::PlannedMove { partition: Some(partition.into()), from, to, cause: cause.name().to_owned(), text }
}
