//! One controller process, from its start to its end.
//!
//! ```text
//!  bind the port -> open the log -> serve Raft, Fleet, Admin, Health, Reflection ------------> stop
//!                                   leadership: standing.leads? -> Leader -> Seat
//!                                   readiness, metrics
//! ```
//!
//! Owns the order of all that. Never does: decide, or keep anything but the seat of the leader.
//!
//! Told to stop, it first stops leading, so that workers look for the next leader at once; then it takes no more
//! requests and lets those under way end; the log comes last.

mod leadership;
mod readiness;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use crate::api::{Api, Seat};
use crate::leader::LeaderConfig;
use crate::leader::topics::ClusterAccess;
use crate::metrics;
use crate::raft::{OpenError, RaftNode, RaftSettings};

pub use server::Incoming;

/// How long requests under way may take to end when the process is told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// What a controller must be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControllerConfig {
    /// Its place among the controllers, and its data directory.
    pub raft: RaftSettings,
    /// Where it listens, as `HOST:PORT`: for operators, workers and its peers.
    pub listen: String,
    /// How it times its work while it leads.
    pub leader: LeaderConfig,
}

/// Why a controller does not run, or runs no more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The port can't be had.
    #[error("listen {address}: can't listen there: {error}; choose a free address and port of this machine")]
    Listen {
        /// As it was given.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The log does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its data directory can't be read or written any more.
    #[error("the data directory {0}: {why}", dir.display())]
    Disk {
        /// The directory.
        dir: PathBuf,
        /// What was being done, what the system said, and what to do about it.
        why: String,
    },
    /// It broke down. What it had acknowledged is on disk.
    #[error("the controller broke down: {0}; start it again")]
    Broken(String),
}

/// Runs a controller until `shutdown`. `readiness` is what is missing until it takes part in a fleet that can decide.
///
/// # Errors
/// If it can't start, or breaks down.
pub async fn run(
    config: ControllerConfig,
    clusters: Arc<dyn ClusterAccess>,
    readiness: &watch::Sender<Option<String>>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    Node::open(config, clusters).await?.run(readiness, shutdown).await
}

/// A controller that has its port and its data directory, and does nothing yet.
pub struct Node<I> {
    incoming: I,
    raft: RaftNode,
    seat: Seat,
    clusters: Arc<dyn ClusterAccess>,
    leader: LeaderConfig,
}

impl Node<TcpIncoming> {
    /// Takes the port first, so that a second process is stopped before it looks at any file.
    async fn open(config: ControllerConfig, clusters: Arc<dyn ClusterAccess>) -> Result<Self, RunError> {
        let ControllerConfig { raft, listen, leader } = config;
        let failed = |error| RunError::Listen { address: listen.clone(), error };
        let listener = server::listen(&listen).await.map_err(failed)?;
        if let Ok(address) = listener.local_addr() {
            info!(node = raft.node, %address, "controller listens");
        }
        Ok(Self::new(server::tcp(listener), RaftNode::open(raft).await?, clusters, leader))
    }
}

impl<I: Incoming> Node<I> {
    /// A controller that is reached by these connections.
    pub fn new(incoming: I, raft: RaftNode, clusters: Arc<dyn ClusterAccess>, leader: LeaderConfig) -> Self {
        Self { incoming, raft, seat: Seat::default(), clusters, leader }
    }

    /// Who leads here.
    pub fn seat(&self) -> Seat {
        self.seat.clone()
    }

    /// Runs it until `shutdown`.
    pub async fn run(
        self,
        readiness: &watch::Sender<Option<String>>,
        shutdown: CancellationToken,
    ) -> Result<(), RunError> {
        let Self { incoming, raft, seat, clusters, leader } = self;
        let (id, stop) = (raft.id(), CancellationToken::new());
        let api = Api::new(id, raft.clone(), seat.clone(), clusters.clone());
        let (health, health_service) = tonic_health::server::health_reporter();
        let server = server::router(&raft, &api, health_service, leader.lease);
        let mut serving = tokio::spawn(server::serve(server, incoming, stop.clone()));
        let mut background = JoinSet::new();
        background.spawn({
            let (raft, stop) = (raft.clone(), stop.clone());
            async move { raft.run(stop).await }
        });
        background.spawn(metrics::publish(raft.clone(), seat.clone()));

        let broken = |what: String| Err(RunError::Broken(what));
        let result = tokio::select! {
            () = leadership::run(&raft, &seat, clusters, leader, shutdown) => Ok(()),
            never = readiness::tell(&raft, &seat, readiness, &health) => match never {},
            ended = &mut serving => match ended {
                Ok(Err(error)) => broken(format!("its port is served no more: {error}")),
                Err(error) => broken(format!("its port is served no more: {error}")),
                Ok(Ok(())) => broken("its port is served no more".to_owned()),
            },
            ended = background.join_next() => match ended {
                Some(Err(error)) => broken(format!("a task failed: {error}")),
                _ => Err(RunError::Disk {
                    dir: raft.dir().to_owned(),
                    why: raft.failure().unwrap_or_else(|| "its log has stopped".to_owned()),
                }),
            },
        };
        readiness.send_replace(Some("it is stopping".to_owned()));
        seat.leave();
        stop.cancel();
        finish(serving).await;
        background.shutdown().await;
        raft.stop().await;
        info!(node = id, "controller stopped");
        result
    }
}

/// Waits for requests under way, but not for ever: a client that never ends its own keeps nobody alive.
async fn finish(mut serving: JoinHandle<Result<(), tonic::transport::Error>>) {
    if !serving.is_finished() && timeout(STOP_PATIENCE, &mut serving).await.is_err() {
        warn!(after = ?STOP_PATIENCE, "connections are cut that did not end");
        serving.abort();
    }
}
