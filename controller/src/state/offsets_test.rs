use common::ids::{Epoch, Partition, TopicId};
use common::offsets::{NextOffset, StartPosition};

use super::command::{Finding, Release};
use super::state_test::{done, fleet, id, ready, refused, resume, route, session, step, topic};
use super::topics::PartitionFacts;
use super::*;

fn note(epoch: u64, stored: i64) -> Command {
    let (partition, epoch, stored) = (id(0), Epoch(epoch), NextOffset(stored));
    Command::NoteOffsets(vec![NotedOffset { partition, epoch, stored }])
}

fn noted(state: &State) -> Option<i64> {
    state.slots[&id(0)].noted_offset.get().map(|noted| noted.0)
}

/// A fleet whose first session has the first partition, under epoch 5.
fn granted() -> State {
    let mut state = fleet();
    let assign = step(&state, 0, Step::Assign { to: session(0) });
    done(&mut state, assign);
    state
}

/// A look finds the topic with two partitions under these ids; these are new to the table, and where they begin.
fn found(state: &State, ids: u128, new: &[StartPosition]) -> Command {
    let mut found = ready(state, route(0), topic(0), ids, 2, 0);
    let Command::ReportTopics(reports) = &mut found else { unreachable!() };
    let Finding::Ready { new_partitions, .. } = &mut reports[0].finding else { unreachable!() };
    let facts = |start: &StartPosition| PartitionFacts { stored_epoch: Epoch(0), start: *start };
    *new_partitions = (0..).map(Partition).zip(new.iter().map(facts)).collect();
    found
}

#[test]
fn an_offset_is_noted_of_what_is_granted_and_outlives_the_grant() {
    let mut state = granted();
    done(&mut state, note(5, 40));
    assert!(matches!(refused(&mut state, note(4, 99)), Rejection::WrongLife { .. }), "an owner before");
    let release = step(&state, 0, Step::Release { from: session(0) });
    done(&mut state, release);
    assert!(matches!(refused(&mut state, note(5, 41)), Rejection::WrongLife { .. }), "it was taken back");
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    assert_eq!(noted(&state), Some(40));
    let assign = step(&state, 0, Step::Assign { to: session(1) });
    done(&mut state, assign);
    done(&mut state, note(6, 30));
    assert_eq!(noted(&state), Some(30), "it may go back, as an operator may have stored another one");
}

#[test]
fn nothing_is_noted_of_a_topic_without_an_id() {
    let mut state = granted();
    let key = (route(0), topic(0));
    state.topics.get_mut(&key).unwrap().facts.as_mut().unwrap().source_topic_id = TopicId::NONE;
    assert!(matches!(refused(&mut state, note(5, 40)), Rejection::NoTopicId(_)));
}

#[test]
fn nothing_is_known_of_a_source_topic_that_was_created_again() {
    let mut state = granted();
    done(&mut state, note(5, 40));
    state.slots.get_mut(&id(0)).unwrap().start = StartPosition::Offset(NextOffset(7));
    // A look that goes by what the table has brings no partition that is new to it.
    let again = found(&state, 2, &[]);
    done(&mut state, again);
    assert_eq!((noted(&state), state.slots[&id(0)].start), (None, StartPosition::Earliest));
    assert!(matches!(refused(&mut state, note(5, 41)), Rejection::WrongLife { .. }), "of the topic before");
}

#[test]
fn nothing_is_known_of_a_topic_that_was_removed_and_added_again_while_its_owner_still_had_it() {
    let mut state = granted();
    done(&mut state, note(5, 40));
    done(&mut state, Command::RemoveTopic { route: route(0), topic: topic(0) });
    done(&mut state, Command::AddTopic { route: route(0), topic: topic(0), target: topic(0), start: None });
    let again = found(&state, 2, &[StartPosition::Latest; 2]);
    done(&mut state, again);
    assert_eq!((noted(&state), state.slots[&id(0)].start), (None, StartPosition::Latest));
}

#[test]
fn what_is_known_of_a_partition_goes_with_its_topic() {
    let mut state = granted();
    done(&mut state, note(5, 40));
    done(&mut state, Command::RemoveTopic { route: route(0), topic: topic(0) });
    let release = step(&state, 0, Step::Release { from: session(0) });
    done(&mut state, release);
    done(&mut state, Command::Released(vec![Release { partition: id(0), epoch: Epoch(5), clean: true }]));
    done(&mut state, Command::AddTopic { route: route(0), topic: topic(0), target: topic(0), start: None });
    let again = ready(&state, route(0), topic(0), 1, 2, 5);
    done(&mut state, again);
    done(&mut state, resume(None, false));
    assert_eq!(noted(&state), None);
}
