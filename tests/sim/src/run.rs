//! One run: the hosts, the phases, the end.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ::controller::state::invariants::Violation;
use turmoil::Sim;

use crate::brokers::{Process, View};
use crate::checks::Checks;
use crate::dice::Dice;
use crate::faults::Faults;
use crate::hosts::operator::{self, Operator};
use crate::hosts::{controller, worker};
use crate::report::Report;
use crate::site::{Phase, Site};
use crate::workload::Workload;
use crate::world::{World, lock};

/// How far time goes on in one step. Messages arrive between steps.
pub const TICK: Duration = Duration::from_millis(5);
/// How long the fleet may take to be founded.
const FOUND_MAX: Duration = Duration::from_secs(20);
/// How long there is trouble.
const TROUBLE: Duration = Duration::from_secs(65);
/// How long all may take to be copied once there is none.
const HEAL_MAX: Duration = Duration::from_secs(60);
/// How long it may take where nothing is wrong that a lower owner's offset is stored over: owners look once a second.
const STORE_OVER_MAX: Duration = Duration::from_secs(4);
/// How long planned moves may take.
const MOVES_MAX: Duration = Duration::from_secs(40);
/// How long an election and what might follow from it is watched: a lease, a grace and some more.
const ELECTION: Duration = Duration::from_secs(12);

/// The first panic of the process, wherever a task or a destructor hid it.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// One run.
pub struct Run {
    seed: u64,
    sim: Sim<'static>,
    site: Arc<Site>,
    workload: Workload,
    faults: Faults,
    checks: Checks,
}

