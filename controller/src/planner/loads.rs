//! How much each session has to do, and whose turn it is: who is the least full, who is the fullest.
//!
//! A session is as full as its partitions by its weight. Each partition goes to the session that is the least full with it
//! (list scheduling on machines of different speeds; of seats in a parliament it is called D'Hondt's rule): so the fullest is
//! as little full as it can be, and with equal weights counts are within one.
//!
//! ```text
//!   Loads: what stays and what has its place is counted --> Placing: the rest is placed --> Shifting: even out
//! ```
//!
//! Nearly every partition stays where it is, so counting one is two pushes; orders are made of the counts afterwards.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::SessionId;
use common::weight::Weight;

use super::input::{Candidate, PlanInput};
use super::level::Level;
use crate::state::Wish;

/// The place of a session among those that take work: the older, the lower.
type Seat = usize;

/// The number of a topic in the input.
pub(super) type TopicNumber = usize;

/// The loads of the sessions that take work.
pub(super) struct Loads<'a> {
    /// In order, so that a session is found by searching.
    sessions: Vec<SessionId>,
    loads: Vec<Load<'a>>,
    /// Of each topic, the sessions that have its partitions, one for each.
    of_topic: Vec<Vec<Seat>>,
}

struct Load<'a> {
    weight: Weight,
    /// Partitions it has or is going to have.
    count: usize,
    /// How many of them are pinned to it.
    pinned: usize,
    /// Partitions it runs and could give away.
    running: Vec<(TopicNumber, &'a Candidate)>,
}

impl Load<'_> {
    fn level(&self, count: usize) -> Level {
        Level { count, weight: self.weight }
    }

    /// How full it is.
    fn now(&self) -> Level {
        self.level(self.count)
    }

    /// How full it would be with one more.
    fn with_one_more(&self) -> Level {
        self.level(self.count + 1)
    }
}

impl<'a> Loads<'a> {
    /// Nobody has anything yet of the input's topics.
    pub(super) fn new(input: &PlanInput, topics: usize) -> Self {
        let load = |weight| Load { weight, count: 0, pinned: 0, running: Vec::new() };
        let (sessions, loads) = input.working().map(|(session, weight)| (session, load(weight))).unzip();
        Self { sessions, loads, of_topic: vec![Vec::new(); topics] }
    }

    fn seat(&self, session: SessionId) -> Option<Seat> {
        self.sessions.binary_search(&session).ok()
    }

    pub(super) fn takes_work(&self, session: SessionId) -> bool {
        self.seat(session).is_some()
    }

    /// The session that a partition is pinned to, if that takes work.
    pub(super) fn pinned(&self, candidate: &Candidate) -> Option<SessionId> {
        candidate.pin.filter(|session| self.takes_work(*session))
    }

    /// Counts a partition that stays where it runs, if that session takes work; else says false. One that would not be
    /// granted anew, or is pinned, is never given away.
    pub(super) fn keep(&mut self, session: SessionId, topic: TopicNumber, candidate: &'a Candidate) -> bool {
        let Some(seat) = self.seat(session) else { return false };
        self.count(seat, topic, candidate);
        if candidate.wish == Wish::Run && self.pinned(candidate).is_none() {
            self.loads[seat].running.push((topic, candidate));
        }
        true
    }

    /// Counts a partition that goes to a session whatever that has to do.
    pub(super) fn give(&mut self, session: SessionId, topic: TopicNumber, candidate: &Candidate) {
        let seat = self.seat(session).expect("takes work");
        self.count(seat, topic, candidate);
    }

    fn count(&mut self, seat: Seat, topic: TopicNumber, candidate: &Candidate) {
        let load = &mut self.loads[seat];
        load.count += 1;
        load.pinned += usize::from(candidate.pin == Some(self.sessions[seat]));
        self.of_topic[topic].push(seat);
    }

    /// All that has its place was counted: the rest is placed.
    pub(super) fn place(self) -> Placing<'a> {
        let key = |(seat, load): (Seat, &Load<'_>)| (load.with_one_more(), Level::zero(), seat);
        let by_least = self.loads.iter().enumerate().map(key).collect();
        Placing { loads: self, by_least, topic: None }
    }
}

/// Partitions are placed, topic by topic.
pub(super) struct Placing<'a> {
    loads: Loads<'a>,
    /// By how full each would be with one more, then by how full it is of the topic being placed, then by age: the field
    /// order is the policy.
    by_least: BTreeSet<(Level, Level, Seat)>,
    /// The topic being placed, and who has how many partitions of it: all others count zero in the order.
    topic: Option<(TopicNumber, BTreeMap<Seat, usize>)>,
}

