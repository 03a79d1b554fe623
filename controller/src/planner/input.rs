//! All that a plan depends on, as one value.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{Epoch, RoutePartition, SessionId};

use crate::state::{Life, State, Vacancy, Wish};

/// All that a plan depends on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanInput {
    /// The live sessions.
    pub sessions: BTreeMap<SessionId, Attendance>,
    /// Every route partition, in the table's order.
    pub partitions: Vec<Candidate>,
    /// How many partitions may move for nothing but balance.
    pub budget: usize,
}

/// What a session is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attendance {
    /// It takes work.
    Present,
    /// It can't be heard, and may be back: it keeps what it has and gets nothing.
    Missing,
    /// It gives back what it has.
    Leaving,
}

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
    /// The session that an operator wants it to go to.
    pub destination: Option<SessionId>,
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
    /// The table as it will be once these sessions have expired.
    pub fn of(state: &State, lost: &BTreeSet<SessionId>, budget: usize) -> Self {
        let live = state.sessions().iter().filter(|(id, _)| !lost.contains(id));
        let attendance = |id| if state.is_draining(id) { Attendance::Leaving } else { Attendance::Present };
        let sessions = live.map(|(id, _)| (*id, attendance(*id))).collect();
        let mut partitions = Vec::with_capacity(state.slots().len());
        for ((route, name), topic) in state.topics() {
            for (id, slot) in state.slots_of(route, name) {
                let (partition, wish) = (id.clone(), state.wish_in(topic, id));
                let (epoch, place, destination) = (slot.epoch, place(slot.life, lost), slot.destination);
                partitions.push(Candidate { partition, epoch, place, wish, destination });
            }
        }
        Self { sessions, partitions, budget }
    }

    /// Has these sessions keep what they have and get nothing.
    pub fn miss(&mut self, missing: &BTreeSet<SessionId>) {
        let present = |(id, attendance): &(&SessionId, &mut Attendance)| {
            missing.contains(id) && **attendance == Attendance::Present
        };
        self.sessions.iter_mut().filter(present).for_each(|(_, attendance)| *attendance = Attendance::Missing);
    }

    /// The sessions that take work.
    pub fn working(&self) -> impl Iterator<Item = SessionId> {
        let present = |(_, attendance): &(&SessionId, &Attendance)| **attendance == Attendance::Present;
        self.sessions.iter().filter(present).map(|(id, _)| *id)
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
