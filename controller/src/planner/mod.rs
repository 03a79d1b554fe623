//! ISLAND. Who is to copy what: a pure function of the table.
//!
//! Owns the decision, never the doing: no clock, no randomness, no I/O. Its input is a value, its plan is text to
//! assert and to log, one line a move.
//!
//! ```text
//! State --PlanInput::of--> PlanInput --plan--> Plan { moves, waiting } --leader/reconcile--> Command::Moves
//! ```
//!
//! Always true, and each a property test:
//!
//! - P1 only live sessions that are not draining get work
//! - P2 every partition of an active topic is assigned, or waits with a reason
//! - P3 planning again from an applied plan yields nothing
//! - P4 nothing changed, nothing moves
//! - P5 a lost worker's partitions move, others stay
//! - P6 counts within one of even, as far as the budget allows; P5 beats P6
//! - P7 same input, same plan
//! - P8 a join moves at most ceil(P / (N + 1))
//! - P9 a topic's partitions per worker ≤ ceil(P of the topic / N) + 1 where placement is free
//! - P10 a partition goes where an operator sent it, and no other moves for it
//! - P11 who is missing keeps what it has and gets nothing
//!
//! Planning takes O((P + N) log N): each partition is looked at once, and finds its session in an ordered set.

mod input;
mod loads;
#[cfg(test)]
mod properties_test;

use std::fmt;

use common::ids::{RoutePartition, SessionId};
use common::reason::Reason;

use crate::state::{Cause, Move, Step, Wish};

pub use input::{Attendance, Candidate, Place, PlanInput};
use loads::Loads;

/// What is to be done now, and what can't be done yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Single steps, each with its cause. Their order is the table's.
    pub moves: Vec<Move>,
    /// The partitions that nobody is going to copy after these moves, each with the reason.
    pub waiting: Vec<Waiting>,
    /// Whether a session will still have two more than another one, since what it runs can't move or the budget ended.
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

/// Plans the next moves.
pub fn plan(input: &PlanInput) -> Plan {
    let mut planner = Planner { plan: Plan::default(), loads: Loads::new(input), to_place: Vec::new() };
    for candidate in &input.partitions {
        planner.sort(candidate, input);
    }
    planner.place();
    planner.balance(input);
    let order = |step: &Move| step.partition.clone();
    planner.plan.moves.sort_by_cached_key(order);
    planner.plan
}

struct Planner<'a> {
    plan: Plan,
    loads: Loads<'a>,
    /// What has no session, or is on its way to having none. By topic, since the input is.
    to_place: Vec<&'a Candidate>,
}

impl<'a> Planner<'a> {
    /// Keeps a partition where it is, releases it, or sets it aside to be placed.
    fn sort(&mut self, candidate: &'a Candidate, input: &PlanInput) {
        let is_missing = |session| input.sessions.get(&session) == Some(&Attendance::Missing);
        match (&candidate.wish, candidate.place) {
            (Wish::Run | Wish::Stay(_), Place::On(session)) if self.loads.takes_work(session) => {
                self.loads.keep(session, candidate);
            }
            (Wish::Run | Wish::Stay(_), Place::On(session)) if is_missing(session) => {}
            (wish, Place::On(session)) => {
                let cause = match wish {
                    Wish::Stop(cause, _) => *cause,
                    Wish::Run | Wish::Stay(_) => Cause::Drain,
                };
                self.release(candidate, session, cause);
                self.set_aside(candidate);
            }
            (Wish::Run, Place::Vacant(_)) => self.to_place.push(candidate),
            (Wish::Stay(reason) | Wish::Stop(_, reason), Place::Vacant(_)) => self.wait(candidate, reason.clone()),
            (_, Place::Leaving(session)) => {
                self.wait(candidate, Reason::Waiting { text: format!("session {session} has not given it back yet") });
                self.set_aside(candidate);
            }
            (_, Place::Fencing) => {
                self.wait(candidate, Reason::Waiting { text: "its lost owner is not fenced yet".into() });
                self.set_aside(candidate);
            }
        }
    }

    /// A partition that is coming free counts where it will go, so that nothing is moved to make room it will fill.
    fn set_aside(&mut self, candidate: &'a Candidate) {
        if candidate.wish == Wish::Run {
            self.to_place.push(candidate);
        }
    }

    /// Gives each partition without a session to the one an operator named, if that takes work; else to the one with the
    /// least to do, of those to the one with the least of its topic, of those to the oldest.
    fn place(&mut self) {
        let all = std::mem::take(&mut self.to_place);
        let (sent, free): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|candidate| self.destination(candidate).is_some());
        for candidate in sent {
            let to = self.destination(candidate).expect("those with one were set apart");
            self.loads.give(to, candidate);
            if let Place::Vacant(_) = candidate.place {
                self.push(candidate, Step::Assign { to }, Cause::Operator);
            }
        }
        for candidate in free {
            let session = self.loads.take_least(candidate);
            let Place::Vacant(vacancy) = candidate.place else { continue };
            match session {
                Some(to) => self.push(candidate, Step::Assign { to }, Cause::from(vacancy)),
                None => self.wait(candidate, Reason::Waiting { text: "no worker takes work".into() }),
            }
        }
    }

    /// Where an operator wants a partition, as far as that is possible.
    fn destination(&self, candidate: &Candidate) -> Option<SessionId> {
        candidate.destination.filter(|session| self.loads.takes_work(*session))
    }

    /// Releases partitions of the sessions with the most, as far as the budget goes, until all have the same but one.
    fn balance(&mut self, input: &'a PlanInput) {
        for _ in 0..input.budget {
            let Some((from, candidate)) = self.loads.shift_one() else { break };
            self.release(candidate, from, Cause::Balance);
        }
        self.plan.is_uneven = self.loads.are_uneven();
    }

    fn release(&mut self, candidate: &Candidate, from: SessionId, cause: Cause) {
        self.push(candidate, Step::Release { from }, cause);
        let text = format!("session {from} is to give it back: {cause}");
        self.wait(candidate, Reason::Waiting { text });
    }

    fn push(&mut self, candidate: &Candidate, step: Step, cause: Cause) {
        let (partition, planned_on) = (candidate.partition.clone(), candidate.epoch);
        self.plan.moves.push(Move { partition, planned_on, step, cause });
    }

    fn wait(&mut self, candidate: &Candidate, reason: Reason) {
        self.plan.waiting.push(Waiting { partition: candidate.partition.clone(), reason });
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
