use std::time::Duration;

use common::ids::{Epoch, PoolName};

use super::state_test::{done, fleet, id, life, refused, register, session, step, try_do};
use super::*;

fn hold() -> Command {
    Command::HoldMoves { pool: PoolName::default(), lost: 2, registered: 2, lasts: Duration::from_secs(30) }
}

fn end_hold() -> Command {
    Command::EndHold { pool: Some(PoolName::default()), reason: "test".into() }
}

fn expire(number: u8) -> Command {
    Command::ExpireSession { session: session(number), reason: "test".into(), moves: vec![] }
}

#[test]
fn while_moves_are_held_no_session_is_lost_and_afterwards_each_can_be() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    done(&mut state, hold());
    assert_eq!(try_do(&mut state, hold()).unwrap().effect, Effect::Exists);
    assert_eq!(try_do(&mut state, expire(0)), Err(Rejection::MovesHeld(session(0))));
    done(&mut state, end_hold());
    assert_eq!(try_do(&mut state, end_hold()).unwrap().effect, Effect::Exists);
    done(&mut state, expire(0));
    assert_eq!(life(&state, 0), "unassigned");
    let texts: Vec<_> = state.events().into_iter().filter(|event| event.event.kind == EventKind::Pause).collect();
    let texts: Vec<_> = texts.into_iter().map(|event| event.event.text.as_str()).collect();
    let held = "2 of 2 workers of pool default were lost at once: what they have stays with them for 30s, or until they \
                are back";
    assert_eq!(texts, [held, "partitions of lost workers of pool default move again: test"]);
}

#[test]
fn while_moves_are_held_a_worker_may_start_anew_or_leave_and_what_is_asked_for_is_done() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    done(&mut state, hold());
    done(&mut state, register(7, 0, Some(session(0))));
    let assign = step(&state, 0, Step::Assign { to: session(7) });
    done(&mut state, assign);
    assert_eq!(state.slots[&id(0)].life.owner(), Some((session(7), Epoch(6))));
    done(&mut state, Command::DrainSession { session: session(1) });
    done(&mut state, expire(1));
    let release = step(&state, 0, Step::Release { from: session(7) });
    done(&mut state, release.clone());
    assert_eq!(life(&state, 0), "releasing");
    assert!(matches!(refused(&mut state, release), Rejection::WrongLife { .. }));
}
