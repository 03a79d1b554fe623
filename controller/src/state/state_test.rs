use std::collections::BTreeMap;

use common::config::{ClientProperties, ClusterConfig, Delivery, RouteSettings, TopicFilter};
use common::ids::{
    ClusterName, Epoch, FleetId, FleetIncarnation, Partition, PoolName, Revision, RouteName, RoutePartition, SessionId,
    TopicId, TopicName, WorkerId,
};
use common::offsets::StartPosition;
use common::reason::Reason;
use common::weight::Weight;

use super::command::{Finding, Release, TopicReport};
use super::topics::{PartitionFacts, TopicFacts};
use super::*;
use crate::planner::{PlanInput, plan};

pub(super) fn route(number: u8) -> RouteName {
    RouteName::new(format!("r{number}")).unwrap()
}

pub(super) fn topic(number: u8) -> TopicName {
    TopicName::new(format!("t{number}")).unwrap()
}

pub(crate) fn session(number: u8) -> SessionId {
    SessionId::from_number(u128::from(number) + 1)
}

pub(crate) fn id(partition: u32) -> RoutePartition {
    RoutePartition { route: route(0), topic: topic(0), partition: Partition(partition) }
}

pub(super) fn cluster(name: &str) -> ClusterConfig {
    ClusterConfig { name: ClusterName::new(name).unwrap(), properties: ClientProperties::default() }
}

pub(super) fn settings() -> RouteSettings {
    RouteSettings {
        source: ClusterName::new("a").unwrap(),
        target: ClusterName::new("b").unwrap(),
        pool: PoolName::default(),
        group: "g".into(),
        delivery: Delivery::AtLeastOnce,
        filter: TopicFilter::default(),
        start: StartPosition::Latest,
        manage_topics: true,
        accept_foreign_offsets: false,
        commit_interval: std::time::Duration::from_secs(1),
    }
}

pub(super) fn register(number: u8, worker: u8, replaces: Option<SessionId>) -> Command {
    register_in(PoolName::default(), number, worker, replaces)
}

pub(super) fn register_in(pool: PoolName, number: u8, worker: u8, replaces: Option<SessionId>) -> Command {
    Command::RegisterSession {
        session: session(number),
        worker: WorkerId::new(format!("w{worker}")).unwrap(),
        address: "here".into(),
        software: "0".into(),
        weight: Weight::default(),
        pool,
        replaces,
    }
}

pub(super) fn ready(
    state: &State,
    route: RouteName,
    topic: TopicName,
    ids: u128,
    partitions: u32,
    stored: u64,
) -> Command {
    let incarnation = state.routes.get(&route).map_or(Revision(0), |route| route.incarnation);
    let facts = TopicFacts {
        source_topic_id: TopicId(uuid::Uuid::from_u128(ids)),
        target_topic_id: TopicId(uuid::Uuid::from_u128(ids + 100)),
        partitions,
    };
    let new = PartitionFacts { stored_epoch: Epoch(stored), start: StartPosition::Earliest };
    let new_partitions = (0..partitions).map(|partition| (Partition(partition), new)).collect();
    let finding = Finding::Ready { facts, new_partitions, beyond: None };
    Command::ReportTopics(vec![TopicReport {
        route,
        incarnation,
        seen: state.revision,
        target: topic.clone(),
        topic,
        finding,
    }])
}

pub(super) fn waiting(state: &State, reason: Reason) -> Command {
    let incarnation = state.routes[&route(0)].incarnation;
    let finding = Finding::Waiting(reason);
    Command::ReportTopics(vec![TopicReport {
        route: route(0),
        incarnation,
        seen: state.revision,
        target: topic(0),
        topic: topic(0),
        finding,
    }])
}

pub(super) fn resume(partition: Option<Partition>, accept_foreign_offsets: bool) -> Command {
    Command::ResumeTopic { route: route(0), topic: topic(0), partition, accept_foreign_offsets }
}

pub(crate) fn step(state: &State, partition: u32, step: Step) -> Command {
    let planned_on = state.slots[&id(partition)].epoch;
    Command::Moves(vec![Move { partition: id(partition), planned_on, step, cause: Cause::New }])
}

