use std::collections::BTreeMap;

use common::ids::{ClusterName, Epoch, FleetId, FleetIncarnation, Partition, Revision, RoutePartition, WorkerId};
use common::reason::Reason;

use super::command::Release;
use super::state_test::{
    done, fleet, id, life, ready, refused, register, resume, route, session, settings, step, topic, try_do, waiting,
};
use super::*;

/// Whom a partition was sent to.
fn sent(state: &State, partition: u32) -> Option<SessionId> {
    state.slots[&id(partition)].destination.as_ref().map(|sent| sent.session)
}

#[test]
fn a_partition_is_moved_by_release_to_the_worker_an_operator_names() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    let move_to = |worker: &str| Command::MovePartition { partition: id(0), to: WorkerId::new(worker).unwrap() };
    let effect = |state: &mut State, command| try_do(state, command).map(|outcome| outcome.effect);
    assert_eq!(effect(&mut state, move_to("w0")), Ok(Effect::Exists), "it is there already");
    assert_eq!(effect(&mut state, move_to("w9")), Err(Rejection::UnknownWorker(WorkerId::new("w9").unwrap())));
    assert_eq!(effect(&mut state, move_to("w1")), Ok(Effect::Done));
    assert_eq!(effect(&mut state, move_to("w1")), Ok(Effect::Exists), "it is on its way");
    assert_eq!((life(&state, 0), sent(&state, 0)), ("releasing", Some(session(1))));
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    assert_eq!(sent(&state, 0), Some(session(1)));
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    assert_eq!(sent(&state, 0), None);
}

#[test]
fn a_partition_is_not_moved_to_a_worker_that_takes_no_work_nor_while_it_is_not_to_run() {
    let mut state = fleet();
    let worker = |name: &str| WorkerId::new(name).unwrap();
    let move_to = |name: &str| Command::MovePartition { partition: id(0), to: worker(name) };
    done(&mut state, Command::DrainWorker { worker: worker("w1") });
    assert_eq!(try_do(&mut state, move_to("w1")), Err(Rejection::WorkerDraining(worker("w1"))));
    done(&mut state, move_to("w0"));
    done(&mut state, Command::ExpireSession { session: session(0), reason: "test".into(), moves: vec![] });
    assert_eq!(sent(&state, 0), None, "its destination went");
    assert_eq!(try_do(&mut state, move_to("w0")), Err(Rejection::WorkerAbsent(worker("w0"))));
    done(&mut state, Command::UndrainWorker { worker: worker("w1") });
    done(&mut state, Command::PauseRoute { route: route(0), reason: "test".into() });
    assert!(matches!(try_do(&mut state, move_to("w1")), Err(Rejection::NotWanted { .. })));
}

#[test]
fn a_pin_stands_over_its_workers_restarts_and_beats_a_move() {
    let mut state = fleet();
    let worker = |name: &str| WorkerId::new(name).unwrap();
    let pin = |name: &str| Command::PinPartition { partition: id(0), to: worker(name) };
    let unpin = || Command::UnpinPartition { partition: id(0) };
    let move_to = |name: &str| Command::MovePartition { partition: id(0), to: worker(name) };
    let effect = |state: &mut State, command| try_do(state, command).map(|outcome| outcome.effect);
    assert_eq!(effect(&mut state, pin("w9")), Err(Rejection::UnknownWorker(worker("w9"))));
    let other = RoutePartition { partition: Partition(9), ..id(0) };
    let pin_other = Command::PinPartition { partition: other.clone(), to: worker("w0") };
    assert_eq!(effect(&mut state, pin_other), Err(Rejection::UnknownPartition(other)));
    assert_eq!(effect(&mut state, unpin()), Ok(Effect::Exists));
    done(&mut state, move_to("w1"));
    done(&mut state, pin("w0"));
    assert_eq!(sent(&state, 0), None, "the last word counts");
    assert_eq!(effect(&mut state, pin("w0")), Ok(Effect::Exists));
    let pinned = Rejection::Pinned { partition: id(0), worker: worker("w0") };
    assert!(pinned.to_string().ends_with("replisome assignment unpin --route r0 --topic t0 --partition 0"));
    assert_eq!(effect(&mut state, move_to("w1")), Err(pinned));
    done(&mut state, register(7, 0, Some(session(0))));
    assert_eq!(state.pinned_session(&id(0), &state.slots[&id(0)]), Some(session(7)));
    done(&mut state, Command::ExpireSession { session: session(7), reason: "test".into(), moves: vec![] });
    assert_eq!(state.pinned_session(&id(0), &state.slots[&id(0)]), None);
    done(&mut state, move_to("w1"));
    assert_eq!(sent(&state, 0), Some(session(1)), "while its worker is gone it may go anywhere");
    done(&mut state, unpin());
    assert_eq!(state.slots[&id(0)].pin, None);
}

