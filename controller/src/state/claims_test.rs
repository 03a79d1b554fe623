use common::ids::Epoch;
use common::offsets::NextOffset;

use super::state_test::{done, fleet, id, life, ready, refused, resume, route, session, step, topic};
use super::*;

/// A fleet whose first session was lost with the first partition, of which its second one has the second.
fn lost() -> State {
    let mut state = fleet();
    for partition in [0, 1] {
        let assign = step(&state, partition, Step::Assign { to: session(partition as u8) });
        done(&mut state, assign);
    }
    done(&mut state, Command::ExpireSession { session: session(0), reason: "test".into(), moves: vec![] });
    state
}

fn begin(state: &State) -> Command {
    Command::BeginClaims(vec![ClaimBegin { partition: id(0), planned_on: state.slots[&id(0)].epoch }])
}

fn end(epoch: u64, outcome: ClaimOutcome) -> Command {
    Command::EndClaims(vec![ClaimEnd { partition: id(0), epoch: Epoch(epoch), outcome }])
}

fn pause() -> Command {
    Command::PauseTopic { route: route(0), topic: topic(0), partition: None, reason: "test".into() }
}

fn remove() -> Command {
    Command::RemoveTopic { route: route(0), topic: topic(0) }
}

#[test]
fn what_was_lost_is_claimed_under_an_epoch_that_no_session_gets() {
    let mut state = lost();
    done(&mut state, pause());
    let claim = begin(&state);
    done(&mut state, claim.clone());
    assert_eq!(state.slots[&id(0)].epoch, Epoch(6));
    assert!(matches!(refused(&mut state, claim), Rejection::StaleEpoch { .. }));
    let again = begin(&state);
    assert!(matches!(refused(&mut state, again), Rejection::WrongLife { .. }), "once");
    let stale = end(5, ClaimOutcome::NothingStored);
    assert!(matches!(refused(&mut state, stale), Rejection::WrongLife { .. }));
    done(&mut state, end(6, ClaimOutcome::Stands(NextOffset(40))));
    assert!(!state.slots[&id(0)].owes_claim());
    let mut told = state.events().into_iter().filter(|event| event.event.kind == EventKind::Fence);
    assert!(told.next_back().is_some_and(|event| event.event.text.contains("under epoch 6 at offset 40")));
    done(&mut state, resume(None, false));
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    let slot = &state.slots[&id(0)];
    assert_eq!((slot.life.owner(), slot.leader_claim), (Some((session(1), Epoch(7))), None));
}

#[test]
fn what_is_to_be_copied_what_was_given_back_and_what_somebody_has_is_not_claimed() {
    let mut state = lost();
    let claim = begin(&state);
    assert!(matches!(refused(&mut state, claim), Rejection::WrongLife { .. }), "it only lacks a worker");
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    done(&mut state, pause());
    let claim = begin(&state);
    assert!(matches!(refused(&mut state, claim), Rejection::WrongLife { .. }), "its owner obeys");
    let release = step(&state, 0, Step::Release { from: session(1) });
    done(&mut state, release);
    done(&mut state, Command::Released(vec![command::Release { partition: id(0), epoch: Epoch(6), clean: true }]));
    let claim = begin(&state);
    assert!(matches!(refused(&mut state, claim), Rejection::WrongLife { .. }), "it was given back");
}

#[test]
fn a_removed_topic_that_was_lost_goes_once_it_is_claimed() {
    for outcome in [ClaimOutcome::Stands(NextOffset(3)), ClaimOutcome::NothingStored, ClaimOutcome::GivenUp] {
        let mut state = lost();
        done(&mut state, remove());
        assert_eq!(life(&state, 0), "unassigned", "it stays for its claim");
        let claim = begin(&state);
        done(&mut state, claim);
        done(&mut state, end(6, outcome));
        assert!(!state.slots.contains_key(&id(0)) && state.slots.contains_key(&id(1)), "{outcome:?}");
        assert_eq!(state.routes()[&route(0)].epoch_floor, Epoch(6), "{outcome:?}");
    }
}

#[test]
fn a_removed_topic_that_is_added_again_before_it_was_claimed_is_granted_as_any_other() {
    let mut state = lost();
    done(&mut state, remove());
    let claim = begin(&state);
    done(&mut state, claim);
    done(&mut state, Command::AddTopic { route: route(0), topic: topic(0), target: topic(0), start: None });
    let found = ready(&state, route(0), topic(0), 1, 2, 0);
    done(&mut state, found);
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    assert_eq!(state.slots[&id(0)].life.owner(), Some((session(1), Epoch(7))));
}

#[test]
fn a_route_that_goes_with_its_offsets_waits_for_no_claim_and_one_that_leaves_them_does() {
    let gone = |keep_offsets| {
        let mut state = lost();
        done(&mut state, Command::RemoveRoute { route: route(0), keep_offsets });
        done(&mut state, Command::ExpireSession { session: session(1), reason: "test".into(), moves: vec![] });
        state.routes().is_empty()
    };
    assert!(gone(false) && !gone(true));
}
