//! What runs the loops of a worker in a simulation: a task each, whose turns take time. A host that is stopped (SIGSTOP, a
//! snapshot of a virtual machine) makes no turns until it goes on.

use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::sleep;
use worker::host::{Host, Turn, Work};

use crate::dice::Dice;
use crate::hosts::stops::Stops;
use crate::world::lock;

/// The longest that a loop sleeps between two turns: what it waits for can't wake it.
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// A host's tasks.
pub struct SimHost {
    stops: Arc<Stops>,
    name: String,
    dice: Mutex<Dice>,
}

impl SimHost {
    /// The tasks of a host's process.
    pub fn new(stops: &Arc<Stops>, name: &str, dice: Dice) -> Self {
        Self { stops: stops.clone(), name: name.to_owned(), dice: Mutex::new(dice) }
    }
}

impl Host for SimHost {
    fn start(&self, loop_name: String, mut work: Box<dyn Work>) -> Option<JoinHandle<()>> {
        let (stops, host) = (self.stops.clone(), self.name.clone());
        let mut dice = Dice::new(lock(&self.dice).draw(), &loop_name);
        tokio::spawn(async move {
            loop {
                stops.passed(&host).await;
                let longest = match work.turn(Duration::ZERO) {
                    Turn::Next(patience) => patience,
                    Turn::Pause(pause) => pause,
                    Turn::End => return,
                };
                sleep(dice.millis(1, 5).max(longest.min(LOOKS_EVERY))).await;
            }
        });
        None
    }

    fn rss_bytes(&self) -> u64 {
        0
    }
}
