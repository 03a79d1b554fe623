//! ISLAND. Who is to copy what: a pure function of the table.
//!
//! Owns the decision, never the doing: no clock, no randomness, no I/O. Its input is a value, its plan is text to
//! assert and to log, one line a move.
//!
//! ```text
//! State --PlanInput::now--> PlanInput, one a pool --plan--> Plan { moves, waiting } --leader/reconcile--> Command::Moves
//! ```
//!
//! Each pool is planned alone: its sessions copy its routes, and nothing outside of it says where they go.
//!
//! Always true, and each a property test:
//!
//! - P1 only live sessions that are not draining get work
//! - P2 every partition of an active topic is assigned, or waits with a reason
//! - P3 planning again from an applied plan yields nothing
//! - P4 nothing changed, nothing moves
//! - P5 a lost worker's partitions move, others stay
//! - P6 counts by weight within one partition of even, as far as the budget allows, a wave at a time: none is fuller than
//!   another would be with one more; P5 beats P6
//! - P7 same input, same plan
//! - P8 a join of weight w to N others of weight W moves at most w (P + N) / (W + w): ceil(P / (N + 1)) if all weigh the same
//! - P9 a topic's partitions per worker ≤ ceil(P of the topic / N) + 1 where placement is free and all weigh the same
//! - P10 a partition goes where it was sent, by an operator or for load, and no other moves for it
//! - P11 who is missing keeps what it has and gets nothing
//! - P12 a pinned partition is with its worker while that takes work, once its wave comes; else the pin is as none
//! - P13 no more than a wave is released by choice: to where it is pinned, then for balance
//!
//! Planning takes O((P + N) log N): each partition is looked at once, and finds its session by searching.

mod input;
mod level;
mod loads;
#[cfg(test)]
mod operators_test;
mod preview;
#[cfg(test)]
mod properties_test;
mod traffic;
#[cfg(test)]
mod traffic_test;

use std::fmt;

use common::ids::{PoolName, RoutePartition, SessionId};
use common::reason::Reason;

use crate::state::{Cause, Move, Step, Wish};

pub use input::{Attendance, Candidate, Place, PlanInput, WAVE_MAX};
use loads::{Loads, Placing, TopicNumber};
pub use preview::{Shift, preview};
pub use traffic::{Evening, Flow, Traffic, even_out};

/// What is to be done now, and what can't be done yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Single steps, each with its cause. Their order is the table's.
    pub moves: Vec<Move>,
    /// The partitions that nobody is going to copy after these moves, each with the reason.
    pub waiting: Vec<Waiting>,
    /// Whether a session will still be fuller than another one would be with one more, since what it runs can't move yet
    /// or the budget ended. What is pinned to it never will.
    pub is_uneven: bool,
}

/// A partition that is not copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Which.
    pub partition: RoutePartition,
    /// Why.
    pub reason: Reason,
}

/// Plans the next moves of a pool.
pub fn plan(input: &PlanInput) -> Plan {
    let topics = input.partitions.chunk_by(|one, next| one.is_of_topic_of(next));
    let loads = Loads::new(input, topics.clone().count());
    let mut sorting = Sorting { plan: Plan::default(), loads, to_place: Vec::new(), wave: input.wave };
    for (topic, partitions) in topics.enumerate() {
        for candidate in partitions {
            sorting.sort(topic, candidate, input);
        }
    }
    let Sorting { mut plan, mut loads, to_place, wave } = sorting;
    let free = place_sent(&mut plan, &mut loads, to_place);
    let mut placing = loads.place();
    place_free(&mut plan, &mut placing, free, &input.pool);
    let mut shifting = placing.shift();
    for _ in 0..input.budget.min(wave) {
        let Some((from, candidate)) = shifting.shift_one() else { break };
        plan.release(candidate, from, Cause::Balance);
    }
    plan.is_uneven = shifting.are_uneven();
    plan.moves.sort_by_cached_key(|step| step.partition.clone());
    plan
}

/// A partition and its topic.
type OfTopic<'a> = (TopicNumber, &'a Candidate);

/// The first look at each partition.
struct Sorting<'a> {
    plan: Plan,
    loads: Loads<'a>,
    /// What has no session, or is on its way to having none. By topic, since the input is.
    to_place: Vec<OfTopic<'a>>,
    /// How many more may be released by choice.
    wave: usize,
}