#[test]
fn a_pinned_move_names_the_worker_of_the_pin() {
    let mut state = fleet();
    done(&mut state, Command::PinPartition { partition: id(0), to: WorkerId::new("w1").unwrap() });
    let step = Step::Assign { to: session(1) };
    let assign = Move { partition: id(0), planned_on: Epoch(4), step, cause: Cause::Pinned };
    done(&mut state, Command::Moves(vec![assign]));
    let texts: Vec<_> = state.events().into_iter().map(|event| event.event.text.as_str()).collect();
    assert!(texts.last().is_some_and(|text| text.ends_with("epoch 5): it is pinned to worker w1")), "{texts:?}");
    assert!(texts.contains(&"r0:t0/0 is pinned to worker w1"), "{texts:?}");
}

#[test]
fn a_drained_worker_stays_drained_over_its_restarts() {
    let mut state = fleet();
    let worker = WorkerId::new("w0").unwrap();
    done(&mut state, Command::DrainWorker { worker: worker.clone() });
    assert_eq!(try_do(&mut state, Command::DrainWorker { worker: worker.clone() }).unwrap().effect, Effect::Exists);
    done(&mut state, register(7, 0, Some(session(0))));
    assert!(state.is_draining(session(7)) && state.workers()[&worker].drained);
    let assign = step(&state, 0, Step::Assign { to: session(7) });
    assert_eq!(refused(&mut state, assign), Rejection::SessionDraining(session(7)));
    done(&mut state, Command::UndrainWorker { worker: worker.clone() });
    assert!(!state.is_draining(session(7)));
    done(&mut state, Command::DrainSession { session: session(7) });
    done(&mut state, Command::DrainWorker { worker: worker.clone() });
    done(&mut state, Command::UndrainWorker { worker });
    assert!(state.is_draining(session(7)), "its process is shutting down all the same");
}

#[test]
fn an_even_share_is_owed_to_who_comes_or_takes_work_again_until_it_is_given() {
    let mut state = fleet();
    let worker = WorkerId::new("w2").unwrap();
    let owed = |state: &State, number| state.sessions()[&session(number)].owed;
    let settle = |number| Command::Settle { sessions: vec![session(number), session(9)], run: None };
    assert_eq!((owed(&state, 0), owed(&state, 1)), (0, 0), "there was nothing to share when they came");
    done(&mut state, register(2, 2, None));
    assert_eq!(owed(&state, 2), 1, "two partitions by three, rounded up");
    done(&mut state, register(7, 2, Some(session(2))));
    assert_eq!(owed(&state, 7), 1, "nothing was given to the session whose place it took");
    done(&mut state, settle(7));
    done(&mut state, register(8, 2, Some(session(7))));
    assert_eq!(owed(&state, 8), 0);
    done(&mut state, Command::UndrainWorker { worker: worker.clone() });
    assert_eq!(owed(&state, 8), 0, "it was not drained");
    done(&mut state, Command::DrainWorker { worker: worker.clone() });
    done(&mut state, Command::UndrainWorker { worker: worker.clone() });
    assert_eq!(owed(&state, 8), 1);
    done(&mut state, Command::DrainSession { session: session(8) });
    assert_eq!(owed(&state, 8), 0);
    done(&mut state, register(3, 2, Some(session(8))));
    assert_eq!(owed(&state, 3), 1, "its earlier self was giving everything away");
}

