//! The only place that spawns tasks.

use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// Tasks that stop together: when told to, or when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    cancellation: CancellationToken,
    running: JoinSet<Option<End>>,
}

/// Why a leader is none any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The log has another leader.
    NotLeader,
    /// No worker can connect any more.
    NetClosed,
    /// A task panicked.
    Failed,
}

impl Tasks {
    /// Spawns a loop. It is left at its next await once the tasks are stopped; if it ends by itself with an `End`, that
    /// is the end of the leader, and with `None` its work is done.
    pub fn spawn(&mut self, task: impl Future<Output = Option<End>> + Send + 'static) {
        let cancelled = self.cancellation.clone();
        self.running.spawn(async move { cancelled.run_until_cancelled_owned(task).await.flatten() });
    }

    /// Waits until a task ends by itself, and forgets those whose work is done. Never returns while all go on. Cancel-safe.
    pub async fn ended(&mut self) -> End {
        loop {
            match self.running.join_next().await {
                Some(Ok(None)) => {}
                Some(Ok(Some(end))) => return end,
                Some(Err(error)) => {
                    error!(%error, "a task of the leader failed");
                    return End::Failed;
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Stops all and waits for them.
    pub async fn stop(mut self) {
        self.cancellation.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.cancellation.cancel();
    }
}
