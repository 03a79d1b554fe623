//! One of the two clusters, as the preflight asks it: patiently, off the runtime's threads, and with messages that name
//! the side, the address and the file to look into.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::config::ClusterConfig;
use common::reason::Side;
use kafka::admin::ClusterAdmin;
use kafka::clients::Clients;
use kafka::error::{Error, ErrorKind};
use tokio::time::{Instant, sleep};

use super::config::bootstrap;
use crate::failure::Failure;

/// How long a cluster that does not answer is asked again. One question alone may take some seconds.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before asking again.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// One of the two clusters, with what a message about it needs.
pub struct Peer {
    /// Which of the two.
    pub side: Side,
    /// Its brokers' addresses, as the user gave them.
    pub bootstrap: String,
    /// The file that describes it.
    pub file: String,
    admin: Arc<dyn ClusterAdmin>,
}

impl Peer {
    /// A client of the cluster that `file` describes.
    pub fn new<C: Clients>(side: Side, cluster: &ClusterConfig, file: &Path, clients: &C) -> Result<Self, Failure> {
        let file = file.display().to_string();
        let admin = clients.admin(cluster).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
        Ok(Self { side, bootstrap: bootstrap(cluster).to_owned(), file, admin })
    }

    /// Asks the cluster. `None` where it does not know the question.
    pub async fn ask<T: Send + 'static>(
        &self,
        doing: &str,
        question: impl Fn(&dyn ClusterAdmin) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Option<T>, Failure> {
        let admin = self.admin.clone();
        match self.patiently(doing, move || question(admin.as_ref())).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind == ErrorKind::Unsupported => {
                tracing::info!(cluster = %self.side, "{doing} is not supported by the cluster, skipped");
                Ok(None)
            }
            Err(error) => Err(self.failure(doing, &error)),
        }
    }

    /// Makes a request on a thread of its own, again while the cluster may only be starting: a broker that comes up
    /// refuses connections, and a new cluster makes its group coordinator at the first question.
    pub async fn patiently<T: Send + 'static>(
        &self,
        doing: &str,
        request: impl Fn() -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let (start, request) = (Instant::now(), Arc::new(request));
        let mut told: Option<Error> = None;
        loop {
            let request = request.clone();
            let answer = tokio::task::spawn_blocking(move || request()).await;
            let error = match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(error) => Error::new(ErrorKind::Config, format_args!("{doing}: the request was lost: {error}")),
            };
            // The client names a cause once, and afterwards says only that it still fails.
            let error = match told.take() {
                Some(told) if told.kind == error.kind && told.text.len() > error.text.len() => told,
                _ => error,
            };
            if !error.is_retryable() || start.elapsed() >= CLUSTER_PATIENCE {
                return Err(error);
            }
            tracing::info!(cluster = %self.side, %error, "no answer yet, trying again");
            told = Some(error);
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// What to tell the user of a request that failed.
    pub fn failure(&self, doing: impl Display, error: &Error) -> Failure {
        let Self { side, bootstrap, file, .. } = self;
        match error.kind {
            ErrorKind::Unreachable => Failure::failed(format!(
                "the {side} cluster at {bootstrap} does not answer: {error}; check that its brokers run, and \
                 bootstrap.servers and security.protocol in {file}"
            )),
            ErrorKind::Authentication => Failure::failed(format!(
                "the {side} cluster at {bootstrap} refuses the credentials: {error}; check the sasl.* and ssl.* \
                 properties in {file}"
            )),
            ErrorKind::Config => Failure::usage(format!("{file}: {error}")),
            ErrorKind::TopicDenied | ErrorKind::GroupDenied | ErrorKind::ClusterDenied => Failure::failed(format!(
                "the {side} cluster at {bootstrap} denies {doing}: {error}; grant the right to the user of {file}"
            )),
            _ => Failure::failed(format!("{doing} on the {side} cluster at {bootstrap}: {error}")),
        }
    }
}