pub(crate) fn envelope(command: Command) -> Envelope {
    Envelope { format: command::FORMAT, request: None, actor: "test".into(), time_ms: 0, command }
}

pub(super) fn try_do(state: &mut State, command: Command) -> Result<Outcome, Rejection> {
    let revision = state.revision.next();
    state.apply(revision, envelope(command))
}

#[track_caller]
pub(crate) fn done(state: &mut State, command: Command) {
    let outcome = try_do(state, command).unwrap();
    if let Effect::Batch { refused, .. } = outcome.effect {
        assert_eq!(refused, vec![]);
    }
}

/// The one item of a batch that is refused.
#[track_caller]
pub(super) fn refused(state: &mut State, command: Command) -> Rejection {
    match try_do(state, command).unwrap().effect {
        Effect::Batch { applied: 0, mut refused } if refused.len() == 1 => refused.remove(0).rejection,
        effect => panic!("{effect:?}"),
    }
}

/// A route with one topic of two partitions whose stored epoch is 4, and two sessions.
pub(crate) fn fleet() -> State {
    let mut state = State::new(FleetId::new("f").unwrap(), FleetIncarnation(0));
    for command in [
        Command::BeginLeadership,
        Command::AddCluster(cluster("a")),
        Command::AddCluster(cluster("b")),
        Command::AddRoute { route: route(0), settings: settings() },
        register(0, 0, None),
        register(1, 1, None),
    ] {
        done(&mut state, command);
    }
    let report = ready(&state, route(0), topic(0), 1, 2, 4);
    done(&mut state, report);
    state
}

pub(super) fn life(state: &State, partition: u32) -> &'static str {
    state.slots[&id(partition)].life.name()
}

#[test]
fn the_first_grant_is_one_above_the_stored_epoch() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    assert_eq!(state.slots[&id(0)].life.owner(), Some((session(0), Epoch(5))));
}

#[test]
fn a_partition_goes_from_owner_to_owner_only_by_release() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    let again = step(&state, 0, Step::Assign { to: session(1) });
    assert!(matches!(refused(&mut state, again.clone()), Rejection::WrongLife { .. }));
    let release = step(&state, 0, Step::Release { from: session(0) });
    done(&mut state, release);
    assert!(matches!(refused(&mut state, again.clone()), Rejection::WrongLife { .. }), "it may still write");
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    done(&mut state, again);
    assert_eq!(state.slots[&id(0)].life.owner(), Some((session(1), Epoch(6))));
    let late = Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]);
    assert!(matches!(refused(&mut state, late), Rejection::WrongLife { .. }));
}

#[test]
fn a_release_that_was_not_clean_is_an_event_that_names_its_owner() {
    let mut state = fleet();
    for (partition, clean) in [(0, true), (1, false)] {
        let assign = step(&state, partition, Step::Assign { to: session(1) });
        done(&mut state, assign);
        let release = step(&state, partition, Step::Release { from: session(1) });
        done(&mut state, release);
        done(&mut state, Command::Released(vec![Release { partition: id(partition), epoch: Epoch(5), clean }]));
    }
    let told: Vec<_> = state.events().into_iter().filter(|event| event.event.kind == EventKind::Fence).collect();
    let [event] = told.as_slice() else { panic!("{told:?}") };
    let owner = format!("r0:t0/1 was given back by w1 (session {}, epoch 5)", session(1));
    assert!(event.event.text.contains(&owner), "{event:?}");
}

#[test]
fn a_stale_move_is_refused_with_the_epochs() {
    let mut state = fleet();
    let planned = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, planned.clone());
    let rejection = refused(&mut state, planned);
    assert_eq!(rejection.to_string(), "r0:t0/0 has epoch 5, the move was planned on 4");
}

