//! Which pool each worker and each route is in. Most fleets have one pool. In the others the second one has the second route and
//! the last worker, and the worker before that comes now to the one and now to the other.

use common::ids::PoolName;

use crate::dice::Dice;
use crate::workload::ROUTES;
use crate::world::World;

/// How many of a thousand fleets have two pools.
const TWO: u64 = 333;
/// How many of a thousand starts of the worker between them are in the second one.
const SECOND: u64 = 500;
/// Always in the second one, if there are two …
const SETTLED: &str = "w4";
/// … and in either.
const WANDERER: &str = "w3";

/// The pools of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pools {
    are_two: bool,
}

impl Pools {
    /// Drawn for the run.
    pub fn new(world: &World) -> Self {
        Self { are_two: world.dice("pools").hits(TWO) }
    }

    /// Of a worker's next process.
    pub fn of_worker(self, name: &str, dice: &mut Dice) -> PoolName {
        self.second_if(name == SETTLED || self.are_two && name == WANDERER && dice.hits(SECOND))
    }

    /// Of a route.
    pub fn of_route(self, name: &str) -> PoolName {
        self.second_if(name == ROUTES[1].0)
    }

    fn second_if(self, is_second: bool) -> PoolName {
        if self.are_two && is_second { PoolName::new("second").expect("legal") } else { PoolName::default() }
    }
}
