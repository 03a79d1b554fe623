//! The balance of load: looks at what partitions bring, and has workers that copy far more than their share exchange
//! partitions with those that copy less.
//!
//! A loop of its own beside `reconcile`, which knows counts alone and never waits for this one. It does nothing while
//! anything else is going on: a worker is missing or moves are held, something is between two owners, counts are being
//! evened out, moves are frozen. What it decides is the planner's (`even_out`), what it does is a command.
//!
//! ```text
//!   Progress --look--> meters --Traffic of a pool--> even_out --> Command::Exchange --> reconcile assigns
//! ```
//!
//! Always true:
//!
//! - what has not been where it is for a cool-down is not moved; a new leader waits as long, since it does not know
//! - a wave at a time, and it is the same one that counts, joins and pins use

mod meters;
#[cfg(test)]
mod traffic_test;

use std::collections::BTreeSet;
use std::time::Duration;

use common::ids::PoolName;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use super::context::Context;
use super::reconcile::{count_applied, tell_of_refused};
use super::tasks::End;
use crate::planner::{Candidate, Evening, Flow, Place, PlanInput, Traffic, even_out};
use crate::state::{Cause, Command, Exchange, Wish};

pub(crate) use meters::{Meter, Meters};

/// How often rates are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks and evens out until the leadership is over.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut under_way = BTreeSet::new();
    let mut work = context.table_work();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (of, now, before) = (context.clone(), Instant::now(), under_way.clone());
        let evenings = work.run(move || {
            look(&of, now);
            let even_out = |(pool, traffic)| (pool, even_out(&traffic));
            traffic(&of, &before, now).into_iter().map(even_out).collect::<Vec<_>>()
        });
        for (pool, Evening { exchanges, is_under_way }) in evenings.await {
            under_way.remove(&pool);
            under_way.extend(is_under_way.then_some(pool));
            if let Err(end) = propose(&context, exchanges).await {
                return Some(end);
            }
        }
    }
}

/// Looks at what is reported, session by session: each is locked for a moment only.
fn look(context: &Context, now: Instant) {
    context.meters.align(context.log.read().slots().keys());
    for session in context.board.sessions() {
        context.meters.look(&context.board.progress_of(session), now);
    }
}

async fn propose(context: &Context, exchanges: Vec<Exchange>) -> Result<(), End> {
    if exchanges.is_empty() {
        return Ok(());
    }
    for exchange in &exchanges {
        let gets = exchange.gets.as_ref().map(|given| given.partition.to_string()).unwrap_or_default();
        info!(gives = %exchange.gives.partition, gets, from = %exchange.from, to = %exchange.to, "load is evened out");
    }
    let outcome = context.propose_or_log(Command::Exchange(exchanges.clone())).await?;
    tell_of_refused(outcome.as_ref());
    let released = |exchange: &Exchange| (Cause::Load, 1 + u64::from(exchange.gets.is_some()));
    count_applied(exchanges.iter().map(released), outcome.as_ref());
    Ok(())
}

/// What is copied by whom, of each pool in which something may be done about it now.
fn traffic(context: &Context, under_way: &BTreeSet<PoolName>, now: Instant) -> Vec<(PoolName, Traffic)> {
    let missing = context.missing();
    let mut inputs = PlanInput::now(&context.log.read());
    // Nothing may move by choice now, or counts come first, or somebody is missing.
    inputs.retain(|input| {
        let all_are_there = !input.sessions.keys().any(|session| missing.contains(session));
        input.wave > 0 && input.budget == 0 && input.sessions.len() > 1 && all_are_there
    });
    if inputs.is_empty() {
        return Vec::new();
    }
    let copying = context.board.copying();
    let cool_down = context.config.load_cool_down;
    let flow = |candidate: &Candidate| {
        let Place::On(session) = candidate.place else { return None };
        let partition = candidate.partition.clone();
        let meter = context.meters.of(&partition);
        let has_cooled = |meter: &Meter| meter.epoch == candidate.epoch && meter.has_cooled(now, cool_down);
        let may_move = candidate.wish == Wish::Run && candidate.pin.is_none();
        // What stands still is not helped by another worker, nor would it be a help.
        let is_copied = copying.get(&session).is_some_and(|all| all.binary_search(&partition).is_ok());
        let is_free = meter.as_ref().is_some_and(has_cooled) && may_move && is_copied;
        Some(Flow { partition, epoch: candidate.epoch, session, rate: meter.map_or(0, |meter| meter.rate), is_free })
    };
    let traffic = |input: PlanInput| {
        let (sessions, flows) = (input.working().collect(), input.partitions.iter().filter_map(flow).collect());
        let is_under_way = under_way.contains(&input.pool);
        (input.pool, Traffic { sessions, flows, is_under_way, budget: input.wave })
    };
    inputs.into_iter().map(traffic).collect()
}
