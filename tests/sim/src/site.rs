//! The machines of a run and what outlives their processes: disks, clusters, the network; and what can be seen of the
//! processes that run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use controller::api::Seat;
use controller::raft::RaftNode;

use crate::disk::Disk;
use crate::links::Links;
use crate::world::{World, lock};

/// Where controllers listen.
pub const PORT: u16 = 7400;

/// The machines of a run.
pub struct Site {
    pub world: Arc<World>,
    pub links: Arc<Links>,
    /// The controllers' names, from node 1 on.
    pub controllers: Vec<String>,
    disks: BTreeMap<String, Disk>,
    running: Mutex<BTreeMap<String, Controller>>,
}

/// A controller's process, as it can be seen from outside.
#[derive(Clone)]
pub struct Controller {
    pub raft: RaftNode,
    pub seat: Seat,
}

impl Site {
    /// Machines on which nothing runs yet.
    pub fn new(world: &Arc<World>, controllers: usize) -> Arc<Self> {
        let controllers: Vec<String> = (1..=controllers).map(|number| format!("c{number}")).collect();
        let disk = |name: &String| (name.clone(), Disk::new(world, name));
        let disks = controllers.iter().map(disk).collect();
        let (links, running) = (Arc::new(Links::new(world)), Mutex::default());
        Arc::new(Self { world: world.clone(), links, controllers, disks, running })
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

    /// A controller's process runs from now on.
    pub fn started(&self, name: &str, controller: Controller) {
        lock(&self.running).insert(name.to_owned(), controller);
    }

    /// A controller's process has ended.
    pub fn ended(&self, name: &str) {
        lock(&self.running).remove(name);
    }

    /// The controllers that run.
    pub fn running(&self) -> BTreeMap<String, Controller> {
        lock(&self.running).clone()
    }
}
