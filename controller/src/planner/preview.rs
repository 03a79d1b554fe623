//! What would move by choice, before anybody asks for it: the plan is made, carried out on paper, and made once more.

use std::collections::BTreeMap;

use common::ids::{RoutePartition, SessionId};

use super::{Place, PlanInput, plan};
use crate::state::{Cause, Step, Vacancy};

/// A partition that would go from one session to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shift {
    /// Which.
    pub partition: RoutePartition,
    /// Who has it.
    pub from: SessionId,
    /// Who would get it.
    pub to: SessionId,
    /// What made it necessary.
    pub cause: Cause,
}

/// All that would move by choice if this much might for balance and nothing held it up, in the table's order.
pub fn preview(input: &PlanInput, budget: usize) -> Vec<Shift> {
    let mut input = PlanInput { budget, wave: usize::MAX, ..input.clone() };
    let released = plan(&input).moves.into_iter().filter_map(|step| match step.step {
        Step::Release { from } if step.cause.is_choice() => Some((step.partition, (from, step.cause))),
        _ => None,
    });
    let released: BTreeMap<RoutePartition, (SessionId, Cause)> = released.collect();
    for candidate in input.partitions.iter_mut().filter(|candidate| released.contains_key(&candidate.partition)) {
        candidate.place = Place::Vacant(Vacancy::Released);
    }
    (input.budget, input.wave) = (0, 0);
    let shift = |step: crate::state::Move| {
        let (from, cause) = *released.get(&step.partition)?;
        let Step::Assign { to } = step.step else { return None };
        Some(Shift { partition: step.partition, from, to, cause })
    };
    plan(&input).moves.into_iter().filter_map(shift).collect()
}
