//! The controllers among themselves: one leader a term, one seat at a time, one table a revision.

use std::collections::BTreeMap;

use common::ids::{ControllerEpoch, Revision};
use controller::state::{State, invariants};

use crate::site::{Controller, Site};

/// What was seen of the controllers so far.
#[derive(Debug, Default)]
pub struct Controllers {
    /// Who led in each term.
    leaders: BTreeMap<u64, String>,
    /// The term of the leadership that began each controller epoch.
    epochs: BTreeMap<ControllerEpoch, u64>,
    /// The greatest term that each controller knew.
    terms: BTreeMap<String, u64>,
    /// The table at each revision, hashed.
    tables: BTreeMap<Revision, u64>,
    /// The revision at which each controller was last looked at.
    looked: BTreeMap<String, Revision>,
    newest: Option<State>,
}

impl Controllers {
    /// Looks at all that run. Returns whether there is a newer table.
    pub fn look(&mut self, site: &Site) -> bool {
        let (running, known) = (site.running(), self.newest.as_ref().map(State::revision));
        self.look_at_seats(site, &running);
        for (name, controller) in &running {
            self.look_at_terms(site, name, controller);
            self.look_at_table(site, name, controller);
        }
        self.looked.retain(|name, _| running.contains_key(name));
        self.newest.as_ref().map(State::revision) > known
    }

    /// How many terms had a leader.
    pub fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// The newest table that was seen.
    pub fn newest(&self) -> Option<&State> {
        self.newest.as_ref()
    }

    fn look_at_seats(&mut self, site: &Site, running: &BTreeMap<String, Controller>) {
        let seats: Vec<_> = running.iter().filter_map(|(name, it)| Some((name, it.seat.leading()?))).collect();
        if seats.len() > 1 {
            let who: Vec<String> = seats.iter().map(|(name, seat)| format!("{name} in term {}", seat.term)).collect();
            site.world.violated("R4", "one controller acts as the leader at a time", who.join(", "));
        }
        for (name, seat) in seats {
            let epoch = seat.handle.state().controller_epoch();
            let term = *self.epochs.entry(epoch).or_insert(seat.term);
            if term != seat.term {
                let found =
                    format!("{name} in term {} acts in epoch {epoch:?}, as the leader of {term} did", seat.term);
                site.world.violated("R5", "each leadership has a controller epoch of its own", found);
            }
        }
    }

    fn look_at_terms(&mut self, site: &Site, name: &str, controller: &Controller) {
        let (term, _) = controller.raft.position();
        let known = self.terms.entry(name.to_owned()).or_insert(term);
        if term < *known {
            let found = format!("{name} went from term {known} back to {term}");
            site.world.violated("R1", "a term never falls, not even by a crash", found);
        }
        *known = term;
        if let Some(term) = controller.raft.standing().borrow().leads {
            let leader = self.leaders.entry(term).or_insert_with(|| {
                site.world.note(name, format_args!("leads in term {term}"));
                name.to_owned()
            });
            if leader != name {
                site.world.violated("R2", "a term has one leader", format!("{leader} and {name} lead in term {term}"));
            }
        }
    }

    fn look_at_table(&mut self, site: &Site, name: &str, controller: &Controller) {
        let log = controller.raft.log();
        let state = log.read();
        let revision = state.revision();
        // The table gets its fleet's name before its first change.
        if revision == Revision::default() || self.looked.insert(name.to_owned(), revision) == Some(revision) {
            return;
        }
        if let Err(violation) = invariants::check(&state) {
            site.world.report(violation);
        }
        let hash = hash(&state);
        if *self.tables.entry(revision).or_insert(hash) != hash {
            let found = format!("{name} has another table at revision {revision}");
            site.world.violated("R3", "all controllers have the same table at the same revision", found);
        }
        if self.newest.as_ref().is_none_or(|newest| newest.revision() < revision) {
            site.world.note("table", format_args!("revision {revision}, {hash:016x}"));
            self.newest = Some(state.clone());
        }
    }
}

fn hash(state: &State) -> u64 {
    let bytes = postcard::to_allocvec(state).expect("a table can be written");
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
