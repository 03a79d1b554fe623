//! Requests from peers. Checked for the right stores on both sides, then openraft's.

use std::error::Error;
use std::sync::Arc;

use openraft::error::{Fatal, RaftError};
use openraft::raft::AppendEntriesResponse;
use proto::v1::raft_server::Raft as RaftApi;
use proto::v1::{ProbeReply, ProbeRequest, RaftReply, RaftRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Request, Response, Status};

use super::belonging;
use super::heard::Heard;
use super::standing::role;
use super::store_id::StoreId;
use super::types::{FORMAT, Raft};
use super::watched::Health;

/// What peers call.
#[derive(Clone)]
pub struct PeerService {
    own: Arc<StoreId>,
    advertise: String,
    raft: Raft,
    heard: Arc<Heard>,
    health: Arc<Health>,
}

impl PeerService {
    pub(super) fn new(
        own: Arc<StoreId>,
        advertise: String,
        raft: Raft,
        heard: Arc<Heard>,
        health: Arc<Health>,
    ) -> Self {
        Self { own, advertise, raft, heard, health }
    }

    /// Who is here, told to `asker`.
    pub(super) async fn who(&self, asker: &ProbeRequest) -> Result<ProbeReply, Status> {
        let stopped = |error: Fatal<u64>| Status::unavailable(error.to_string());
        let empty = !self.raft.is_initialized().await.map_err(stopped)?;
        let committed = self.raft.with_raft_state(|state| state.membership_state.committed().clone());
        let committed = committed.await.map_err(stopped)?;
        let metrics = self.raft.metrics().borrow().clone();
        Ok(ProbeReply {
            node: self.own.node,
            store: self.own.store.clone(),
            empty,
            role: role(&metrics).to_owned(),
            term: metrics.current_term,
            applied: metrics.last_applied.map_or(0, |last| last.index),
            leader: metrics.current_leader.unwrap_or(0),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            format: FORMAT.into(),
            address: self.advertise.clone(),
            removed: belonging::is_removed(asker, &committed),
            warning: self.health.warning().unwrap_or_default(),
        })
    }

    /// Takes a request whose stores are the right ones apart.
    fn accept<Q: DeserializeOwned>(&self, request: &RaftRequest) -> Result<Q, Status> {
        if request.format != u32::from(FORMAT) {
            let text = format!("the request has format {}, this controller reads {FORMAT}", request.format);
            return Err(Status::failed_precondition(text));
        }
        let StoreId { node, store } = &*self.own;
        if (request.to_node, &request.to_store) != (*node, store) {
            if request.to_node == *node {
                self.heard.mistaken_for(&request.to_store);
            }
            let text = format!(
                "wrong store: this is controller {node} with store {store}, not {} with {}",
                request.to_node, request.to_store
            );
            return Err(Status::failed_precondition(text));
        }
        let membership = self.raft.metrics().borrow().membership_config.clone();
        if let Some(known) = membership.membership().get_node(&request.from_node)
            && known.store != request.from_store
        {
            let text = format!(
                "wrong store: the fleet knows controller {} with store {}, not {}",
                request.from_node, known.store, request.from_store
            );
            return Err(Status::failed_precondition(text));
        }
        postcard::from_bytes(&request.payload).map_err(|error| Status::invalid_argument(format!("payload: {error}")))
    }
}

/// openraft's answer as it is sent. A node whose log has stopped is as good as absent.
fn answer<A: Serialize, E: Error + Serialize>(
    answer: Result<A, RaftError<u64, E>>,
) -> Result<Response<RaftReply>, Status> {
    if let Err(RaftError::Fatal(fatal)) = &answer {
        return Err(Status::unavailable(format!("the log has stopped: {fatal}")));
    }
    let payload = postcard::to_stdvec(&answer).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Response::new(RaftReply { payload }))
}

#[tonic::async_trait]
impl RaftApi for PeerService {
    async fn append(&self, request: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        let request = request.into_inner();
        let result = self.raft.append_entries(self.accept(&request)?).await;
        if !matches!(result, Err(_) | Ok(AppendEntriesResponse::HigherVote(_))) {
            self.heard.leader(request.from_node);
        }
        answer(result)
    }

    async fn vote(&self, request: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        answer(self.raft.vote(self.accept(request.get_ref())?).await)
    }

    async fn install_snapshot(&self, request: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        answer(self.raft.install_snapshot(self.accept(request.get_ref())?).await)
    }

    async fn probe(&self, request: Request<ProbeRequest>) -> Result<Response<ProbeReply>, Status> {
        self.who(request.get_ref()).await.map(Response::new)
    }
}
