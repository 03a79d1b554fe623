//! The machines of a run and what outlives their processes: disks, clusters, the network; and what can be seen of the
//! processes that run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use controller::api::Seat;
use controller::raft::RaftNode;
use tokio_util::sync::CancellationToken;

use crate::brokers::{Brokers, Process};
use crate::checks::history::History;
use crate::disk::Disk;
use crate::hosts::stops::Stops;
use crate::links::Links;
use crate::orders::Orders;
use crate::pools::Pools;
use crate::world::{World, lock};

/// Where controllers listen.
pub const PORT: u16 = 7400;
/// How many controllers a fleet has.
pub const CONTROLLERS: usize = 3;
/// How many workers it has.
pub const WORKERS: usize = 4;

/// The phases of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// The fleet is founded, clusters and routes are added.
    Found,
    /// Faults, and an operator who changes things at random.
    Trouble,
    /// No more faults; the operator undoes what he did. All is copied (C10).
    Heal,
    /// Planned moves repeat nothing (D4).
    Moves,
    /// An election alone moves nothing (C6), and what is assigned goes on (C9).
    Election,
    /// The end.
    Over,
}

/// The machines of a run.
pub struct Site {
    pub world: Arc<World>,
    pub links: Arc<Links>,
    pub stops: Arc<Stops>,
    pub brokers: Arc<Brokers>,
    pub orders: Orders,
    /// What callers asked and were answered.
    pub history: Mutex<History>,
    /// The controllers' names, from node 1 on.
    pub controllers: Vec<String>,
    /// The workers' names.
    pub workers: Vec<String>,
    /// Which pool each worker and route is in.
    pub pools: Pools,
    disks: BTreeMap<String, Disk>,
    seen: Mutex<Seen>,
}

/// What is seen of the processes.
struct Seen {
    phase: Phase,
    /// The last phase in which the operator did what he had to do.
    operator_did: Option<Phase>,
    controllers: BTreeMap<String, Controller>,
    /// How many processes each worker's host had.
    processes: BTreeMap<String, u32>,
    workers: BTreeMap<String, (Process, CancellationToken)>,
}

/// A controller's process, as it can be seen from outside.
#[derive(Clone)]
pub struct Controller {
    pub raft: RaftNode,
    pub seat: Seat,
}

impl Site {
    /// Machines on which nothing runs yet.
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        let named = |letter: char, count: usize| (1..=count).map(|number| format!("{letter}{number}")).collect();
        let (controllers, workers): (Vec<String>, Vec<String>) = (named('c', CONTROLLERS), named('w', WORKERS));
        let disks = controllers.iter().map(|name| (name.clone(), Disk::new(world, name))).collect();
        let (running, processes, tokens) = Default::default();
        let seen = Seen { phase: Phase::Found, operator_did: None, controllers: running, processes, workers: tokens };
        Arc::new(Self {
            world: world.clone(),
            links: Arc::new(Links::new(world)),
            stops: Arc::new(Stops::new(world)),
            brokers: Arc::new(Brokers::new(world)),
            orders: Orders::default(),
            history: Mutex::new(History::new(world)),
            controllers,
            workers,
            pools: Pools::new(world),
            disks,
            seen: Mutex::new(seen),
        })
    }

    /// The disk of a controller.
    pub fn disk(&self, controller: &str) -> &Disk {
        &self.disks[controller]
    }

    /// Where a controller is reached.
    pub fn address(controller: &str) -> String {
        format!("{controller}:{PORT}")
    }

    /// Where all controllers are reached.
    pub fn addresses(&self) -> Vec<String> {
        self.controllers.iter().map(|name| Self::address(name)).collect()
    }

    /// The phase of the run.
    pub fn phase(&self) -> Phase {
        lock(&self.seen).phase
    }

    /// Another phase begins.
    pub fn set_phase(&self, phase: Phase) {
        self.world.note("run", format_args!("phase {phase:?}"));
        lock(&self.seen).phase = phase;
    }

    /// The operator did what he had to do in a phase.
    pub fn operator_did(&self, phase: Phase) {
        lock(&self.seen).operator_did = Some(phase);
    }

    /// Whether he did.
    pub fn is_operator_done(&self) -> bool {
        let seen = lock(&self.seen);
        seen.operator_did == Some(seen.phase)
    }

    /// A controller's process runs from now on.
    pub fn controller_started(&self, name: &str, controller: Controller) {
        lock(&self.seen).controllers.insert(name.to_owned(), controller);
    }

    /// A process is about to die.
    pub fn ends(&self, host: &str) {
        let mut seen = lock(&self.seen);
        seen.controllers.remove(host);
        seen.workers.remove(host);
    }

    /// The process of a worker that runs, if one does.
    pub fn worker(&self, name: &str) -> Option<Process> {
        lock(&self.seen).workers.get(name).map(|(process, _)| process.clone())
    }

    /// The controllers that run.
    pub fn running(&self) -> BTreeMap<String, Controller> {
        lock(&self.seen).controllers.clone()
    }

    /// The next process of a worker's host.
    pub fn next_process(&self, host: &str) -> Process {
        let mut seen = lock(&self.seen);
        let number = seen.processes.entry(host.to_owned()).or_default();
        *number += 1;
        Process { host: host.to_owned(), number: *number }
    }

    /// A worker's process runs from now on.
    pub fn worker_started(&self, process: &Process, shutdown: &CancellationToken) {
        lock(&self.seen).workers.insert(process.host.clone(), (process.clone(), shutdown.clone()));
    }

    /// Tells a worker's process to stop, if one runs.
    pub fn shut_down(&self, worker: &str) -> bool {
        let seen = lock(&self.seen);
        let Some((_, shutdown)) = seen.workers.get(worker) else { return false };
        shutdown.cancel();
        true
    }
}
