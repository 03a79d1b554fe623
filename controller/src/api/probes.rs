//! Questions to Kafka clusters on behalf of an operator who waits: each where it may wait, none waited for longer
//! than it is worth. What is learned becomes a note or a column, never a fact of the table.

use std::sync::Arc;
use std::time::Duration;

use common::blocking::call;
use common::config::ClusterConfig;
use kafka::admin::ClusterAdmin;
use kafka::error::{Error, ErrorKind};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::leader::topics::ClusterAccess;

/// How long an operator waits for a cluster.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How long he waits for what is nice to know only.
pub const BRIEFLY: Duration = Duration::from_secs(1);

/// Questions under way at once. A thread goes on after its question was given up, until its client gives up too.
const QUESTIONS_MAX: usize = 16;

/// Where to ask. Cheap to clone.
#[derive(Clone)]
pub struct Probes {
    clusters: Arc<dyn ClusterAccess>,
    threads: Arc<Semaphore>,
}

impl Probes {
    /// Asks through these clients.
    pub fn new(clusters: Arc<dyn ClusterAccess>) -> Self {
        Self { clusters, threads: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// Asks one cluster.
    pub async fn ask<T: Send + 'static>(
        &self,
        cluster: ClusterConfig,
        patience: Duration,
        question: impl FnOnce(&dyn ClusterAdmin) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let Self { clusters, threads } = self.clone();
        let answer = async move {
            let permit = threads.acquire_owned().await.expect("it is never closed");
            let access = clusters.clone();
            let asking = call(&*clusters, move || {
                let answer = access.admin(&cluster).and_then(|admin| question(admin.as_ref()));
                drop(permit);
                answer
            });
            asking.await.unwrap_or_else(|error| Err(Error::new(ErrorKind::Other, format_args!("asking: {error}"))))
        };
        let no_answer = || Error::new(ErrorKind::Unreachable, format_args!("no answer within {patience:?}"));
        timeout(patience, answer).await.unwrap_or_else(|_| Err(no_answer()))
    }
}
