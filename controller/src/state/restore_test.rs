use common::ids::{Epoch, Revision};

use super::invariants;
use super::state_test::{done, fleet, id, life, register, route, session, step};
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
    assert_eq!(state.fleet(), before.fleet());
    let text = format!("the fleet was restored from a backup of revision {}", before.revision());
    let told = state.events().into_iter().find(|event| event.event.text == text).expect("it is told");
    assert_eq!((told.time_ms, told.actor.as_str(), told.revision), (7, "me@here", state.revision()));

    // It goes on: a worker comes back as another session, and gets a greater epoch.
    done(&mut state, register(5, 0, None));
    let assign = step(&state, 0, Step::Assign { to: session(5) });
    done(&mut state, assign);
    assert!(state.slots[&id(0)].epoch > Epoch(before.slots[&id(0)].epoch.0));
}

#[test]
fn a_restored_route_is_a_later_incarnation_that_goes_on_from_earlier_offsets() {
    let mut state = fleet();
    let before = state.routes()[&route(0)].clone();
    assert_eq!(before.offsets_since, before.incarnation);
    state.restore(7, "me@here");
    let after = state.routes()[&route(0)].clone();
    assert_eq!((after.incarnation, after.offsets_since), (state.revision(), before.incarnation));
    state.restore(7, "me@here");
    assert_eq!(state.routes()[&route(0)].offsets_since, before.incarnation, "a restored fleet's backup is restored");
}

#[test]
fn two_restores_from_one_backup_are_told_apart() {
    let backup = fleet();
    let restored = |time_ms| {
        let mut state = backup.clone();
        state.restore(time_ms, "me@here");
        state
    };
    let (first, second) = (restored(1_800_000_000_000), restored(1_800_000_060_000));
    assert!(second.incarnation() > first.incarnation());
    assert!(second.revision().0 >= first.revision().0 + 60_000, "the first one counted on for a minute");
    assert!(second.routes()[&route(0)].incarnation > first.routes()[&route(0)].incarnation);
    let (third, of_second) = (restored(1_800_000_120_000), {
        let mut state = second.clone();
        state.restore(1_800_000_090_000, "me@here");
        state
    });
    assert!(
        third.routes()[&route(0)].incarnation > of_second.routes()[&route(0)].incarnation,
        "the older backup after all"
    );
    assert!(restored(0).revision().0 > backup.revision().0 + 1_000_000, "the clock stands at 1970");
}

#[test]
fn what_was_being_removed_leaves_its_offsets_behind_after_a_restore() {
    let text = |what: &str| format!("the offsets of removed route r0 (group g on cluster a) {what}");
    let remove = Command::RemoveRoute { route: route(0), keep_offsets: false };
    // Once before its last partition was released, and once after it.
    for is_retired in [false, true] {
        let mut state = fleet();
        if !is_retired {
            let assign = step(&state, 0, Step::Assign { to: session(0) });
            done(&mut state, assign);
        }
        done(&mut state, remove.clone());
        assert_eq!(state.retired().contains_key(&route(0)), is_retired);
        state.restore(7, "me@here");
        invariants::check(&state).unwrap();
        assert!(state.retired().is_empty());
        assert!(state.routes().get(&route(0)).is_none_or(|route| route.keep_offsets));
        let told = state.events().into_iter().any(|event| event.event.text == text("are left"));
        assert!(told, "{:#?}", state.events());
    }
}
