//! The connection between a leader and a worker, whatever carries it: in one process (here), TCP, or a simulation.
//!
//! Up travels a bounded queue, in order. Down travels a cell that holds only the latest of each kind: a worker that was
//! slow applies the newest snapshot and never sees those between.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::assignment::{Down, Refusal, Renewal, Snapshot, Up};

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
    down: watch::Receiver<Told>,
    /// What was received of it.
    seen: Told,
}

/// The leader's end.
#[derive(Debug)]
pub struct WorkerLink {
    up: mpsc::Receiver<Up>,
    down: ToWorker,
}

/// The way down alone.
#[derive(Debug)]
pub struct ToWorker(watch::Sender<Told>);

/// The latest of each kind that was sent down.
#[derive(Clone, Debug, Default)]
struct Told {
    refused: Option<Refusal>,
    snapshot: Option<Arc<Snapshot>>,
    renewed: Option<Renewal>,
}

/// Both ends of a connection within one process.
pub fn in_process() -> (LeaderLink, WorkerLink) {
    let (up_sender, up_receiver) = mpsc::channel(UP_QUEUE_MAX);
    let (down_sender, down_receiver) = watch::channel(Told::default());
    let worker_end = LeaderLink { up: up_sender, down: down_receiver, seen: Told::default() };
    (worker_end, WorkerLink { up: up_receiver, down: ToWorker(down_sender) })
}

impl LeaderLink {
    /// Sends a message to the leader; waits while its queue is full.
    pub async fn send(&self, message: Up) -> Result<(), Closed> {
        self.up.send(message).await.map_err(|_| Closed)
    }

    /// The next message from the leader: the latest of its kind, once it is new. What was sent before the leader's end
    /// was dropped is still received. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Down, Closed> {
        loop {
            if let Some(message) = self.unseen() {
                return Ok(message);
            }
            self.down.changed().await.map_err(|_| Closed)?;
        }
    }

    fn unseen(&mut self) -> Option<Down> {
        let told = self.down.borrow_and_update();
        if let Some(refusal) = &told.refused
            && self.seen.refused.is_none()
        {
            self.seen.refused = Some(refusal.clone());
            return Some(Down::Refused(refusal.clone()));
        }
        if let Some(snapshot) = &told.snapshot
            && !self.seen.snapshot.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, snapshot))
        {
            self.seen.snapshot = Some(snapshot.clone());
            return Some(Down::Snapshot(snapshot.clone()));
        }
        if let Some(renewal) = &told.renewed
            && self.seen.renewed.as_ref() != Some(renewal)
        {
            self.seen.renewed = Some(renewal.clone());
            return Some(Down::Renewed(renewal.clone()));
        }
        None
    }
}

impl WorkerLink {
    /// The next message from the worker, in order. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Up, Closed> {
        self.up.recv().await.ok_or(Closed)
    }

    /// Replaces what the worker has not yet seen of the message's kind.
    pub fn send(&self, message: Down) {
        self.down.send(message);
    }

    /// Takes the link apart, so that one task can receive while another sends.
    pub fn split(self) -> (mpsc::Receiver<Up>, ToWorker) {
        (self.up, self.down)
    }
}

impl ToWorker {
    /// Replaces what the worker has not yet seen of the message's kind. A worker that is gone hears nothing.
    pub fn send(&self, message: Down) {
        self.0.send_modify(|told| match message {
            Down::Snapshot(snapshot) => told.snapshot = Some(snapshot),
            Down::Renewed(renewal) => told.renewed = Some(renewal),
            Down::Refused(refusal) => told.refused = Some(refusal),
        });
    }

    /// Returns once the worker's end is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}
