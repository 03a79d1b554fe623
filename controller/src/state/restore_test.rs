use common::ids::{Epoch, Revision};

use super::invariants;
use super::state_test::{done, fleet, id, life, register, session, step};
use super::*;

#[test]
fn a_restored_table_beats_the_one_that_was_lost_and_has_no_sessions() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    let before = state.clone();
    state.restore(7, "me@here");
    invariants::check(&state).unwrap();
    invariants::check_step(&before, &state).unwrap();
    assert!(state.incarnation() > before.incarnation());
    assert!(state.revision() > Revision(before.revision().0 + 1_000_000), "revisions may have been given since");
    assert!(state.sessions().is_empty());
    assert!(state.workers().values().all(|worker| worker.presence == Presence::Lost));
    assert_eq!((life(&state, 0), state.slots[&id(0)].epoch), ("unassigned", before.slots[&id(0)].epoch));
    assert_eq!((state.fleet(), state.routes()), (before.fleet(), before.routes()));
    let text = format!("the fleet was restored from a backup of revision {}", before.revision());
    let told = state.events().into_iter().find(|event| event.event.text == text).expect("it is told");
    assert_eq!((told.time_ms, told.actor.as_str(), told.revision), (7, "me@here", state.revision()));

    // It goes on: a worker comes back as another session, and gets a greater epoch.
    done(&mut state, register(5, 0, None));
    let assign = step(&state, 0, Step::Assign { to: session(5) });
    done(&mut state, assign);
    assert!(state.slots[&id(0)].epoch > Epoch(before.slots[&id(0)].epoch.0));
}