impl<'a> Placing<'a> {
    /// Gives a partition to the session that is the least full with it; `None` if there is no session.
    pub(super) fn take_least(&mut self, topic: TopicNumber) -> Option<SessionId> {
        if self.topic.as_ref().is_none_or(|(placed, _)| *placed != topic) {
            self.begin(topic);
        }
        let (_, of_topic, seat) = self.by_least.pop_first()?;
        let load = &mut self.loads.loads[seat];
        load.count += 1;
        self.by_least.insert((load.with_one_more(), load.level(of_topic.count + 1), seat));
        self.topic.as_mut()?.1.insert(seat, of_topic.count + 1);
        Some(self.loads.sessions[seat])
    }

    /// Moves the topic's counts into the order, and those of the topic before out of it.
    fn begin(&mut self, topic: TopicNumber) {
        self.end_topic();
        let mut counts = BTreeMap::new();
        for seat in &self.loads.of_topic[topic] {
            *counts.entry(*seat).or_default() += 1;
        }
        for (seat, count) in &counts {
            self.reorder(*seat, 0, *count);
        }
        self.topic = Some((topic, counts));
    }

    fn end_topic(&mut self) {
        let Some((_, counts)) = self.topic.take() else { return };
        for (seat, count) in counts {
            self.reorder(seat, count, 0);
        }
    }

    fn reorder(&mut self, seat: Seat, before: usize, after: usize) {
        let load = &self.loads.loads[seat];
        self.by_least.remove(&(load.with_one_more(), load.level(before), seat));
        self.by_least.insert((load.with_one_more(), load.level(after), seat));
    }

    /// All is placed: what runs may be shifted.
    pub(super) fn shift(mut self) -> Shifting<'a> {
        self.end_topic();
        let Self { loads: Loads { sessions, loads, .. }, by_least, .. } = self;
        let by_least = by_least.into_iter().map(|(level, _, seat)| (level, seat)).collect();
        let by_most = loads.iter().enumerate().map(|(seat, load)| (load.now(), seat)).collect();
        Shifting { sessions, loads, by_least, by_most, giving: BTreeMap::new() }
    }
}

/// Partitions are shifted from the fullest to the least full.
pub(super) struct Shifting<'a> {
    sessions: Vec<SessionId>,
    loads: Vec<Load<'a>>,
    /// By how full each would be with one more, then by age.
    by_least: BTreeSet<(Level, Seat)>,
    /// By how full each is; without those of which all must stay.
    by_most: BTreeSet<(Level, Seat)>,
    giving: BTreeMap<Seat, Giving<'a>>,
}

/// What a session can give, once it gives.
#[derive(Default)]
struct Giving<'a> {
    of_topic: BTreeMap<TopicNumber, Vec<&'a Candidate>>,
    /// The topics by how many it could give away.
    by_count: BTreeSet<(usize, TopicNumber)>,
}

impl<'a> Giving<'a> {
    fn of(running: &[(TopicNumber, &'a Candidate)]) -> Self {
        let mut giving = Self::default();
        for (topic, candidate) in running {
            giving.of_topic.entry(*topic).or_default().push(candidate);
        }
        giving.by_count = giving.of_topic.iter().map(|(topic, all)| (all.len(), *topic)).collect();
        giving
    }

    /// Takes the last partition of the topic that it can give most of, so that topics stay spread.
    fn give_one(&mut self) -> Option<&'a Candidate> {
        let (count, topic) = self.by_count.pop_last()?;
        if count > 1 {
            self.by_count.insert((count - 1, topic));
        }
        self.of_topic.get_mut(&topic)?.pop()
    }
}

impl<'a> Shifting<'a> {
    /// Takes one partition from the fullest session, if that is fuller than another one would be with it, and counts it
    /// there.
    pub(super) fn shift_one(&mut self) -> Option<(SessionId, &'a Candidate)> {
        loop {
            let (least, to) = *self.by_least.first()?;
            let (most, from) = *self.by_most.last()?;
            if most <= least {
                return None;
            }
            let giving = self.giving.entry(from).or_insert_with(|| Giving::of(&self.loads[from].running));
            if let Some(candidate) = giving.give_one() {
                self.set_count(from, -1);
                self.set_count(to, 1);
                return Some((self.sessions[from], candidate));
            }
            // All it runs must stay; balance goes on among the others.
            self.by_most.pop_last();
        }
    }

    /// Whether a session is fuller than another one would be with one more, and not only of what is pinned to it.
    pub(super) fn are_uneven(&self) -> bool {
        let most = self.loads.iter().filter(|load| load.count > load.pinned).map(Load::now).max();
        let least = self.loads.iter().map(Load::with_one_more).min();
        most > least
    }

    fn set_count(&mut self, seat: Seat, change: isize) {
        let load = &mut self.loads[seat];
        self.by_least.remove(&(load.with_one_more(), seat));
        let gives = self.by_most.remove(&(load.now(), seat));
        load.count = load.count.checked_add_signed(change).expect("a load is never negative");
        self.by_least.insert((load.with_one_more(), seat));
        if gives {
            self.by_most.insert((load.now(), seat));
        }
    }
}
