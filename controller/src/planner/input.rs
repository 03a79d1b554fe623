//! All that a plan depends on, as one value: a pool's part of the table.

use std::collections::{BTreeMap, BTreeSet};

use common::bug::{self, Bug};
use common::ids::{Epoch, PoolName, RoutePartition, SessionId};
use common::weight::Weight;

use crate::state::{Cause, Life, Session, Slot, State, Topic, Vacancy, Wish};

/// All that the plan of one pool depends on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanInput {
    /// The pool.
    pub pool: PoolName,
    /// Its live sessions.
    pub sessions: BTreeMap<SessionId, Attendance>,
    /// Every partition of its routes, in the table's order.
    pub partitions: Vec<Candidate>,
    /// How many partitions may move for nothing but balance.
    pub budget: usize,
    /// How many may be released by choice now: to where they are pinned, or for balance.
    pub wave: usize,
}

/// What a session is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attendance {
    /// It takes work, in proportion to its weight.
    Present(Weight),
    /// It can't be heard, and may be back: it keeps what it has and gets nothing.
    Missing,
    /// It gives back what it has.
    Leaving,
}

/// How many partitions are in motion by choice at a time; the next ones follow once all of these are assigned again. Each
/// stands still for about a second, from its release to the claim of its next owner: so the rest of a fleet of any size
/// is copied meanwhile, no worker claims more than it can in one go, and ten thousand are even again in minutes.
pub const WAVE_MAX: usize = 64;

/// One partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Which.
    pub partition: RoutePartition,
    /// The slot's epoch, which each move names.
    pub epoch: Epoch,
    /// Where it is.
    pub place: Place,
    /// What is to become of it.
    pub wish: Wish,
    /// The session that it was sent to, and why.
    pub destination: Option<(SessionId, Cause)>,
    /// The session of the worker that an operator pinned it to, if it has one.
    pub pin: Option<SessionId>,
}

/// Where a partition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Nobody has it.
    Vacant(Vacancy),
    /// A session copies it.
    On(SessionId),
    /// A session was told to give it back.
    Leaving(SessionId),
    /// Its lost session may still write it.
    Fencing,
}

impl PlanInput {
    /// The table as it is, pool by pool, with what may move by choice: nothing while something of the pool is on its way to
    /// somebody, or while many of its workers are missing, who may be back any moment.
    pub fn now(state: &State) -> Vec<Self> {
        let with_choice = |input: Self| {
            let may_not = state.balance().is_frozen() || state.holds().contains_key(&input.pool);
            let is_any_there = input.working().next().is_some();
            let waits = may_not || is_any_there && input.partitions.iter().any(Candidate::is_in_motion);
            Self { budget: state.budget(&input.pool), wave: if waits { 0 } else { WAVE_MAX }, ..input }
        };
        Self::at_rest(state).map(with_choice).collect()
    }

    /// The table as it is, pool by pool. Nothing moves by choice.
    pub fn at_rest(state: &State) -> impl Iterator<Item = Self> {
        state.pools().into_iter().map(|pool| Self::of(state, pool, &BTreeSet::new()))
    }

    /// A pool as it will be once these sessions have expired. Nothing moves by choice.
    pub fn of(state: &State, pool: &PoolName, lost: &BTreeSet<SessionId>) -> Self {
        let is_live = |id, session: &Session| session.pool == *pool && !lost.contains(id);
        let live = state.sessions().iter().filter(|(id, session)| is_live(id, session));
        let attendance = |id, session: &Session| match state.is_draining(id) {
            true => Attendance::Leaving,
            false => Attendance::Present(session.weight),
        };
        let sessions = live.map(|(id, session)| (*id, attendance(*id, session))).collect();
        let candidate = |(id, slot, topic): (&RoutePartition, &Slot, &Topic)| {
            let (partition, wish) = (id.clone(), state.wish_in(topic, id));
            let (epoch, place) = (slot.epoch, place(slot.life, lost));
            let destination = slot.destination.as_ref().map(|sent| (sent.session, sent.cause));
            let pin = state.pinned_session(id, slot);
            Candidate { partition, epoch, place, wish, destination, pin }
        };
        let mut partitions = Vec::with_capacity(state.partitions_in(pool));
        state
            .routes_in(pool)
            .for_each(|(route, _)| partitions.extend(state.slots_with_topics_of(route).map(candidate)));
        bug::shuffle(&mut partitions, Bug::UnorderedPlan);
        Self { pool: pool.clone(), sessions, partitions, budget: 0, wave: 0 }
    }

    /// Has these sessions keep what they have and get nothing.
    pub fn miss(&mut self, missing: &BTreeSet<SessionId>) {
        let present = |(id, attendance): &(&SessionId, &mut Attendance)| {
            missing.contains(id) && matches!(attendance, Attendance::Present(_))
        };
        self.sessions.iter_mut().filter(present).for_each(|(_, attendance)| *attendance = Attendance::Missing);
    }

    /// The sessions that take work, with their weights.
    pub fn working(&self) -> impl Iterator<Item = (SessionId, Weight)> {
        self.sessions.iter().filter_map(|(id, attendance)| match attendance {
            Attendance::Present(weight) => Some((*id, *weight)),
            Attendance::Missing | Attendance::Leaving => None,
        })
    }
}

impl Candidate {
    /// Whether another one is of the same topic.
    pub(super) fn is_of_topic_of(&self, other: &Self) -> bool {
        // Names that came from one place are one: the topic, which differs sooner, first.
        self.partition.topic == other.partition.topic && self.partition.route == other.partition.route
    }

    /// Whether it was taken from a worker and is to be given to one.
    pub(super) fn is_in_motion(&self) -> bool {
        self.wish == Wish::Run
            && matches!(self.place, Place::Leaving(_) | Place::Vacant(Vacancy::Released | Vacancy::Unclean))
    }
}

fn place(life: Life, lost: &BTreeSet<SessionId>) -> Place {
    if life.owner().is_some_and(|(session, _)| lost.contains(&session)) {
        return Place::Vacant(Vacancy::Lost);
    }
    match life {
        Life::Unassigned(vacancy) => Place::Vacant(vacancy),
        Life::Assigned { session, .. } => Place::On(session),
        Life::Releasing { session, .. } => Place::Leaving(session),
        Life::Fencing { .. } => Place::Fencing,
    }
}
