//! Where connections of workers come from. The leader serves links and never asks what carries them.

use common::net::{Closed, LeaderLink, WorkerLink};
use tokio::sync::mpsc;

use super::command_log::BoxFuture;

/// Connections that may wait to be accepted; a worker dials again when it has to wait.
const BACKLOG_MAX: usize = 64;

/// A source of connections.
pub trait Net: Send + 'static {
    /// The next connection; `None` when there will be none. Cancel-safe.
    fn accept(&mut self) -> BoxFuture<'_, Option<WorkerLink>>;
}

/// Connections within one process.
#[derive(Debug)]
pub struct InProcessNet(mpsc::Receiver<WorkerLink>);

/// The workers' side of an `InProcessNet`.
#[derive(Clone, Debug)]
pub struct Dialer(mpsc::Sender<WorkerLink>);

/// Both sides of a net within one process.
pub fn in_process() -> (Dialer, InProcessNet) {
    let (sender, receiver) = mpsc::channel(BACKLOG_MAX);
    (Dialer(sender), InProcessNet(receiver))
}

impl Dialer {
    /// Connects to the leader.
    pub async fn dial(&self) -> Result<LeaderLink, Closed> {
        let (worker_end, leader_end) = common::net::in_process();
        self.0.send(leader_end).await.map_err(|_| Closed)?;
        Ok(worker_end)
    }
}

impl Net for InProcessNet {
    fn accept(&mut self) -> BoxFuture<'_, Option<WorkerLink>> {
        Box::pin(self.0.recv())
    }
}