#[test]
fn a_worker_that_drained_and_ended_has_left_and_any_other_is_lost() {
    let mut state = fleet();
    let presence = |state: &State, worker: &str| state.workers()[&WorkerId::new(worker).unwrap()].presence;
    let end = |number| Command::ExpireSession { session: session(number), reason: "test".into(), moves: vec![] };
    assert_eq!(presence(&state, "w0"), Presence::Registered);
    done(&mut state, Command::DrainSession { session: session(0) });
    done(&mut state, end(0));
    assert_eq!(presence(&state, "w0"), Presence::Left);
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    done(&mut state, Command::DrainSession { session: session(1) });
    assert!(matches!(state.slots[&id(0)].life, Life::Releasing { .. }), "what it has is taken back at once");
    done(&mut state, end(1));
    assert_eq!(presence(&state, "w1"), Presence::Lost, "it had not given back what it had");
}

#[test]
fn absent_workers_are_forgotten_the_oldest_first_and_those_somebody_spoke_of_never() {
    let mut state = fleet();
    let pinned = WorkerId::new("w2").unwrap();
    done(&mut state, register(2, 2, None));
    done(&mut state, Command::PinPartition { partition: id(0), to: pinned.clone() });
    done(&mut state, Command::DrainWorker { worker: WorkerId::new("w0").unwrap() });
    for number in [0, 1, 2] {
        done(&mut state, Command::ExpireSession { session: session(number), reason: "test".into(), moves: vec![] });
    }
    let worker = |number: usize| WorkerId::new(format!("x{number}")).unwrap();
    for number in 0..workers::ABSENT_WORKERS_MAX {
        let known =
            Worker { since: Revision(100 + number as u64), ..state.workers()[&WorkerId::new("w1").unwrap()].clone() };
        state.workers.insert(worker(number), known);
    }
    state.forget_workers();
    assert!(!state.workers().contains_key(&WorkerId::new("w1").unwrap()), "the oldest");
    assert!(state.workers().contains_key(&WorkerId::new("w0").unwrap()), "drained");
    assert!(state.workers().contains_key(&pinned), "pinned");
    assert_eq!(state.workers().len(), 2 + workers::ABSENT_WORKERS_MAX);
    done(&mut state, Command::UnpinPartition { partition: id(0) });
    assert_eq!(state.workers().len(), 1 + workers::ABSENT_WORKERS_MAX);
    assert!(!state.workers().contains_key(&pinned), "nobody speaks of it any more");
}

#[test]
fn a_worker_is_removed_with_all_that_was_said_of_it_once_it_is_not_there() {
    let mut state = fleet();
    let worker = WorkerId::new("w0").unwrap();
    let remove = || Command::RemoveWorker { worker: worker.clone() };
    let refusal = try_do(&mut state, remove()).unwrap_err();
    assert_eq!(refusal, Rejection::WorkerPresent(worker.clone()));
    assert!(refusal.to_string().contains("stop its process first") && refusal.to_string().contains("worker drain w0"));
    done(&mut state, Command::DrainWorker { worker: worker.clone() });
    done(&mut state, Command::PinPartition { partition: id(1), to: worker.clone() });
    done(&mut state, Command::ExpireSession { session: session(0), reason: "test".into(), moves: vec![] });
    done(&mut state, remove());
    assert!(!state.workers().contains_key(&worker));
    assert_eq!(state.slots[&id(1)].pin, None);
    assert_eq!(try_do(&mut state, remove()), Err(Rejection::UnknownWorker(worker)));
    let again = try_do(&mut state, register(0, 0, None));
    assert_eq!(again, Err(Rejection::SessionEnded(session(0))), "its former process is told that it has lost all");
    done(&mut state, register(7, 0, None));
    assert!(!state.is_draining(session(7)), "it is a new worker");
}

#[test]
fn an_accepted_offset_is_accepted_by_the_next_grant_alone() {
    let mut state = fleet();
    for partition in [0, 1] {
        let assign = step(&state, partition, Step::Assign { to: session(0) });
        done(&mut state, assign);
    }
    done(&mut state, resume(Some(Partition(0)), true));
    assert_eq!((life(&state, 0), life(&state, 1)), ("releasing", "assigned"), "what runs is released for it");
    assert!(!state.slots[&id(0)].accepts(Epoch(5)));
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    assert!(state.slots[&id(0)].accepts(Epoch(6)) && !state.slots[&id(1)].accepts(Epoch(5)));
    // That grant comes to nothing: the next one accepts, and the one after that does not.
    done(&mut state, Command::RaiseEpoch { partition: id(0), granted: Epoch(6), stored: Epoch(8) });
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(6), clean: true }]));
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    assert!(state.slots[&id(0)].accepts(Epoch(9)));
    done(&mut state, Command::ExpireSession { session: session(0), reason: "test".into(), moves: vec![] });
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    assert!(!state.slots[&id(0)].accepts(Epoch(10)));
}

