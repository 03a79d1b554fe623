//! The connection between a leader and a worker, whatever carries it: in one process (here), TCP, or a simulation.
//!
//! Up travels a bounded queue, in order. Down travels a cell that holds only the latest message: a worker that was slow
//! applies the newest snapshot and never sees those between.

use tokio::sync::{mpsc, watch};

use crate::assignment::{Down, Up};

/// Messages a worker may have on the way to its leader. Each is small or replaces an earlier one; a leader that is
/// this far behind is better waited for than fed.
pub const UP_QUEUE_MAX: usize = 256;

/// The other side is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection between leader and worker is closed")]
pub struct Closed;

/// The worker's end.
#[derive(Debug)]
pub struct LeaderLink {
    up: mpsc::Sender<Up>,
    down: watch::Receiver<Option<Down>>,
}

/// The leader's end.
#[derive(Debug)]
pub struct WorkerLink {
    up: mpsc::Receiver<Up>,
    down: watch::Sender<Option<Down>>,
}

/// Both ends of a connection within one process.
pub fn in_process() -> (LeaderLink, WorkerLink) {
    let (up_sender, up_receiver) = mpsc::channel(UP_QUEUE_MAX);
    let (down_sender, down_receiver) = watch::channel(None);
    (LeaderLink { up: up_sender, down: down_receiver }, WorkerLink { up: up_receiver, down: down_sender })
}

impl LeaderLink {
    /// Sends a message to the leader; waits while its queue is full.
    pub async fn send(&self, message: Up) -> Result<(), Closed> {
        self.up.send(message).await.map_err(|_| Closed)
    }

    /// The next message from the leader: the latest one, once it is new. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Down, Closed> {
        loop {
            self.down.changed().await.map_err(|_| Closed)?;
            if let Some(message) = self.down.borrow_and_update().clone() {
                return Ok(message);
            }
        }
    }
}

impl WorkerLink {
    /// Replaces whatever the worker has not yet seen. An error means that the worker is gone.
    pub fn send(&self, message: Down) -> Result<(), Closed> {
        self.down.send(Some(message)).map_err(|_| Closed)
    }

    /// The next message from the worker, in order. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Up, Closed> {
        self.up.recv().await.ok_or(Closed)
    }

    /// Takes the link apart, so that one task can receive while another sends.
    pub fn split(self) -> (mpsc::Receiver<Up>, watch::Sender<Option<Down>>) {
        (self.up, self.down)
    }
}