#[test]
fn a_lost_sessions_partitions_move_in_the_entry_that_ends_it() {
    let mut state = fleet();
    for (partition, owner) in [(0, 0), (1, 1)] {
        let assign = step(&state, partition, Step::Assign { to: session(owner) });
        done(&mut state, assign);
    }
    let to = Step::Assign { to: session(1) };
    let moves = vec![Move { partition: id(0), planned_on: Epoch(5), step: to, cause: Cause::SessionLost }];
    done(&mut state, Command::ExpireSession { session: session(0), reason: "silence".into(), moves });
    assert_eq!(state.slots[&id(0)].life.owner(), Some((session(1), Epoch(6))));
    assert_eq!(state.slots[&id(1)].life.owner(), Some((session(1), Epoch(5))), "the other stays as it was");
    assert_eq!(try_do(&mut state, register(0, 0, None)), Err(Rejection::SessionEnded(session(0))));
}

#[test]
fn a_worker_that_starts_anew_takes_its_own_place() {
    let mut state = fleet();
    let (worker, old) = (WorkerId::new("w0").unwrap(), session(0));
    let refusal = try_do(&mut state, register(7, 0, None));
    assert_eq!(refusal, Err(Rejection::WorkerInUse { worker, session: old }));
    done(&mut state, register(7, 0, Some(old)));
    assert!(!state.sessions().contains_key(&old) && state.sessions().contains_key(&session(7)));
}

#[test]
fn a_worker_that_starts_anew_gets_back_what_it_had_and_was_to_get_whatever_others_have() {
    let mut state = fleet();
    for partition in [0, 1] {
        let assign = step(&state, partition, Step::Assign { to: session(0) });
        done(&mut state, assign);
    }
    done(&mut state, register(7, 0, Some(session(0))));
    let owners = |state: &State| [0, 1].map(|partition| state.slots[&id(partition)].life.owner().map(|owner| owner.0));
    let plan_now = |state: &State| PlanInput::now(state).iter().flat_map(|input| plan(input).moves).collect::<Vec<_>>();
    let moves = plan_now(&state);
    assert!(moves.iter().all(|step| step.cause == Cause::Returned), "{moves:?}");
    done(&mut state, Command::Moves(moves));
    assert_eq!(owners(&state), [Some(session(7)); 2], "the other has nothing and still gets nothing");

    let to = WorkerId::new("w1").unwrap();
    done(&mut state, Command::MovePartition { partition: id(1), to });
    done(&mut state, register(8, 1, Some(session(1))));
    done(&mut state, Command::Released(vec![Release { partition: id(1), epoch: Epoch(6), clean: true }]));
    let moves = plan_now(&state);
    assert_eq!(moves[0].cause, Cause::Operator);
    done(&mut state, Command::Moves(moves));
    assert_eq!(owners(&state), [Some(session(7)), Some(session(8))], "the operator's wish outlives the process");

    done(&mut state, Command::DrainSession { session: session(8) });
    done(&mut state, register(9, 1, Some(session(8))));
    assert_eq!(state.slots[&id(1)].destination, None, "what it was giving back is anybody's");
}

#[test]
fn a_pause_outlives_its_owner_and_stops_new_grants() {
    let mut state = fleet();
    let pause = |partition| Command::PauseTopic { route: route(0), topic: topic(0), partition, reason: "test".into() };
    done(&mut state, pause(Some(Partition(0))));
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    assert!(matches!(refused(&mut state, assign.clone()), Rejection::NotWanted { .. }));
    done(&mut state, Command::ExpireSession { session: session(0), reason: "test".into(), moves: vec![] });
    assert_eq!(state.wish(&id(0)), Wish::stop(Cause::Paused, Reason::Paused));
    assert_eq!(state.wish(&id(1)), Wish::Run);
    done(&mut state, resume(None, false));
    assert_eq!(state.wish(&id(0)), Wish::Run);
}

