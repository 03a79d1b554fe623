use common::ids::{Epoch, PoolName, Revision, WorkerId};
use common::weight::Weight;

use super::state_test::{done, fleet, id, ready, refused, register, route, session, step, topic, try_do};
use super::*;

/// Both partitions on the first session.
fn uneven() -> State {
    let mut state = fleet();
    for partition in [0, 1] {
        let assign = step(&state, partition, Step::Assign { to: session(0) });
        done(&mut state, assign);
    }
    state
}

fn release(partition: u32, cause: Cause) -> Command {
    let step = Step::Release { from: session(0) };
    Command::Moves(vec![Move { partition: id(partition), planned_on: Epoch(5), step, cause }])
}

fn effect(state: &mut State, command: Command) -> Result<Effect, Rejection> {
    try_do(state, command).map(|outcome| outcome.effect)
}

fn stays(why: &str) -> Rejection {
    Rejection::Stays { partition: id(0), why: why.into() }
}

fn told(state: &State) -> Vec<String> {
    let admin = state.events().into_iter().filter(|event| event.event.kind == EventKind::Admin);
    admin.map(|event| event.event.text.clone()).collect()
}

#[test]
fn a_move_for_balance_is_made_only_while_there_is_a_budget() {
    let mut state = uneven();
    let nothing = stays("nothing more is to move for balance");
    assert_eq!(refused(&mut state, release(0, Cause::Balance)), nothing);
    done(&mut state, Command::Rebalance { moves_max: Some(1) });
    let since = state.revision;
    assert_eq!(effect(&mut state, Command::Rebalance { moves_max: Some(1) }), Ok(Effect::Exists));
    done(&mut state, release(1, Cause::Balance));
    assert_eq!(
        (state.budget(&PoolName::default()), state.balance()),
        (0, Balance::Running(Run { since, moves_max: Some(1), moves: 1 }))
    );
    assert_eq!(refused(&mut state, release(0, Cause::Balance)), nothing);
    done(&mut state, Command::Settle { sessions: vec![], run: Some(Revision(0)) });
    assert!(state.balance().run().is_some(), "another one is over");
    done(&mut state, Command::Settle { sessions: vec![], run: Some(since) });
    assert_eq!(state.balance(), Balance::Idle);
    let over = format!("the rebalance of revision {since} is over; moved: 1");
    assert_eq!(told(&state)[told(&state).len() - 2..], ["a rebalance begins; moves at the most: 1".into(), over]);
}

#[test]
fn what_is_owed_to_a_session_is_spent_before_what_an_operator_gave() {
    let mut state = uneven();
    done(&mut state, register(2, 2, None));
    done(&mut state, Command::Rebalance { moves_max: None });
    assert_eq!((state.sessions()[&session(2)].owed, state.budget(&PoolName::default())), (1, usize::MAX));
    for (partition, owed, moves) in [(0, 0, 0), (1, 0, 1)] {
        done(&mut state, release(partition, Cause::Balance));
        let run = state.balance().run().unwrap();
        assert_eq!((state.sessions()[&session(2)].owed, run.moves), (owed, moves));
    }
}

#[test]
fn the_share_of_a_worker_is_by_its_weight() {
    for (weight, partitions, share) in [(1, 12, 4), (1, 13, 5), (2, 12, 7), (10, 12, 11), (1_000, 12, 13)] {
        let mut state = fleet();
        let report = ready(&state, route(0), topic(0), 1, partitions, 4);
        done(&mut state, report);
        let (worker, weight) = (WorkerId::new("w2").unwrap(), Weight::try_from(weight).unwrap());
        let (address, software, pool) = ("here".into(), "0".into(), PoolName::default());
        let session = session(2);
        let join = Command::RegisterSession { session, worker, address, software, weight, pool, replaces: None };
        done(&mut state, join);
        assert_eq!(state.sessions()[&session].owed, share, "{partitions} partitions, weight {weight}");
    }
}

#[test]
fn a_frozen_fleet_moves_nothing_by_choice_and_all_else() {
    let mut state = uneven();
    done(&mut state, Command::PinPartition { partition: id(0), to: WorkerId::new("w1").unwrap() });
    done(&mut state, Command::Rebalance { moves_max: None });
    done(&mut state, Command::Freeze);
    assert_eq!(effect(&mut state, Command::Freeze), Ok(Effect::Exists));
    let is_over = |text: &String| text.ends_with("is over; moved: 0");
    assert!(told(&state).iter().any(is_over), "it does not go on by itself when the freeze ends: {:?}", told(&state));
    assert_eq!(effect(&mut state, Command::Rebalance { moves_max: None }), Err(Rejection::Frozen));
    done(&mut state, register(2, 2, None));
    done(&mut state, Command::BeginLeadership);
    assert!(state.balance().is_frozen(), "under another leader, too");
    for cause in [Cause::Pinned, Cause::Balance] {
        assert_eq!(refused(&mut state, release(0, cause)), stays("moves for balance are frozen"));
    }
    done(&mut state, release(1, Cause::Drain));
    done(&mut state, Command::Unfreeze);
    assert_eq!(effect(&mut state, Command::Unfreeze), Ok(Effect::Exists));
    assert_eq!(
        (state.balance(), state.budget(&PoolName::default())),
        (Balance::Idle, 1),
        "the share of one that came meanwhile"
    );
    done(&mut state, release(0, Cause::Pinned));
}

#[test]
fn a_move_by_choice_is_refused_once_its_cause_is_gone() {
    let mut state = uneven();
    let worker = |name: &str| WorkerId::new(name).unwrap();
    assert_eq!(refused(&mut state, release(0, Cause::Pinned)), stays("it is not pinned to another worker"));
    done(&mut state, Command::Rebalance { moves_max: None });
    done(&mut state, Command::PinPartition { partition: id(0), to: worker("w0") });
    assert_eq!(refused(&mut state, release(0, Cause::Balance)), stays("it is pinned where it is"));
    assert_eq!(refused(&mut state, release(0, Cause::Pinned)), stays("it is not pinned to another worker"));
}
