use common::ids::{Epoch, WorkerId};

use super::state_test::{done, fleet, id, refused, register, session, step, try_do};
use super::*;

/// One partition on each of two sessions.
fn both_work() -> State {
    let mut state = fleet();
    for (partition, to) in [(0, 0), (1, 1)] {
        let assign = step(&state, partition, Step::Assign { to: session(to) });
        done(&mut state, assign);
    }
    state
}

fn given(state: &State, partition: u32) -> Given {
    Given { partition: id(partition), planned_on: state.slots[&id(partition)].epoch }
}

/// They change places.
fn exchange(state: &State) -> Exchange {
    let (gives, gets) = (given(state, 0), Some(given(state, 1)));
    Exchange { from: session(0), to: session(1), gives, gets, rates: (48 << 20, 5_300_000) }
}

fn worker(number: u8) -> WorkerId {
    WorkerId::new(format!("w{number}")).unwrap()
}

#[test]
fn both_are_released_with_where_they_go_and_why() {
    let mut state = both_work();
    let exchange = exchange(&state);
    done(&mut state, Command::Exchange(vec![exchange]));
    for (partition, to) in [(0, 1), (1, 0)] {
        let slot = &state.slots[&id(partition)];
        let sent = slot.destination.as_ref().unwrap();
        assert_eq!((slot.life.name(), sent.session, sent.cause), ("releasing", session(to), Cause::Load));
        assert_eq!(sent.why, "load: w0 at 48.0 MiB/s, w1 at 5.0 MiB/s");
        let (epoch, planned_on) = (slot.epoch, slot.epoch);
        done(&mut state, Command::Released(vec![command::Release { partition: id(partition), epoch, clean: true }]));
        let step = Step::Assign { to: session(to) };
        done(&mut state, Command::Moves(vec![Move { partition: id(partition), planned_on, step, cause: Cause::Load }]));
        assert_eq!(state.slots[&id(partition)].destination, None);
    }
    let texts: Vec<_> = state.events().into_iter().rev().take(2).map(|event| event.event.text.clone()).collect();
    assert!(texts.iter().all(|text| text.ends_with("load: w0 at 48.0 MiB/s, w1 at 5.0 MiB/s")), "{texts:?}");
}

#[test]
fn both_are_released_or_none() {
    let mut state = both_work();
    let mut stale = exchange(&state);
    stale.gets.as_mut().unwrap().planned_on = Epoch(1);
    assert!(matches!(refused(&mut state, Command::Exchange(vec![stale])), Rejection::StaleEpoch { .. }));
    assert!(state.slots.values().all(|slot| slot.life.name() == "assigned" && slot.destination.is_none()));
}

#[test]
fn nothing_is_exchanged_while_anything_else_is_to_be_done_or_nothing_may_move() {
    let set_up = |commands: Vec<Command>| {
        let mut state = both_work();
        commands.into_iter().for_each(|command| done(&mut state, command));
        let exchange = exchange(&state);
        refused(&mut state, Command::Exchange(vec![exchange]))
    };
    let stays = |why: &str| Rejection::Stays { partition: id(0), why: why.into() };
    assert_eq!(set_up(vec![Command::Freeze]), stays("moves for balance are frozen"));
    assert_eq!(set_up(vec![Command::Rebalance { moves_max: None }]), stays("counts are being evened out"));
    assert_eq!(set_up(vec![register(2, 2, None)]), stays("counts are being evened out"), "a share is owed");
    assert_eq!(set_up(vec![Command::PinPartition { partition: id(0), to: worker(0) }]), stays("it is pinned"));
    let draining = set_up(vec![Command::DrainWorker { worker: worker(1) }]);
    assert_eq!(draining, Rejection::SessionDraining(session(1)));
    let mut state = both_work();
    let mut unknown = exchange(&state);
    unknown.to = session(7);
    assert_eq!(refused(&mut state, Command::Exchange(vec![unknown])), Rejection::UnknownSession(session(7)));
    assert!(try_do(&mut state, Command::Exchange(vec![])).is_ok());
}