impl Run {
    /// A run of a seed, before its first step.
    pub fn new(seed: u64, prints: bool) -> Self {
        std::panic::set_hook(Box::new(move |panic| {
            if prints {
                eprintln!("{panic}\n{}", std::backtrace::Backtrace::force_capture());
            }
            lock(&PANIC).get_or_insert(panic.to_string());
        }));
        let world = Arc::new(World::new(seed, prints));
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3_600))
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::from_millis(15))
            .tcp_capacity(65_536)
            .epoch(SystemTime::UNIX_EPOCH)
            .build();
        let site = Site::new(&world);
        hosts(&mut sim, &site);
        let (workload, faults) = (Workload::new(&site.brokers), Faults::new(&site));
        Self { seed, sim, site, workload, faults, checks: Checks::default() }
    }

    /// Runs to the end, or to the first violation.
    pub fn finish(mut self) -> Report {
        let outcome = self.phases();
        if let Err(Wrong::Slow(invariant, rule, found)) = outcome {
            self.site.world.violated(invariant, rule, found);
        }
        self.report()
    }

    fn phases(&mut self) -> Result<(), Wrong> {
        self.until(FOUND_MAX, ("C10", "a fleet is founded"), |run| {
            let is_done = run.site.is_operator_done();
            is_done && run.checks.controllers.newest().is_some_and(|table| !table.slots().is_empty())
        })?;
        self.site.set_phase(Phase::Trouble);
        self.lasts(TROUBLE, |run| run.faults.advance(&mut run.sim))?;

        self.faults.end(&mut self.sim);
        lock(&self.site.history).finish();
        self.site.brokers.heal();
        self.workload.rate = 0;
        self.site.set_phase(Phase::Heal);
        self.until(HEAL_MAX, ("C10", "after healing everything is copied"), Self::is_finished)?;

        // Where nothing else is stored, nothing else covers it.
        self.site.brokers.store_late();
        self.until(STORE_OVER_MAX, ("D6", "a lower owner's offset is stored over, also at rest"), |run| {
            !run.checks.are_low(&run.site)
        })?;

        self.workload.rate = 80;
        lock(&self.site.brokers.copies).set_quiet();
        self.site.set_phase(Phase::Moves);
        self.until(MOVES_MAX, ("C10", "planned moves come to an end"), |run| run.site.is_operator_done())?;
        self.workload.rate = 0;
        self.until(MOVES_MAX, ("C10", "after planned moves everything is copied"), Self::is_finished)?;
        self.until(MOVES_MAX, ("P6", "a rebalance leaves all pools even"), |run| run.checks.are_even())?;

        self.workload.rate = 80;
        self.checks.moves.is_frozen = true;
        self.site.set_phase(Phase::Election);
        let leads = |(name, it): (String, crate::site::Controller)| it.seat.leading().map(|_| name);
        if let Some(leader) = self.site.running().into_iter().find_map(leads) {
            self.faults.kill(&mut self.sim, &leader);
        }
        self.lasts(ELECTION, |_| ())?;
        self.workload.rate = 0;
        self.until(MOVES_MAX, ("C10", "after an election everything is copied"), Self::is_finished)?;
        self.site.set_phase(Phase::Over);
        Ok(())
    }

    fn is_finished(run: &mut Self) -> bool {
        run.site.is_operator_done() && run.checks.unfinished(&run.site).is_empty()
    }

    /// Steps for a while.
    fn lasts(&mut self, time: Duration, mut each: impl FnMut(&mut Self)) -> Result<(), Wrong> {
        let end = self.site.world.now() + time;
        while self.site.world.now() < end {
            each(self);
            self.step()?;
        }
        Ok(())
    }

    /// Steps until something is so.
    fn until(
        &mut self,
        longest: Duration,
        (invariant, rule): (&'static str, &'static str),
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Wrong> {
        let end = self.site.world.now() + longest;
        while !is_so(self) {
            self.step()?;
            if self.site.world.now() >= end {
                let mut unfinished = self.checks.unfinished(&self.site);
                unfinished.push(format!("the operator is done: {}", self.site.is_operator_done()));
                return Err(Wrong::Slow(invariant, rule, unfinished.join("; ")));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Wrong> {
        self.workload.advance();
        self.site.brokers.advance();
        let world = &self.site.world;
        if let Err(error) = self.sim.step() {
            world.violated("PROCESS", "no host fails", error.to_string());
        }
        world.set_now(self.sim.elapsed());
        if let Some(panic) = lock(&PANIC).clone() {
            world.violated("PANIC", "nothing panics", panic);
        }
        self.checks.look(&self.site);
        if self.site.world.violation().is_some() { Err(Wrong::Violated) } else { Ok(()) }
    }

    fn report(&self) -> Report {
        let (world, copies) = (&self.site.world, lock(&self.site.brokers.copies));
        let bites = world.bites();
        let records: Vec<usize> = copies.all().map(|(_, copied)| copied.arrived()).collect();
        let rejected = [
            (world.now() < Duration::from_secs(60), "shorter than 60 s"),
            (bites.keys().filter(|kind| **kind != "fast-clock").count() < 3, "less than 3 kinds of faults bit"),
            (self.checks.moves.count == 0, "no owner changed"),
            (records.iter().any(|arrived| *arrived < 100), "less than 100 records of a partition"),
        ];
        let violation = world.violation();
        let why = rejected.iter().find(|(is_so, _)| *is_so).map(|(_, why)| (*why).to_owned());
        Report {
            seed: self.seed,
            hash: format!("{:016x}", world.hash()),
            rejected: if violation.is_some() { None } else { why },
            violation: violation.map(|violation| (named(&violation), violation.to_string())),
            seconds: world.now().as_secs_f64(),
            bites: bites.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
            elections: self.checks.controllers.elections() as u64,
            moves: self.checks.moves.count,
            calls: lock(&self.site.history).answers(),
            records: records.iter().sum::<usize>() as u64,
            duplicates: copies.duplicates(),
            revisions: self.checks.controllers.newest().map_or(0, |table| table.revision().0),
        }
    }
}

/// The number of what is violated. The table's own checks panic, and the panic's text names it.
fn named(violation: &Violation) -> String {
    let of_table = |part: &str| {
        let (name, rest) = part.split_once(" (")?;
        rest.contains(") is violated").then(|| name.to_owned())
    };
    let in_text = violation.found.lines().flat_map(|line| line.split(": ")).find_map(of_table);
    in_text.filter(|_| violation.invariant == "PANIC").unwrap_or_else(|| violation.invariant.to_owned())
}

/// Why a run ends early.
enum Wrong {
    /// An invariant does not hold.
    Violated,
    /// Something that must come did not.
    Slow(&'static str, &'static str, String),
}

fn hosts(sim: &mut Sim<'static>, site: &Arc<Site>) {
    for (number, name) in (1..).zip(site.controllers.clone()) {
        let (site, dice) = (site.clone(), RefCell::new(site.world.dice(&format!("starts of {name}"))));
        let process = Process { host: name.clone(), number: 0 };
        let clusters = Arc::new(View::new(&site.brokers, process));
        sim.host(name, move || {
            let dice = Dice::new(dice.borrow_mut().draw(), "controller");
            controller::run(site.clone(), number, clusters.clone(), dice)
        });
    }
    for name in site.workers.clone() {
        let (site, dice) = (site.clone(), RefCell::new(site.world.dice(&format!("starts of {name}"))));
        sim.host(name.clone(), move || {
            worker::run(site.clone(), name.clone(), Dice::new(dice.borrow_mut().draw(), "worker"))
        });
    }
    let site = site.clone();
    sim.host(operator::NAME, move || Operator::new(&site, site.world.dice("operator")).run());
}
