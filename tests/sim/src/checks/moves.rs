//! Who owns what, from one table to the next: counts the changes, plans each table twice (P7), and during an election no
//! owner changes (C6).

use std::collections::BTreeMap;

use common::ids::{RoutePartition, SessionId};
use controller::planner::{PlanInput, plan};
use controller::state::{Life, State};

use crate::site::Site;

/// What was seen of owners so far.
#[derive(Debug, Default)]
pub struct Moves {
    owners: BTreeMap<RoutePartition, SessionId>,
    /// How often a partition went from one owner to another.
    pub count: u64,
    /// Set while no owner may change.
    pub is_frozen: bool,
}

impl Moves {
    /// Looks at a table.
    pub fn look(&mut self, site: &Site, table: &State) {
        for (id, slot) in table.slots() {
            let Life::Assigned { session, .. } = slot.life else {
                if self.is_frozen {
                    self.moved(site, id, &format!("is {}", slot.life.name()));
                }
                continue;
            };
            let before = self.owners.insert(id.clone(), session);
            if before.is_some_and(|before| before != session) {
                self.count += 1;
                if self.is_frozen {
                    self.moved(site, id, &format!("went to session {session}"));
                }
            }
        }
        let plans = || PlanInput::at_rest(table).map(|input| plan(&input)).collect::<Vec<_>>();
        if plans() != plans() {
            site.world.violated("P7", "the same table, the same plan", format!("at revision {}", table.revision()));
        }
    }

    fn moved(&self, site: &Site, id: &RoutePartition, how: &str) {
        site.world.violated("C6", "an election alone moves nothing", format!("{id} {how}"));
    }
}
