//! A fleet of real processes: controllers and workers of the binary under test, run by its own admin commands.
//!
//! ```text
//! Fleet ── Node: one controller or worker: files, ports, process; killed, stopped, started again
//!       ├─ cli: one admin command and what came of it
//!       ├─ table: the assignment table at one moment, and what differs between two
//!       ├─ relay: the ways to the controllers, on which processes can be cut off
//!       └─ wire: a worker, a leader or an operator that speaks the protocol by hand
//! ```
//!
//! Owns: files, ports and processes of the nodes, and asking them what is so. Never decides whether what they say is
//! right, and never looks into their data directories.

mod cli;
mod node;
mod relay;
mod table;
mod waits;
pub mod wire;

use std::time::Duration;

pub use cli::{Output, run as run_cli};
pub use node::Node;
pub use table::{Change, Owner, Place, Row, Table};

use crate::child::Signal;
use crate::kafka_cluster::KafkaCluster;
use relay::Relay;

/// How long anything of a healthy fleet may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Controllers and workers; all are killed when dropped.
#[derive(Debug)]
pub struct Fleet {
    /// The controllers; their node ids are 1, 2, 3.
    pub controllers: Vec<Node>,
    /// The workers, named `w1`, `w2`, ….
    pub workers: Vec<Node>,
    /// The ways to the controllers, if processes are to be cut off.
    relays: Vec<Relay>,
    environment: Vec<(String, String)>,
}

impl Fleet {
    /// Starts them and waits until a controller leads and every worker is live.
    #[track_caller]
    pub fn start(controllers: usize, workers: usize) -> Self {
        let mut fleet = Self::prepare(controllers, workers);
        fleet.start_all();
        fleet
    }

    /// Starts all nodes and waits until a controller leads and every worker is live.
    #[track_caller]
    pub fn start_all(&mut self) {
        self.controllers.iter_mut().for_each(Node::start);
        self.workers.iter_mut().for_each(Node::start);
        self.leader();
        for number in 1..=self.workers.len() {
            self.wait_for_worker(&format!("w{number}"), "live");
        }
    }

    /// Writes their files and starts nothing.
    pub fn prepare(controllers: usize, workers: usize) -> Self {
        let controllers = Node::controllers(controllers);
        let addresses: Vec<String> = controllers.iter().map(|node| node.address().to_owned()).collect();
        let workers = (1..=workers).map(|number| Node::worker(&format!("w{number}"), &addresses, "")).collect();
        Self { controllers, workers, relays: Vec::new(), environment: Vec::new() }
    }

    /// Lets every node reach the controllers through relays, on which processes can be cut off. Before any is started.
    #[must_use]
    pub fn behind_relays(mut self) -> Self {
        self.relays = self.controllers.iter().map(|node| Relay::to(node.address())).collect();
        // Whatever address a node is told of leads through a relay.
        let ways: Vec<String> = self.relays.iter().map(|relay| relay.address().to_owned()).collect();
        let members: Vec<String> = ways.iter().enumerate().map(|(index, way)| format!("{}={way}", index + 1)).collect();
        for (node, way) in self.controllers.iter_mut().zip(&ways) {
            node.set_environment("REPLISOME_ADVERTISE", way);
            node.set_environment("REPLISOME_INITIAL_MEMBERS", &members.join(","));
        }
        self.workers.iter_mut().for_each(|node| node.set_environment("REPLISOME_CONTROLLERS", &ways.join(",")));
        self
    }

    /// Cuts the process with this id off from all controllers.
    ///
    /// # Panics
    /// When the fleet is not [`Self::behind_relays`].
    pub fn cut_off(&self, pid: u32) {
        assert!(!self.relays.is_empty(), "the fleet is not behind relays");
        self.relays.iter().for_each(|relay| relay.cut_off(pid));
    }

    /// Lets everybody reach the controllers again.
    pub fn mend(&self) {
        self.relays.iter().for_each(Relay::mend);
    }

    /// Sets an environment variable for every admin command from now on.
    #[must_use]
    pub fn with_environment(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The addresses of all controllers.
    pub fn addresses(&self) -> Vec<String> {
        self.controllers.iter().map(|node| node.address().to_owned()).collect()
    }

    /// The worker with this id.
    pub fn worker(&mut self, id: &str) -> &mut Node {
        let found = self.workers.iter_mut().find(|node| node.name() == id);
        found.unwrap_or_else(|| panic!("no worker {id}"))
    }

    /// One more controller, with the next node id, that waits to be taken in; it is not started.
    pub fn add_controller(&mut self) -> &mut Node {
        let id = self.controllers.len() + 1;
        self.controllers.push(Node::joining_controller(id));
        self.controllers.last_mut().expect("just pushed")
    }

    /// One more worker, named like the others; it is not started.
    pub fn add_worker(&mut self) -> &mut Node {
        let id = format!("w{}", self.workers.len() + 1);
        let worker = Node::worker(&id, &self.addresses(), "");
        self.workers.push(worker);
        self.workers.last_mut().expect("just pushed")
    }

    /// Names two Kafka clusters `west` and `east` and adds a route between them.
    #[track_caller]
    pub fn add_route(&self, route: &str, source: &KafkaCluster, target: &KafkaCluster, flags: &[&str]) {
        self.ok(&["cluster", "add", "west", "--bootstrap", source.bootstrap()]);
        self.ok(&["cluster", "add", "east", "--bootstrap", target.bootstrap()]);
        self.ok(&[&["route", "add", route, "--source", "west", "--target", "east"], flags].concat());
    }

    /// kill -9 of all controllers at once.
    pub fn kill_controllers(&mut self) {
        for node in &mut self.controllers {
            node.signal(Signal::Kill);
        }
        for node in &mut self.controllers {
            node.kill();
        }
    }

    /// Starts every controller that does not run.
    pub fn start_controllers(&mut self) {
        for node in &mut self.controllers {
            if !node.is_running() {
                node.start();
            }
        }
    }

    /// The end of every node's output, for messages of failure.
    pub fn tail(&self) -> String {
        let nodes = self.controllers.iter().chain(&self.workers);
        nodes.map(|node| format!("=== {}\n{}\n", node.name(), node.tail())).collect()
    }
}
