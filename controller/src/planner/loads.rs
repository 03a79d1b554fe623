//! How much each session has to do, in an order that answers "who has the least?" and "who has the most?" at once.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{RouteName, SessionId, TopicName};

use super::input::{Candidate, PlanInput};
use crate::state::Wish;

/// A topic, borrowed from the input.
type TopicKey<'a> = (&'a RouteName, &'a TopicName);

/// The loads of the sessions that take work.
pub(super) struct Loads<'a> {
    of_session: BTreeMap<SessionId, Load<'a>>,
    /// By load, then by partitions of the topic being placed, then by age: the field order is the policy.
    by_load: BTreeSet<(usize, usize, SessionId)>,
    /// The topic being placed: its counts are the second field above, all others count zero.
    placing: Option<TopicKey<'a>>,
    /// Who has how many partitions of each topic.
    of_topic: BTreeMap<TopicKey<'a>, BTreeMap<SessionId, usize>>,
}

#[derive(Default)]
struct Load<'a> {
    /// Partitions it has or is going to have.
    count: usize,
    /// Partitions it runs and could give away, by topic.
    running: BTreeMap<TopicKey<'a>, Vec<&'a Candidate>>,
    /// The same topics by how many it could give away: filled when it first gives one.
    most: Option<BTreeSet<(usize, TopicKey<'a>)>>,
}

fn topic_of(candidate: &Candidate) -> TopicKey<'_> {
    (&candidate.partition.route, &candidate.partition.topic)
}

impl<'a> Load<'a> {
    /// Takes the last partition of the topic that it can give most of.
    fn give_one(&mut self) -> Option<&'a Candidate> {
        let by_count =
            self.most.get_or_insert_with(|| self.running.iter().map(|(topic, all)| (all.len(), *topic)).collect());
        let (count, topic) = by_count.pop_last()?;
        if count > 1 {
            by_count.insert((count - 1, topic));
        }
        self.running.get_mut(&topic)?.pop()
    }
}

impl<'a> Loads<'a> {
    pub(super) fn new(input: &PlanInput) -> Self {
        let of_session: BTreeMap<_, _> = input.working().map(|session| (session, Load::default())).collect();
        let by_load = of_session.keys().map(|session| (0, 0, *session)).collect();
        Self { of_session, by_load, placing: None, of_topic: BTreeMap::new() }
    }

    pub(super) fn takes_work(&self, session: SessionId) -> bool {
        self.of_session.contains_key(&session)
    }

    /// Counts a partition that stays where it runs. All are kept before the first is placed. One that would not be
    /// granted anew is never given away.
    pub(super) fn keep(&mut self, session: SessionId, candidate: &'a Candidate) {
        self.give(session, candidate);
        if candidate.wish == Wish::Run {
            let running = &mut self.of_session.get_mut(&session).expect("takes work").running;
            running.entry(topic_of(candidate)).or_default().push(candidate);
        }
    }

    /// Counts a partition that goes to a session whatever that has to do.
    pub(super) fn give(&mut self, session: SessionId, candidate: &'a Candidate) {
        self.set_count(session, 1);
        *self.of_topic.entry(topic_of(candidate)).or_default().entry(session).or_default() += 1;
    }

    /// Gives a partition to the session with the least to do; `None` if there is no session.
    pub(super) fn take_least(&mut self, candidate: &'a Candidate) -> Option<SessionId> {
        let topic = topic_of(candidate);
        if self.placing != Some(topic) {
            self.place_topic(Some(topic));
        }
        let (count, of_topic, session) = self.by_load.pop_first()?;
        self.by_load.insert((count + 1, of_topic + 1, session));
        self.of_session.get_mut(&session).expect("takes work").count += 1;
        *self.of_topic.entry(topic).or_default().entry(session).or_default() += 1;
        Some(session)
    }

    /// Takes one partition from the session with the most, if that has two more than the one with the least, and
    /// counts it there. It is one of the topic it runs most of, so that topics stay spread.
    pub(super) fn shift_one(&mut self) -> Option<(SessionId, &'a Candidate)> {
        self.place_topic(None);
        loop {
            let (least, _, to) = *self.by_load.first()?;
            let (most, _, from) = *self.by_load.last()?;
            if most < least + 2 {
                return None;
            }
            if let Some(candidate) = self.of_session.get_mut(&from).expect("takes work").give_one() {
                self.set_count(from, -1);
                self.set_count(to, 1);
                return Some((from, candidate));
            }
            // All it runs must stay; balance goes on among the others.
            self.by_load.pop_last();
        }
    }

    /// Whether one session has two more than another.
    pub(super) fn are_uneven(&self) -> bool {
        let counts = || self.of_session.values().map(|load| load.count);
        counts().max().unwrap_or(0) >= counts().min().unwrap_or(0) + 2
    }

    /// Moves the topic's counts into the order, and those of the topic before out of it.
    fn place_topic(&mut self, topic: Option<TopicKey<'a>>) {
        let before = std::mem::replace(&mut self.placing, topic);
        if before == topic {
            return;
        }
        for (session, of_topic) in before.and_then(|before| self.of_topic.get(&before)).into_iter().flatten() {
            let count = self.of_session[session].count;
            self.by_load.remove(&(count, *of_topic, *session));
            self.by_load.insert((count, 0, *session));
        }
        for (session, of_topic) in topic.and_then(|topic| self.of_topic.get(&topic)).into_iter().flatten() {
            let count = self.of_session[session].count;
            self.by_load.remove(&(count, 0, *session));
            self.by_load.insert((count, *of_topic, *session));
        }
    }

    /// Changes a load while no topic is being placed.
    fn set_count(&mut self, session: SessionId, change: isize) {
        debug_assert!(self.placing.is_none(), "a topic is being placed");
        let load = self.of_session.get_mut(&session).expect("takes work");
        self.by_load.remove(&(load.count, 0, session));
        load.count = load.count.checked_add_signed(change).expect("a load is never negative");
        self.by_load.insert((load.count, 0, session));
    }
}
