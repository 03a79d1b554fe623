use std::collections::BTreeSet;

use common::config::RouteSettings;
use common::ids::{Epoch, PoolName, WorkerId};

use super::command::Release;
use super::state_test::{
    done, fleet, id, life, ready, refused, register, register_in, route, session, settings, step, topic, try_do,
};
use super::*;
use crate::planner::{PlanInput, plan};

fn near() -> PoolName {
    PoolName::new("near").unwrap()
}

fn worker(number: u8) -> WorkerId {
    WorkerId::new(format!("w{number}")).unwrap()
}

fn register_near(number: u8, worker: u8, replaces: Option<SessionId>) -> Command {
    register_in(near(), number, worker, replaces)
}

/// `fleet()` with w2 in another pool, and the route of that, which has three partitions.
fn two_pools() -> State {
    let mut state = fleet();
    done(&mut state, register_near(2, 2, None));
    let settings = RouteSettings { pool: near(), group: "near".into(), ..settings() };
    done(&mut state, Command::AddRoute { route: route(1), settings });
    let report = ready(&state, route(1), topic(0), 7, 3, 0);
    done(&mut state, report);
    state
}

fn near_id(partition: u32) -> RoutePartition {
    RoutePartition { route: route(1), ..id(partition) }
}

/// Does all that the plans of all pools say, once.
fn carry_out(state: &mut State) {
    let moves = PlanInput::now(state).iter().flat_map(|input| plan(input).moves).collect();
    done(state, Command::Moves(moves));
}

fn owners(state: &State, route: &RouteName) -> BTreeSet<SessionId> {
    state.slots_of_route(route).filter_map(|(_, slot)| slot.life.owner()).map(|(session, _)| session).collect()
}

#[test]
fn each_pools_workers_copy_its_own_routes_and_a_loss_moves_nothing_across() {
    let mut state = two_pools();
    carry_out(&mut state);
    assert_eq!(owners(&state, &route(0)), BTreeSet::from([session(0), session(1)]));
    assert_eq!(owners(&state, &route(1)), BTreeSet::from([session(2)]));

    let lost = BTreeSet::from([session(2)]);
    let plan = plan(&PlanInput::of(&state, &near(), &lost));
    assert_eq!(plan.moves, [], "there is nobody else in it");
    assert_eq!(plan.waiting.len(), 3);
    assert_eq!(plan.waiting[0].reason.to_string(), "no worker of pool near takes work");
    done(&mut state, Command::ExpireSession { session: session(2), reason: "test".into(), moves: vec![] });
    let before = owners(&state, &route(0));
    carry_out(&mut state);
    assert_eq!((owners(&state, &route(0)), owners(&state, &route(1))), (before, BTreeSet::new()));

    done(&mut state, register_near(3, 3, None));
    carry_out(&mut state);
    assert_eq!(owners(&state, &route(1)), BTreeSet::from([session(3)]));
}

#[test]
fn nothing_is_given_sent_or_pinned_to_a_worker_of_another_pool() {
    let mut state = two_pools();
    let other_pool = || Rejection::OtherPool {
        worker: worker(2),
        of_worker: near(),
        route: route(0),
        of_route: PoolName::default(),
    };
    let assign = step(&state, 0, Step::Assign { to: session(2) });
    assert_eq!(refused(&mut state, assign), other_pool());
    let to = worker(2);
    for command in
        [Command::MovePartition { partition: id(0), to: to.clone() }, Command::PinPartition { partition: id(0), to }]
    {
        assert_eq!(try_do(&mut state, command), Err(other_pool()));
    }
    let text = other_pool().to_string();
    assert!(text.starts_with("worker w2 is in pool near, route r0 in pool default"), "{text}");
}

#[test]
fn a_worker_that_comes_back_in_another_pool_leaves_what_it_had_and_is_owed_a_share_there() {
    let mut state = two_pools();
    carry_out(&mut state);
    done(&mut state, Command::PinPartition { partition: id(0), to: worker(0) });
    done(&mut state, register_near(9, 0, Some(session(0))));
    assert_eq!(state.sessions()[&session(9)].owed, 2, "three partitions on two");
    assert_eq!((state.budget(&near()), state.budget(&PoolName::default())), (2, 0));
    carry_out(&mut state);
    assert_eq!(owners(&state, &route(0)), BTreeSet::from([session(1)]), "its pin is as none");
    let given = state.slots_of_route(&route(1)).find(|(_, slot)| slot.life.name() == "releasing");
    let (id_given, epoch) = given.map(|(id, slot)| (id.clone(), slot.epoch)).expect("it gets its share");
    done(&mut state, Command::Released(vec![Release { partition: id_given, epoch, clean: true }]));
    carry_out(&mut state);
    assert_eq!(owners(&state, &route(1)), BTreeSet::from([session(2), session(9)]));

    // Nor does it keep the partition from being exchanged for load.
    done(&mut state, register(11, 3, None));
    let gives = Given { partition: id(0), planned_on: state.slots[&id(0)].epoch };
    let exchange = Exchange { from: session(1), to: session(11), gives, gets: None, rates: (2, 1) };
    let mut settled = state.clone();
    done(&mut settled, Command::Settle { sessions: vec![session(11)], run: None });
    done(&mut settled, Command::Exchange(vec![exchange]));

    let to_w1 = || Command::MovePartition { partition: id(0), to: worker(1) };
    assert_eq!(try_do(&mut state, to_w1()).map(|outcome| outcome.effect), Ok(Effect::Exists), "no pin in the way");
    done(&mut state, register(10, 0, Some(session(9))));
    assert!(matches!(try_do(&mut state, to_w1()), Err(Rejection::Pinned { .. })), "the pin is one again");
}

#[test]
fn a_share_that_is_owed_in_one_pool_moves_nothing_in_another() {
    let mut state = two_pools();
    for partition in [0, 1] {
        let assign = step(&state, partition, Step::Assign { to: session(0) });
        done(&mut state, assign);
    }
    done(&mut state, Command::Settle { sessions: vec![session(0), session(1)], run: None });
    assert_eq!((state.budget(&PoolName::default()), state.budget(&near())), (0, 0), "three partitions came after w2");
    done(&mut state, register_near(3, 3, None));
    assert_eq!((state.budget(&PoolName::default()), state.budget(&near())), (0, 2));
    let planned_on = state.slots[&id(0)].epoch;
    let release = Step::Release { from: session(0) };
    let moves = vec![Move { partition: id(0), planned_on, step: release, cause: Cause::Balance }];
    assert!(matches!(refused(&mut state, Command::Moves(moves)), Rejection::Stays { .. }));
    assert_eq!((life(&state, 0), state.slots[&near_id(0)].epoch), ("assigned", Epoch(0)));
}
