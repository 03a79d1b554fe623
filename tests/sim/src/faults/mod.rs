//! Faults at random: which, when, for how long, and their end.

pub mod kinds;
mod outage;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use turmoil::Sim;

use crate::dice::Dice;
use crate::faults::kinds::{Kind, Undo};
use crate::site::Site;
use crate::world::lock;

/// How many faults there are at a time, at most.
const AT_A_TIME: usize = 3;

/// The faults of a run.
pub struct Faults {
    site: Arc<Site>,
    dice: Dice,
    active: Vec<Active>,
    next: Duration,
    /// Hosts whose process is dead.
    down: BTreeSet<String>,
}

/// A fault that lasts.
struct Active {
    until: Duration,
    undo: Undo,
}

impl Faults {
    /// None yet.
    pub fn new(site: &Arc<Site>) -> Self {
        let (dice, next) = (site.world.dice("faults"), site.world.now());
        Self { site: site.clone(), dice, active: Vec::new(), next, down: BTreeSet::new() }
    }

    /// Ends what is over, and begins what is due.
    pub fn advance(&mut self, sim: &mut Sim<'_>) {
        let now = self.site.world.now();
        let (over, active): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.active).into_iter().partition(|fault| fault.until <= now);
        self.active = active;
        for fault in over {
            self.undo(sim, fault.undo);
        }
        let is_alone = self.active.iter().any(|fault| matches!(fault.undo, Undo::Outage(_)));
        if now >= self.next && self.active.len() < AT_A_TIME && !is_alone {
            self.next = now + self.dice.millis(300, 4_000);
            let kind = self.dice.pick(Kind::ALL).expect("there are kinds");
            if let Some((lasts, undo)) = self.begin(sim, kind) {
                self.active.push(Active { until: now + lasts, undo });
            }
        }
    }

    /// Ends all.
    pub fn end(&mut self, sim: &mut Sim<'_>) {
        for fault in std::mem::take(&mut self.active) {
            self.undo(sim, fault.undo);
        }
        self.site.stops.clear();
        lock(&self.site.brokers.copies).all_go_on();
    }

    /// Kills the process of a host.
    pub fn kill(&mut self, sim: &mut Sim<'_>, host: &str) {
        self.site.world.note("fault", format_args!("{host} dies"));
        let process = self.site.worker(host);
        self.site.ends(host);
        sim.crash(host);
        self.down.insert(host.to_owned());
        match process {
            Some(process) => lock(&self.site.brokers.copies).ended(&process),
            None if self.site.controllers.iter().any(|name| name == host) => self.site.disk(host).crash(),
            None => {}
        }
    }

    /// Starts a process again.
    pub fn restart(&mut self, sim: &mut Sim<'_>, host: &str) {
        self.site.world.note("fault", format_args!("{host} starts again"));
        self.down.remove(host);
        sim.bounce(host);
    }
}