#[test]
fn a_topic_that_was_created_again_is_accepted_by_a_look_that_knew_of_it() {
    let mut state = fleet();
    let wait = waiting(&state, Reason::TopicMissing { side: common::reason::Side::Target });
    done(&mut state, wait);
    let before_the_wish = ready(&state, route(0), topic(0), 3, 2, 0);
    done(&mut state, resume(None, true));
    done(&mut state, before_the_wish);
    assert!(state.topics[&(route(0), topic(0))].accepting.is_some(), "that look did not know of it");
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    let after_it = ready(&state, route(0), topic(0), 4, 3, 0);
    done(&mut state, after_it);
    assert_eq!(state.topics[&(route(0), topic(0))].accepting, None);
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    for partition in [0, 1, 2] {
        let assign = step(&state, partition, Step::Assign { to: session(0) });
        done(&mut state, assign);
        let slot = &state.slots[&id(partition)];
        assert!(slot.accepts(slot.epoch), "{partition}: what was granted in between was granted for another topic");
    }
}

#[test]
fn a_removed_routes_offsets_are_remembered_until_they_are_deleted_or_kept() {
    let mut state = fleet();
    let incarnation = state.routes()[&route(0)].incarnation;
    let add = Command::AddRoute { route: route(0), settings: settings() };
    let remove = |keep_offsets| Command::RemoveRoute { route: route(0), keep_offsets };
    let effect = |state: &mut State, command| try_do(state, command).map(|outcome| outcome.effect);
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    done(&mut state, remove(false));
    assert_eq!(state.retired(), &BTreeMap::new(), "a session may still store offsets");
    done(&mut state, Command::ExpireSession { session: session(0), reason: "test".into(), moves: vec![] });
    let (source, group) = (ClusterName::new("a").unwrap(), "g".to_owned());
    assert_eq!(state.retired(), &BTreeMap::from([(route(0), Retired { incarnation, source: source.clone(), group })]));
    let pending = Rejection::OffsetsPending { route: route(0), cluster: source.clone() };
    assert_eq!(try_do(&mut state, add.clone()), Err(pending.clone()));
    assert_eq!(try_do(&mut state, Command::RemoveCluster { cluster: source }), Err(pending));
    assert_eq!(effect(&mut state, remove(false)), Ok(Effect::Exists));
    let deleted = |incarnation| Command::OffsetsDeleted { route: route(0), incarnation };
    assert_eq!(effect(&mut state, deleted(incarnation.next())), Err(Rejection::UnknownRoute(route(0))));
    done(&mut state, deleted(incarnation));
    assert_eq!(effect(&mut state, remove(false)), Err(Rejection::UnknownRoute(route(0))));
    done(&mut state, add.clone());
    done(&mut state, remove(false));
    done(&mut state, remove(true));
    done(&mut state, add.clone());
    done(&mut state, remove(true));
    done(&mut state, add);
}

#[test]
fn a_cluster_is_removed_once_no_route_uses_it() {
    let mut state = fleet();
    let target = ClusterName::new("b").unwrap();
    let remove = Command::RemoveCluster { cluster: target.clone() };
    let in_use = Rejection::ClusterInUse { cluster: target.clone(), route: route(0) };
    assert_eq!(try_do(&mut state, remove.clone()), Err(in_use));
    done(&mut state, Command::RemoveRoute { route: route(0), keep_offsets: false });
    done(&mut state, remove.clone());
    assert_eq!(try_do(&mut state, remove), Err(Rejection::UnknownCluster(target)));
}

#[test]
fn a_fleet_is_founded_before_anything_is_applied() {
    let mut state = State::unfounded();
    state.found(FleetId::new("f").unwrap());
    assert_eq!(state, State::new(FleetId::new("f").unwrap(), FleetIncarnation(0)));
}
