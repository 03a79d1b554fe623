//! Brings the table to what the plan wants: finds what was released, plans, proposes the moves.

use std::collections::BTreeSet;
use std::time::Duration;

use common::ids::{Revision, SessionId};
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::changes::Changes;
use super::command_log::ProposeError;
use super::context::Context;
use super::entries::entries;
use super::releases::Releasing;
use super::sessions::board::Superseded;
use super::table_work::TableWork;
use super::tasks::End;
use crate::metrics::{MOVES_TOTAL, PLAN_SECONDS, UNCLEAN_RELEASES_TOTAL};
use crate::planner::{Plan, PlanInput, plan};
use crate::state::command::Release;
use crate::state::{Cause, Command, Effect, Life, Move, Outcome, Session, Slot, State};

/// How soon a round follows one of which a proposal has no known outcome.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Reconciles whenever the table or an inventory changed; changes that come together are dealt with together.
pub(crate) async fn run(context: Context) -> Option<End> {
    let (mut changes, mut work) = (Changes::of(&context), context.table_work());
    loop {
        work.rested().await;
        changes.mark_seen();
        let patience = match reconcile(&context, &mut work).await {
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
async fn reconcile(context: &Context, work: &mut TableWork) -> Result<bool, End> {
    let of = context.clone();
    let Seen { released, superseded } = work.run(move || look(&of)).await;
    let mut all_stand = true;
    for entry in entries(released, |_| 1) {
        all_stand &= give_back(context, entry).await?;
    }
    for command in superseded {
        match context.propose(command).await {
            // Of one that is stale by now nothing is left to be done.
            Ok(_) | Err(ProposeError::Rejected(_)) => {}
            Err(ProposeError::Unknown(_)) => all_stand = false,
            Err(ProposeError::NotLeader) => return Err(End::NotLeader),
        }
    }
    let of = context.clone();
    let (moves, settled) = work.run(move || replan(&of)).await;
    for step in &moves {
        let partition = &step.partition;
        info!(route = %partition.route, topic = %partition.topic, partition = %partition.partition, "{step}");
    }
    for moves in entries(moves, |_| 1) {
        let outcome = context.propose_or_log(Command::Moves(moves.clone())).await?;
        tell_of_refused(outcome.as_ref());
        count_moves(&moves, outcome.as_ref());
        all_stand &= outcome.is_some();
    }
    if let Some(settled) = settled {
        all_stand &= context.propose_or_log(settled).await?.is_some();
    }
    Ok(all_stand)
}

/// What the workers say that is not in the table yet.
struct Seen {
    released: Vec<Release>,
    superseded: Vec<Command>,
}

fn look(context: &Context) -> Seen {
    let state = context.log.read();
    let releasing = releasing(&state);
    context.releases.note(&releasing, Instant::now());
    Seen { released: released(&releasing, context), superseded: superseded(&state, context) }
}

/// What is to be done now, and what has come to rest.
fn replan(context: &Context) -> (Vec<Move>, Option<Command>) {
    let (mut inputs, resting, holds) = {
        let state = context.log.read();
        (PlanInput::now(&state), Resting::of(&state), state.holds().clone())
    };
    if !holds.is_empty() {
        let missing = context.missing();
        inputs.iter_mut().filter(|input| holds.contains_key(&input.pool)).for_each(|input| input.miss(&missing));
    }
    let plans: Vec<Plan> = inputs.iter().map(timed_plan).collect();
    let settled = resting.settled(&inputs, &plans);
    (plans.into_iter().flat_map(|plan| plan.moves).collect(), settled)
}

/// What comes to rest once nothing is left to be moved.
struct Resting {
    owed: Vec<SessionId>,
    run: Option<Revision>,
}

impl Resting {
    /// Nothing is settled in a pool while its moves are held.
    fn of(state: &State) -> Self {
        let is_open = |session: &Session| session.owed > 0 && !state.holds().contains_key(&session.pool);
        let owed = state.sessions().iter().filter(|(_, session)| is_open(session)).map(|(id, _)| *id).collect();
        Self { owed, run: state.balance().run().map(|run| run.since) }
    }

    /// Sessions that have their even share, and a rebalance that could move something now and finds nothing to move. What
    /// can't move yet is still owed to a session, but not waited for by a rebalance.
    fn settled(self, inputs: &[PlanInput], plans: &[Plan]) -> Option<Command> {
        let rests = |plan: &Plan| !plan.moves.iter().any(|step| step.cause.is_choice());
        let is_even = |id: &SessionId| {
            let mut even = inputs.iter().zip(plans).filter(|(_, plan)| rests(plan) && !plan.is_uneven);
            even.any(|(input, _)| input.sessions.contains_key(id))
        };
        let sessions: Vec<SessionId> = self.owed.into_iter().filter(is_even).collect();
        let can_move = inputs.iter().zip(plans).all(|(input, plan)| input.wave > 0 || !plan.is_uneven);
        let run = self.run.filter(|_| can_move && plans.iter().all(rests));
        (!sessions.is_empty() || run.is_some()).then_some(Command::Settle { sessions, run })
    }
}

/// What raises the epochs of grants that could not be claimed, since the table is an older one than the offsets.
fn superseded(state: &State, context: &Context) -> Vec<Command> {
    if context.config.may_have_rival {
        return Vec::new();
    }
    let raise = |superseded: Superseded| {
        let Superseded { session, partition, granted, stored } = superseded;
        let life = state.slots().get(&partition)?.life;
        let is_granted =
            matches!(life, Life::Assigned { session: owner, epoch } if (owner, epoch) == (session, granted));
        is_granted.then_some(Command::RaiseEpoch { partition, granted, stored })
    };
    context.board.superseded().into_iter().filter_map(raise).collect()
}

/// Plans, and takes the time.
pub(crate) fn timed_plan(input: &PlanInput) -> Plan {
    let begin = std::time::Instant::now();
    let plan = plan(input);
    metrics::histogram!(PLAN_SECONDS).record(begin.elapsed());
    plan
}

/// Counts the moves of an entry that were made.
pub(crate) fn count_moves(moves: &[Move], outcome: Option<&Outcome>) {
    count_applied(moves.iter().map(|step| (step.cause, 1)), outcome);
}

/// Counts the items of a batch that were applied, by what made them necessary and how many steps each is.
pub(crate) fn count_applied(items: impl Iterator<Item = (Cause, u64)>, outcome: Option<&Outcome>) {
    for (cause, steps) in applied(items, outcome) {
        metrics::counter!(MOVES_TOTAL, "reason" => cause.name()).increment(steps);
    }
}

/// The items of a batch that were applied.
fn applied<T>(items: impl Iterator<Item = T>, outcome: Option<&Outcome>) -> impl Iterator<Item = T> {
    let refused = match outcome {
        Some(Outcome { effect: Effect::Batch { refused, .. }, .. }) => {
            Some(refused.iter().map(|refused| refused.index).collect::<BTreeSet<_>>())
        }
        _ => None,
    };
    let is_applied = move |index: &usize| refused.as_ref().is_some_and(|refused| !refused.contains(index));
    items.enumerate().filter(move |(index, _)| is_applied(index)).map(|(_, item)| item)
}

/// What sessions were told to give back.
fn releasing(state: &State) -> Vec<Releasing<'_>> {
    let releasing = |(partition, slot): (_, &Slot)| match slot.life {
        Life::Releasing { session, epoch, since } => Some(Releasing { partition, session, epoch, since }),
        _ => None,
    };
    state.slots().iter().filter_map(releasing).collect()
}

/// What a session has given back, and the table does not say so yet.
pub(crate) fn given_back_by(context: &Context, session: SessionId) -> Vec<Release> {
    let state = context.log.read();
    let mut releasing = releasing(&state);
    releasing.retain(|releasing| releasing.session == session);
    released(&releasing, context)
}

/// Has the table say what was given back, as much as one entry takes. Returns whether the proposal has an outcome.
pub(crate) async fn give_back(context: &Context, entry: Vec<Release>) -> Result<bool, End> {
    if entry.is_empty() {
        return Ok(true);
    }
    let outcome = context.propose_or_log(Command::Released(entry.clone())).await?;
    tell_of_refused(outcome.as_ref());
    let unclean = applied(entry.iter(), outcome.as_ref()).filter(|release| !release.clean).count();
    metrics::counter!(UNCLEAN_RELEASES_TOTAL).increment(unclean as u64);
    Ok(outcome.is_some())
}

/// *Released* is derived: the session applied the release or a later change, and no longer lists the partition.
fn released(releasing: &[Releasing<'_>], context: &Context) -> Vec<Release> {
    let released = |&Releasing { partition, session, epoch, since }: &Releasing<'_>| {
        let clean = context.board.released(session, (partition, epoch), since)?;
        Some(Release { partition: partition.clone(), epoch, clean })
    };
    releasing.iter().filter_map(released).collect()
}

/// A step that the table has moved on from is refused, and planned anew if it is still wanted.
pub(crate) fn tell_of_refused(outcome: Option<&Outcome>) {
    let Some(Outcome { revision, effect: Effect::Batch { refused, .. } }) = outcome else { return };
    if let Some(first) = refused.first() {
        info!(%revision, steps = refused.len(), first = %first.rejection, "stale steps were refused");
    }
}

#[cfg(test)]
#[path = "reconcile_test.rs"]
mod reconcile_test;
