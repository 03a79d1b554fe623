//! The gRPC services that operators and workers call. Thin: what is asked is parsed and checked here, decided in the
//! table, and done by the leader.
//!
//! ```text
//!  a change --parse--> Command --LeaderHandle::propose_request--> Outcome ----> ChangeReply
//!  a read   --parse--> RaftNode::linearize --> table, board --view--> rows ---> …Reply
//!  an error ---------------------------------------------- errors ------------> status, with the leader's address
//!
//!  a worker's stream <--fleet--> LeaderLink of the leader that has the seat
//! ```
//!
//! Owns: what is refused at the edge, and what people are shown. Never does: keep anything, or answer for a leadership
//! that is over: each stream ends with it.
//!
//! A read is answered only by a leadership whose barrier is in the log, after a quorum confirmed it: so it sees every
//! change that was answered before.

mod admin;
#[cfg(test)]
mod api_test;
#[cfg(test)]
mod controllers_test;
mod errors;
mod fleet;
mod parse;
mod probes;
#[cfg(test)]
mod rebalance_test;
mod seat;
#[cfg(test)]
mod served_test;
pub(crate) mod view;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::v1::admin_server::AdminServer;
use proto::v1::fleet_server::FleetServer;
use proto::{MESSAGE_BYTES_MAX, v1};
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::leader::topics::ClusterAccess;
use crate::raft::RaftNode;
use crate::state::{Command, Effect};
use errors::ApiError;
use parse::Asked;
use probes::Probes;

pub use seat::{Leading, Seat};

/// How long a request waits for a leadership that is just beginning here.
const LEADER_PATIENCE: Duration = Duration::from_secs(1);

/// The greatest request of an operator. It becomes part of an entry of the log.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// What the services share. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    node: u64,
    raft: RaftNode,
    seat: Seat,
    probes: Probes,
}

impl Api {
    /// The services of node `node`.
    pub fn new(node: u64, raft: RaftNode, seat: Seat, clusters: Arc<dyn ClusterAccess>) -> Self {
        Self { node, raft, seat, probes: Probes::new(clusters) }
    }

    /// What operators call.
    pub fn admin(&self) -> AdminServer<impl v1::admin_server::Admin + use<>> {
        AdminServer::new(admin::Service(self.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// What workers call.
    pub fn fleet(&self) -> FleetServer<impl v1::fleet_server::Fleet + use<>> {
        FleetServer::new(fleet::Service(self.clone()))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The leadership that has the seat; waits a moment for one that is just beginning.
    async fn leading(&self) -> Result<Leading, ApiError> {
        let mut seat = self.seat.changes();
        let patience = if self.standing().leads.is_some() { LEADER_PATIENCE } else { Duration::ZERO };
        let seated = timeout(patience, seat.wait_for(Option::is_some)).await;
        let leading = seated.ok().and_then(|seated| seated.ok().and_then(|leading| leading.clone()));
        leading.ok_or_else(|| ApiError::NotLeading(self.why_not_leading()))
    }

    /// The same, for a read: a quorum confirmed it, and the table has every change that was answered before.
    async fn confirmed(&self) -> Result<Leading, ApiError> {
        let leading = self.leading().await?;
        match self.raft.linearize().await {
            Ok(()) if !leading.over.is_cancelled() => Ok(leading),
            _ => Err(ApiError::NotLeading(self.why_not_leading())),
        }
    }

    /// Looks at the whole table, where that holds nobody up.
    async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Leading) -> T + Send + 'static) -> Result<T, ApiError> {
        let leading = self.confirmed().await?;
        Ok(leading.handle.table_work().run(move || look(&leading)).await)
    }

    /// Proposes a change.
    async fn change(&self, asked: Asked, command: Command, notes: Vec<String>) -> Result<v1::ChangeReply, ApiError> {
        let Leading { handle, .. } = self.leading().await?;
        let outcome = handle.propose_request(asked.request, &asked.actor, command).await?;
        Ok(v1::ChangeReply { revision: outcome.revision.0, existed: outcome.effect == Effect::Exists, notes })
    }

    fn standing(&self) -> crate::raft::Standing {
        self.raft.standing().borrow().clone()
    }

    /// Where the leader is reached, if it is another node; from a node that was removed, where a member is.
    fn other_leader(&self) -> Option<String> {
        let standing = self.standing();
        let leader = standing.leader.filter(|(node, _)| *node != self.node).map(|(_, address)| address);
        leader.or(standing.referral)
    }

    fn why_not_leading(&self) -> String {
        let standing = self.standing();
        match (standing.leader, standing.trouble) {
            (Some((node, address)), _) if node != self.node => {
                format!("this controller does not lead; controller {node} at {address} does")
            }
            (_, Some(trouble)) => format!("this controller does not lead: {trouble}"),
            (Some(_), None) => "no quorum of controllers confirms that this one leads".to_owned(),
            (None, None) => "no controller leads now: an election is under way".to_owned(),
        }
    }

    fn status(&self, error: ApiError) -> Status {
        error.into_status(self.other_leader().as_deref())
    }

    /// An answer that every node gives, with the address of the one that knows more, if there is one.
    fn with_hint<T>(&self, reply: T) -> Response<T> {
        let mut response = Response::new(reply);
        if let Some(leader) = self.other_leader().as_deref() {
            errors::put_leader(response.metadata_mut(), leader);
        }
        response
    }

    /// Answers a request.
    async fn answer<T>(&self, work: impl Future<Output = Result<T, ApiError>>) -> Result<Response<T>, Status> {
        work.await.map(Response::new).map_err(|error| self.status(error))
    }
}
