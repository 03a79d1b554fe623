//! Which links of the network are in trouble, so that it is known when something was said into one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::world::{World, lock};

/// The links between hosts.
#[derive(Debug)]
pub struct Links {
    world: Arc<World>,
    /// The kind of trouble, by who speaks and who should hear.
    troubled: Mutex<BTreeMap<(String, String), &'static str>>,
}

impl Links {
    /// All well.
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: world.clone(), troubled: Mutex::default() }
    }

    /// What `from` says to `to` is lost or late from now on.
    pub fn trouble(&self, kind: &'static str, from: &str, to: &str) {
        lock(&self.troubled).insert((from.to_owned(), to.to_owned()), kind);
    }

    /// What `from` says to `to` arrives again.
    pub fn mend(&self, from: &str, to: &str) {
        lock(&self.troubled).remove(&(from.to_owned(), to.to_owned()));
    }

    /// Whether a link is in trouble.
    pub fn is_troubled(&self, from: &str, to: &str) -> bool {
        lock(&self.troubled).contains_key(&(from.to_owned(), to.to_owned()))
    }

    /// Something is said.
    pub fn carries(&self, from: &str, to: &str) {
        let troubled = lock(&self.troubled);
        if troubled.is_empty() {
            return;
        }
        if let Some(kind) = troubled.get(&(from.to_owned(), to.to_owned())) {
            self.world.bit(kind);
        }
    }
}
