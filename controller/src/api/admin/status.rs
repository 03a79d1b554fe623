//! One page about the fleet. Answered by every controller: one that leads says all, another what it knows.

use std::collections::BTreeMap;

use common::ids::{PoolName, RoutePartition};
use proto::v1;

use super::super::view::{Condition, Observed};
use super::super::{Api, Leading};
use super::problems::{self, Standstill};
use super::{controllers, rebalance, routes, workers};
use crate::state::Wish;

/// The page.
pub async fn get(api: &Api) -> v1::GetStatusReply {
    let (controllers, led) = tokio::join!(controllers::all(api), api.look(led));
    let is_led = led.is_ok();
    let mut page = led.unwrap_or_else(|_| unled(api));
    let of_controllers = problems::of_controllers(&controllers, &api.standing(), api.node, is_led);
    page.problems.splice(..0, of_controllers);
    page.controllers = controllers;
    page
}

/// What the leader knows.
fn led(leading: &Leading) -> v1::GetStatusReply {
    let (observed, troubles) = (Observed::of(&leading.handle), leading.handle.troubles());
    let state = leading.handle.state();
    let mut partitions: BTreeMap<Condition, u32> = Condition::ALL.into_iter().map(|one| (one, 0)).collect();
    let mut unassigned = BTreeMap::<PoolName, u32>::new();
    let mut standstills: Vec<Standstill> = problems::standing_topics(&state).collect();
    let sums = observed.sums(&state, |row| {
        *partitions.entry(row.condition).or_default() += 1;
        if row.condition == Condition::Unassigned && state.wish_in(row.topic, row.id) == Wish::Run {
            *unassigned.entry(state.routes()[&row.id.route].settings.pool.clone()).or_default() += 1;
        }
        // What nobody has stands still for its topic's reason, and what is released goes on elsewhere.
        let stands_still = matches!(row.condition, Condition::Waiting | Condition::Failed);
        if let Some(reason) = row.reason.filter(|_| stands_still && row.slot.life.owner().is_some()) {
            let RoutePartition { route, topic, partition } = row.id.clone();
            standstills.push(Standstill { route, topic, partition: Some(partition), reason });
        }
    });
    let workers = workers::all(&state, &observed);
    let routes = routes::all(&state, &sums, &troubles);
    let mut problems = problems::of_holds(&state, &workers);
    problems.extend(problems::of_pools(&unassigned, &workers));
    problems.extend(problems::of_workers(&workers, state.holds()));
    let is_there = |session| observed.liveness.get(&session).is_some_and(|heard| heard.connected);
    problems.extend(problems::of_releases(&state, is_there, leading.handle.overdue_releases()));
    problems.extend(problems::of_flapping(leading.handle.flapping()));
    problems.extend(problems::of_strangers(&state, &leading.handle.strangers()));
    problems.extend(problems::of_routes(&state, &troubles));
    problems.extend(problems::of_standstills(standstills));
    problems.extend(problems::of_retired(&state, &troubles));
    problems.extend(problems::of_balance(state.balance()));
    problems.extend(problems::of_claims(&state, &leading.handle.claim_troubles()));
    v1::GetStatusReply {
        fleet: state.fleet().to_string(),
        led: true,
        revision: state.revision().0,
        controller_epoch: state.controller_epoch().0,
        controllers: Vec::new(),
        workers,
        routes,
        problems,
        partitions: partitions.into_iter().map(|(condition, count)| (condition.name().to_owned(), count)).collect(),
        rebalance: Some(rebalance::state(&state)),
    }
}

/// What any controller knows: its own table, which may be old.
fn unled(api: &Api) -> v1::GetStatusReply {
    let log = api.raft.log();
    let state = log.read();
    let fleet = if api.standing().initialized { state.fleet().to_string() } else { String::new() };
    v1::GetStatusReply {
        fleet,
        revision: state.revision().0,
        controller_epoch: state.controller_epoch().0,
        ..v1::GetStatusReply::default()
    }
}
