//! The connection between a leader and a worker, whatever carries it: in one process (here), TCP, or a simulation.
//!
//! Up travels a bounded queue, in order. Down travels a cell that holds only the latest of each kind: a worker that was
//! slow applies the newest snapshot and never sees those between.

use std::sync::{Arc, Mutex, MutexGuard};

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
    down: Arc<Mutex<Told>>,
    told: watch::Receiver<()>,
}

/// The leader's end.
#[derive(Debug)]
pub struct WorkerLink {
    up: mpsc::Receiver<Up>,
    down: ToWorker,
}

/// The way down alone.
#[derive(Debug)]
pub struct ToWorker {
    down: Arc<Mutex<Told>>,
    told: watch::Sender<()>,
}

/// The latest of each kind that was sent down and not received yet.
#[derive(Debug, Default)]
struct Told {
    refused: Option<Refusal>,
    snapshot: Option<Arc<Snapshot>>,
    renewed: Option<Renewal>,
}

/// Both ends of a connection within one process.
pub fn in_process() -> (LeaderLink, WorkerLink) {
    let (up_sender, up_receiver) = mpsc::channel(UP_QUEUE_MAX);
    let (told, hears) = watch::channel(());
    let down = Arc::new(Mutex::default());
    let worker_end = LeaderLink { up: up_sender, down: down.clone(), told: hears };
    (worker_end, WorkerLink { up: up_receiver, down: ToWorker { down, told } })
}

impl LeaderLink {
    /// Sends a message to the leader; waits while its queue is full.
    pub async fn send(&self, message: Up) -> Result<(), Closed> {
        self.up.send(message).await.map_err(|_| Closed)
    }

    /// The next message from the leader: the latest of its kind. What was sent before the leader's end was dropped is still
    /// received. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Down, Closed> {
        loop {
            if let Some(message) = locked(&self.down).take() {
                return Ok(message);
            }
            self.told.changed().await.map_err(|_| Closed)?;
        }
    }
}

impl Told {
    /// The most urgent message.
    fn take(&mut self) -> Option<Down> {
        let refused = self.refused.take().map(Down::Refused);
        let next = refused.or_else(|| self.snapshot.take().map(Down::Snapshot));
        next.or_else(|| self.renewed.take().map(Down::Renewed))
    }
}

fn locked(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().expect("nothing panics while it is locked")
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
        let mut told = locked(&self.down);
        match message {
            Down::Snapshot(snapshot) => told.snapshot = Some(snapshot),
            Down::Renewed(renewal) => told.renewed = Some(renewal),
            Down::Refused(refusal) => told.refused = Some(refusal),
        }
        drop(told);
        self.told.send_replace(());
    }

    /// Returns once the worker's end is gone.
    pub async fn closed(&self) {
        self.told.closed().await;
    }
}