#[test]
fn a_removed_topic_goes_after_its_release_and_never_comes_back_below_its_epoch() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    done(&mut state, Command::RemoveTopic { route: route(0), topic: topic(0) });
    assert_eq!((state.slots.len(), life(&state, 0)), (1, "assigned"), "what runs is released first");
    let found_again = ready(&state, route(0), topic(0), 1, 2, 0);
    assert!(matches!(refused(&mut state, found_again), Rejection::TopicRemoved { .. }));
    let release = step(&state, 0, Step::Release { from: session(0) });
    done(&mut state, release);
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    assert!(state.topics.is_empty() && state.slots.is_empty());
    done(&mut state, Command::AddTopic { route: route(0), topic: topic(0), target: topic(0), start: None });
    let found_again = ready(&state, route(0), topic(0), 1, 2, 0);
    done(&mut state, found_again);
    assert_eq!(state.slots[&id(0)].epoch, Epoch(5), "though no offset was ever stored under it");
}

#[test]
fn a_topic_that_was_created_again_is_released_before_it_is_granted_with_its_new_ids() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    let other = ready(&state, route(0), topic(0), 2, 1, 0);
    done(&mut state, other);
    assert_eq!((life(&state, 0), state.slots.len()), ("releasing", 1));
    let shrunk = ready(&state, route(0), topic(0), 2, 0, 0);
    assert!(matches!(refused(&mut state, shrunk), Rejection::Shrunk { .. }), "the same topic never shrinks");
}

#[test]
fn a_waiting_topic_keeps_what_runs_and_grants_nothing() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    let wait = waiting(&state, Reason::TopicMissing { side: common::reason::Side::Target });
    done(&mut state, wait);
    assert!(matches!(state.wish(&id(0)), Wish::Stay(_)));
    let assign = step(&state, 1, Step::Assign { to: session(0) });
    assert!(matches!(refused(&mut state, assign), Rejection::NotWanted { .. }));
    assert_eq!(life(&state, 0), "assigned");
}

#[test]
fn a_claim_under_too_low_an_epoch_is_taken_back_and_granted_above_the_stored_one() {
    // Under the same epoch a later session's offset is stored.
    for stored in [5, 9] {
        let mut state = fleet();
        let assign = step(&state, 0, Step::Assign { to: session(0) });
        done(&mut state, assign);
        let raise = |stored| Command::RaiseEpoch { partition: id(0), granted: Epoch(5), stored: Epoch(stored) };
        assert!(matches!(try_do(&mut state, raise(4)), Err(Rejection::WrongLife { .. })), "it beats that one");
        done(&mut state, raise(stored));
        done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
        let assign = step(&state, 0, Step::Assign { to: session(0) });
        done(&mut state, assign);
        assert_eq!(state.slots[&id(0)].life.owner(), Some((session(0), Epoch(stored + 1))));
    }
}

#[test]
fn a_repeated_request_gets_its_first_answer() {
    let mut state = fleet();
    let request = Some(RequestId(ulid::Ulid(5)));
    let command = Command::PauseRoute { route: route(0), reason: "test".into() };
    let envelope = Envelope { request, ..envelope(command) };
    let first = state.apply(Revision(50), envelope.clone()).unwrap();
    done(&mut state, Command::ResumeRoute { route: route(0) });
    let before = state.clone();
    assert_eq!(state.apply(Revision(60), envelope), Ok(first));
    assert_eq!(state, before, "it was not paused again");
}

#[test]
fn a_request_id_that_comes_again_with_another_command_is_refused() {
    let mut state = fleet();
    let id = RequestId(ulid::Ulid(5));
    let ask = |state: &mut State, command| {
        let revision = state.revision.next();
        state.apply(revision, Envelope { request: Some(id), ..envelope(command) })
    };
    ask(&mut state, Command::PauseRoute { route: route(0), reason: "test".into() }).unwrap();
    let other = ask(&mut state, Command::ResumeRoute { route: route(0) });
    assert_eq!(other, Err(Rejection::RequestReused(id)));
    assert!(state.routes()[&route(0)].paused);
}

#[test]
fn a_batch_of_which_nothing_is_applied_is_no_change() {
    let mut state = fleet();
    let before = state.clone();
    let stale = Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]);
    assert!(matches!(refused(&mut state, stale), Rejection::WrongLife { .. }));
    assert_eq!(state, before);
}

