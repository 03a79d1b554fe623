//! One node of the replicated log.

use std::sync::Arc;

use proto::v1::raft_server::{Raft, RaftServer};
use proto::v1::{ProbeReply, ProbeRequest, RaftReply, RaftRequest};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use common::ids::FleetId;

use super::settings::{OpenError, RaftSettings};
use super::standing::{ControllerView, Standing};
use crate::leader::command_log::{CommandLog, LocalLog, ProposeError};

/// One node of the replicated log. Cheap to clone.
#[derive(Clone)]
pub struct RaftNode {
    log: Arc<LocalLog>,
    standing: watch::Sender<Standing>,
}

impl RaftNode {
    /// Opens the data directory, or makes it, and starts the node. Needs no peer.
    ///
    /// # Errors
    /// With the directory and what to do about it.
    pub async fn open(settings: RaftSettings) -> Result<Self, OpenError> {
        settings.validate()?;
        let log = Arc::new(LocalLog::new(FleetId::new("unfounded").expect("a legal name")));
        Ok(Self { log, standing: watch::channel(Standing::default()).0 })
    }

    /// What peers call.
    pub fn service(&self) -> RaftServer<PeerService> {
        RaftServer::new(PeerService {})
    }

    /// Founds the fleet if that is this node's part, and keeps `standing` fresh. Runs until cancelled.
    pub async fn run(&self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
    }

    /// The log that commands go through, and the table.
    pub fn log(&self) -> Arc<dyn CommandLog> {
        self.log.clone()
    }

    /// Where this node stands.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Ok once every change that was acknowledged before the call is in the local table.
    ///
    /// # Errors
    /// `NotLeader` if this node does not lead, or has not committed anything in its term since it started.
    pub async fn linearize(&self) -> Result<(), ProposeError> {
        Err(ProposeError::NotLeader)
    }

    /// All members with what each answered within a second. Works without a leader.
    pub async fn controllers(&self) -> Vec<ControllerView> {
        Vec::new()
    }

    /// Stops the node and closes its data directory.
    pub async fn stop(self) {}
}

/// What peers call.
pub struct PeerService {}

#[tonic::async_trait]
impl Raft for PeerService {
    async fn append(&self, _: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        Err(Status::unavailable("not there yet"))
    }

    async fn vote(&self, _: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        Err(Status::unavailable("not there yet"))
    }

    async fn install_snapshot(&self, _: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        Err(Status::unavailable("not there yet"))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeReply>, Status> {
        Err(Status::unavailable("not there yet"))
    }
}