impl<'a> Sorting<'a> {
    /// Keeps a partition where it is, releases it, or sets it aside to be placed.
    fn sort(&mut self, topic: TopicNumber, candidate: &'a Candidate, input: &PlanInput) {
        match (candidate.place, &candidate.wish) {
            (Place::On(session), _) => {
                if let Some(cause) = self.why_released(topic, candidate, session, input) {
                    self.plan.release(candidate, session, cause);
                    self.set_aside(topic, candidate);
                }
            }
            (Place::Vacant(_), Wish::Run) => self.to_place.push((topic, candidate)),
            (Place::Vacant(_), Wish::Stay(reason) | Wish::Stop(_, reason)) => {
                self.plan.wait(candidate, (**reason).clone());
            }
            (Place::Leaving(session), _) => {
                let text = format!("session {session} has not given it back yet");
                self.plan.wait(candidate, Reason::Waiting { text });
                self.set_aside(topic, candidate);
            }
            (Place::Fencing, _) => {
                self.plan.wait(candidate, Reason::Waiting { text: "its lost owner is not fenced yet".into() });
                self.set_aside(topic, candidate);
            }
        }
    }

    /// Why a session is to give a partition back that it runs; `None` counts it as its own.
    fn why_released(
        &mut self,
        topic: TopicNumber,
        candidate: &'a Candidate,
        session: SessionId,
        input: &PlanInput,
    ) -> Option<Cause> {
        if let Wish::Stop(cause, _) = candidate.wish {
            return Some(cause);
        }
        if candidate.wish == Wish::Run && self.wave > 0 && self.belongs_elsewhere(candidate, session) {
            self.wave -= 1;
            return Some(Cause::Pinned);
        }
        let stays = self.loads.keep(session, topic, candidate);
        let is_missing = input.sessions.get(&session) == Some(&Attendance::Missing);
        (!stays && !is_missing).then_some(Cause::Drain)
    }

    /// A partition that is coming free counts where it will go, so that nothing is moved to make room it will fill.
    fn set_aside(&mut self, topic: TopicNumber, candidate: &'a Candidate) {
        if candidate.wish == Wish::Run {
            self.to_place.push((topic, candidate));
        }
    }

    /// Whether a partition is pinned to a session that takes work, and runs on another one that does, too.
    fn belongs_elsewhere(&self, candidate: &Candidate, session: SessionId) -> bool {
        self.loads.pinned(candidate).is_some_and(|pin| pin != session) && self.loads.takes_work(session)
    }
}

/// Where a partition was sent or is pinned, as far as that is possible. A pin stands for good, so it comes first.
fn destination(loads: &Loads<'_>, candidate: &Candidate) -> Option<(SessionId, Cause)> {
    let sent = candidate.destination.filter(|(session, _)| loads.takes_work(*session));
    loads.pinned(candidate).map(|session| (session, Cause::Pinned)).or(sent)
}

/// Gives each partition without a session to the one it was sent to, if that takes work. Returns the others.
fn place_sent<'a>(plan: &mut Plan, loads: &mut Loads<'a>, all: Vec<OfTopic<'a>>) -> Vec<OfTopic<'a>> {
    let mut free = all;
    free.retain(|(topic, candidate)| {
        let Some((to, cause)) = destination(loads, candidate) else { return true };
        loads.give(to, *topic, candidate);
        if let Place::Vacant(_) = candidate.place {
            plan.push(candidate, Step::Assign { to }, cause);
        }
        false
    });
    free
}

/// Gives each of the others to the session that is the least full with it, of those to the one with the least of its topic, of
/// those to the oldest.
fn place_free(plan: &mut Plan, placing: &mut Placing<'_>, free: Vec<OfTopic<'_>>, pool: &PoolName) {
    for (topic, candidate) in free {
        let session = placing.take_least(topic);
        let Place::Vacant(vacancy) = candidate.place else { continue };
        match session {
            Some(to) => plan.push(candidate, Step::Assign { to }, Cause::from(vacancy)),
            None => plan.wait(candidate, Reason::Waiting { text: format!("no worker of pool {pool} takes work") }),
        }
    }
}

impl Plan {
    fn release(&mut self, candidate: &Candidate, from: SessionId, cause: Cause) {
        self.push(candidate, Step::Release { from }, cause);
        let text = format!("session {from} is to give it back: {cause}");
        self.wait(candidate, Reason::Waiting { text });
    }

    fn push(&mut self, candidate: &Candidate, step: Step, cause: Cause) {
        let (partition, planned_on) = (candidate.partition.clone(), candidate.epoch);
        self.moves.push(Move { partition, planned_on, step, cause });
    }

    fn wait(&mut self, candidate: &Candidate, reason: Reason) {
        self.waiting.push(Waiting { partition: candidate.partition.clone(), reason });
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.moves {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}