#[test]
fn a_topic_whose_target_another_one_writes_waits_until_it_can_have_it() {
    let mut state = fleet();
    let add =
        |name, target, start| Command::AddTopic { route: route(0), topic: topic(name), target: topic(target), start };
    done(&mut state, add(1, 2, None));
    let incarnation = state.routes[&route(0)].incarnation;
    let report = |state: &State, finding| TopicReport {
        route: route(0),
        incarnation,
        seen: state.revision,
        topic: topic(2),
        target: topic(2),
        finding,
    };
    let taken = Rejection::TargetTaken { target: topic(2), other: topic(1) };
    let found = ready(&state, route(0), topic(2), 9, 1, 0);
    assert_eq!(refused(&mut state, found), taken);
    let wait = report(&state, Finding::Waiting(Reason::Waiting { text: "taken".into() }));
    done(&mut state, Command::ReportTopics(vec![wait]));
    assert!(matches!(state.topic_state(&route(0), &topic(2)), Some(TopicState::Waiting(_))));
    let found = ready(&state, route(0), topic(2), 9, 1, 0);
    assert_eq!(refused(&mut state, found), taken);
    assert_eq!(try_do(&mut state, add(2, 2, None)), Err(taken));

    let mut given_another = state.clone();
    done(&mut given_another, add(2, 5, None));
    let found = ready(&given_another, route(0), topic(2), 9, 1, 0);
    done(&mut given_another, found);
    assert_eq!(given_another.routes()[&route(0)].sources[&topic(5)], topic(2));

    done(&mut state, Command::RemoveTopic { route: route(0), topic: topic(1) });
    let found = ready(&state, route(0), topic(2), 9, 1, 0);
    done(&mut state, found);
    assert_eq!(state.routes()[&route(0)].sources[&topic(2)], topic(2));
}

#[test]
fn a_move_names_the_worker() {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    let release = step(&state, 0, Step::Release { from: session(1) });
    done(&mut state, release);
    let texts: Vec<_> = state.events().into_iter().filter(|event| event.event.kind == EventKind::Move).collect();
    let texts: Vec<_> = texts.into_iter().map(|event| event.event.text.as_str()).collect();
    let owner = format!("w1 (session {}, epoch 5): it had no owner yet", session(1));
    let [assigned, released] = [format!("r0:t0/0 is assigned to {owner}"), format!("r0:t0/0 is released by {owner}")];
    assert_eq!(texts, [assigned, released]);
}

#[test]
fn the_same_twice_is_no_error_and_something_else_under_the_name_is() {
    let mut state = fleet();
    let add = Command::AddRoute { route: route(0), settings: settings() };
    assert_eq!(try_do(&mut state, add).unwrap().effect, Effect::Exists);
    let other = RouteSettings { group: "h".into(), ..settings() };
    let rejection = try_do(&mut state, Command::AddRoute { route: route(0), settings: other });
    assert_eq!(rejection, Err(Rejection::RouteDiffers(route(0))));
    let onto_itself = RouteSettings { target: ClusterName::new("a").unwrap(), ..settings() };
    let rejection = try_do(&mut state, Command::AddRoute { route: route(1), settings: onto_itself });
    assert_eq!(rejection, Err(Rejection::SameCluster(route(1))));
    let rejection =
        try_do(&mut state, Command::AddTopic { route: route(0), topic: topic(5), target: topic(0), start: None });
    assert_eq!(rejection, Err(Rejection::TargetTaken { target: topic(0), other: topic(0) }));
}

#[test]
fn a_flood_of_moves_never_pushes_out_a_gap() {
    let mut state = fleet();
    done(&mut state, Command::RecordEvents(vec![NewEvent::new(EventKind::Gap, "the gap")]));
    let moves = vec![NewEvent::new(EventKind::Move, "a move"); 3 * events::EVENTS_PER_KIND_MAX];
    done(&mut state, Command::RecordEvents(moves));
    let kept: BTreeMap<EventKind, usize> = state.events().iter().fold(BTreeMap::new(), |mut counts, event| {
        *counts.entry(event.event.kind).or_default() += 1;
        counts
    });
    assert_eq!((kept[&EventKind::Gap], kept[&EventKind::Move]), (1, events::EVENTS_PER_KIND_MAX));
}
