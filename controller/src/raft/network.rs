//! Requests to peers. Each names both stores; who is another one by now refuses it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{RaftNetwork, RaftNetworkFactory};
use proto::MESSAGE_BYTES_MAX;
use proto::v1::raft_client::RaftClient;
use proto::v1::{ProbeReply, ProbeRequest, RaftRequest};
use proto::wire::Wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tracing::{info, warn};

use super::store_id::StoreId;
use super::types::{FORMAT, Member, Types};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Without an answer for this long, a connection is made anew: TCP alone would go on with the old one for minutes after
/// a network was cut and healed.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How long a peer that refused or can't be reached is left alone: less than a follower waits before it asks for votes.
const BACKOFF: Duration = Duration::from_millis(200);
/// How long a probe waits.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that fails for longer than this is worth a line in the log.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// The way to peers. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub(super) struct Network {
    own: Arc<StoreId>,
    wire: Arc<dyn Wire>,
    clients: Arc<Mutex<BTreeMap<String, RaftClient<Channel>>>>,
    failing: Arc<Mutex<BTreeMap<u64, Failing>>>,
}

/// Since when a peer fails, and whether that was said.
#[derive(Debug)]
struct Failing {
    since: Instant,
    said: bool,
}

impl Network {
    pub fn new(own: Arc<StoreId>, wire: Arc<dyn Wire>) -> Self {
        Self { own, wire, clients: Arc::default(), failing: Arc::default() }
    }

    /// Asks who is there.
    pub async fn probe(&self, address: &str, asker: ProbeRequest) -> Result<ProbeReply, Status> {
        let mut client = self.client(address)?;
        match timeout(PROBE_TIMEOUT, client.probe(asker)).await {
            Ok(reply) => Ok(reply?.into_inner()),
            Err(_) => Err(Status::unavailable("no answer within a second")),
        }
    }

    fn client(&self, address: &str) -> Result<RaftClient<Channel>, Status> {
        let mut clients = self.clients.lock().expect(NOT_POISONED);
        if let Some(client) = clients.get(address) {
            return Ok(client.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Status::unavailable(format!("{address} is no address: {error}")))?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        let client = RaftClient::new(self.wire.channel(&endpoint))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        clients.insert(address.to_owned(), client.clone());
        Ok(client)
    }

    /// Says once when a peer stops answering, and once when it answers again.
    fn note(&self, id: u64, address: &str, failure: Option<&str>) {
        let mut failing = self.failing.lock().expect(NOT_POISONED);
        let Some(error) = failure else {
            if failing.remove(&id).is_some_and(|failing| failing.said) {
                info!(controller = id, address, "controller answers again");
            }
            return;
        };
        let entry = failing.entry(id).or_insert_with(|| Failing { since: Instant::now(), said: false });
        if !entry.said && entry.since.elapsed() >= SILENT_AFTER {
            entry.said = true;
            warn!(controller = id, address, error, "controller does not answer");
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, member: &Member) -> Peer {
        Peer { network: self.clone(), id: target, member: member.clone() }
    }
}

/// One peer, as the membership records it.
#[derive(Debug)]
pub(super) struct Peer {
    network: Network,
    id: u64,
    member: Member,
}

/// The requests that carry one of openraft's.
#[derive(Clone, Copy, Debug)]
enum Rpc {
    Append,
    Vote,
    InstallSnapshot,
}

/// Notes that a peer failed when openraft gives a request up, which it does by dropping it.
struct Pending<'a> {
    peer: &'a Peer,
    ended: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.peer.network.note(self.peer.id, &self.peer.member.address, Some("no answer in time"));
        }
    }
}

impl Peer {
    async fn call<A, E>(
        &self,
        rpc: Rpc,
        request: &impl Serialize,
        option: RPCOption,
    ) -> Result<A, RPCError<u64, Member, RaftError<u64, E>>>
    where
        A: DeserializeOwned,
        E: Error + DeserializeOwned,
    {
        let mut pending = Pending { peer: self, ended: false };
        let result = self.send(rpc, request, option).await;
        pending.ended = true;
        self.network.note(self.id, &self.member.address, result.as_ref().err().map(Status::message));
        let payload = result.map_err(|status| match status.code() {
            // It is not there, or is another store: no use in asking again at once.
            Code::Unavailable | Code::FailedPrecondition => RPCError::Unreachable(Unreachable::new(&status)),
            _ => RPCError::Network(NetworkError::new(&status)),
        })?;
        let answer: Result<A, RaftError<u64, E>> =
            postcard::from_bytes(&payload).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.id, error)))
    }

    async fn send(&self, rpc: Rpc, request: &impl Serialize, option: RPCOption) -> Result<Vec<u8>, Status> {
        let own = &self.network.own;
        let payload = postcard::to_stdvec(request).map_err(|error| Status::internal(error.to_string()))?;
        let mut request = Request::new(RaftRequest {
            format: FORMAT.into(),
            from_node: own.node,
            from_store: own.store.clone(),
            to_node: self.id,
            to_store: self.member.store.clone(),
            payload,
        });
        request.set_timeout(option.hard_ttl());
        let mut client = self.network.client(&self.member.address)?;
        let reply = match rpc {
            Rpc::Append => client.append(request).await,
            Rpc::Vote => client.vote(request).await,
            Rpc::InstallSnapshot => client.install_snapshot(request).await,
        };
        Ok(reply?.into_inner().payload)
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, Member, RaftError<u64>>> {
        self.call(Rpc::Append, &request, option).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, Member, RaftError<u64, InstallSnapshotError>>> {
        self.call(Rpc::InstallSnapshot, &request, option).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, Member, RaftError<u64>>> {
        self.call(Rpc::Vote, &request, option).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

const NOT_POISONED: &str = "nothing panics while it is locked";
