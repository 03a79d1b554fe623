//! What must be true, looked at after each step.

pub mod controllers;
pub mod copies;
pub mod history;
pub mod moves;
pub mod offsets;

use std::time::Duration;

use controller::planner::{PlanInput, plan};
use controller::state::State;

use crate::site::Site;
use crate::world::lock;
use controllers::Controllers;
use moves::Moves;
use offsets::Offsets;

/// How often stored offsets are looked at.
const OFFSETS_EVERY: Duration = Duration::from_millis(100);
/// A table that did not change for so long has nothing more to do.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// All checks that look from outside. Those of records and stores are told as they happen (`copies`).
#[derive(Default)]
pub struct Checks {
    pub controllers: Controllers,
    pub moves: Moves,
    offsets: Offsets,
    offsets_due: Duration,
    /// When the table changed last.
    changed: Duration,
}

impl Checks {
    /// Looks at everything.
    pub fn look(&mut self, site: &Site) {
        if self.controllers.look(site)
            && let Some(table) = self.controllers.newest()
        {
            self.changed = site.world.now();
            self.moves.look(site, table);
            let mut copies = lock(&site.brokers.copies);
            copies.set_registered(table.sessions().keys().copied().collect());
            let noted = table.slots().iter().filter(|(_, slot)| slot.noted_offset.get().is_some());
            copies.set_noted(&noted.map(|(id, _)| id.source()).collect());
            drop(copies);
            site.orders.set_table(table.clone());
        }
        lock(&site.brokers.copies).judge_claims();
        let now = site.world.now();
        if now >= self.offsets_due
            && let Some(table) = self.controllers.newest()
        {
            self.offsets_due = now + OFFSETS_EVERY;
            self.offsets.look(site, table);
        }
    }

    /// Whether a stored offset is that of a lower owner.
    pub fn are_low(&self, site: &Site) -> bool {
        self.controllers.newest().is_some_and(|table| offsets::are_low(site, table))
    }

    /// Whether no worker has more to do than another one would have with one more.
    pub fn are_even(&self) -> bool {
        let is_even = |table: &State| PlanInput::at_rest(table).all(|input| !plan(&input).is_uneven);
        self.controllers.newest().is_some_and(is_even)
    }

    /// What is left to do until everything is copied and nothing moves any more.
    pub fn unfinished(&self, site: &Site) -> Vec<String> {
        let Some(table) = self.controllers.newest() else { return vec!["there is no table".to_owned()] };
        let mut unfinished = offsets::unfinished(site, table);
        if site.world.now() < self.changed + SETTLED_AFTER {
            unfinished.push(format!("the table changed at {:?}", self.changed));
        }
        unfinished
    }
}
