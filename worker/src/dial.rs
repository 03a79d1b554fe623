//! Finding the leader: all controllers are asked at once, and the one that serves the worker is kept.
//!
//! Owns: the gRPC connection, from the dialling to its end. Never does: interpret what travels over it.
//!
//! A controller that does not lead refuses at once and may name the one that does, which is asked too; one that was removed
//! names another one. And each renewal names the fleet's controllers, which are dialled beside those of the configuration
//! from then on: so a fleet that changed is found by a worker that was told of it long ago. A deposed leader that still
//! serves closes its streams within a second (it has no quorum), and its snapshots are recognised by their controller epoch.
//! A frozen one is noticed by the session, whose heartbeats it does not answer.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use common::assignment::Down;
use common::net::{Closed, LeaderLink, ToWorker, in_process};
use futures_util::{StreamExt, stream};
use proto::parts::Parts;
use proto::v1::fleet_client::FleetClient;
use proto::v1::{LeaderMessage, Snapshot, WorkerMessage};
use proto::wire::{Tcp, Wire, reason};
use proto::{MESSAGE_BYTES_MAX, leader_of};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

/// How long one controller may take to answer. A live one takes milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Finds the leader and connects to it.
pub trait Dial: Send {
    /// One attempt.
    fn dial(&mut self) -> impl Future<Output = Result<LeaderLink, Closed>> + Send;

    /// The leader says where the fleet's controllers are now.
    fn learn(&mut self, _controllers: &[String]) {}
}

/// The controllers of a fleet, by address (`host:port`).
#[derive(Clone, Debug)]
pub struct Controllers {
    /// Those of the configuration.
    given: Vec<String>,
    /// Those that a leader named last, and that controllers named since.
    learned: Vec<String>,
    wire: Arc<dyn Wire>,
    /// Why each did not serve, when that was last said: it is said once, and again when it changes.
    told: BTreeSet<String>,
}

impl Controllers {
    /// The controllers that a worker is told of.
    pub fn new(addresses: Vec<String>) -> Self {
        Self::over(Arc::new(Tcp), addresses)
    }

    /// The same, reached otherwise than by TCP.
    pub fn over(wire: Arc<dyn Wire>, addresses: Vec<String>) -> Self {
        Self { given: addresses, learned: Vec::new(), wire, told: BTreeSet::new() }
    }

    fn known(&self) -> BTreeSet<String> {
        self.given.iter().chain(&self.learned).cloned().collect()
    }

    async fn find(&mut self) -> Option<(LeaderLink, String)> {
        let mut attempts = JoinSet::new();
        let mut asked = self.known();
        for address in &asked {
            attempts.spawn(ask(self.wire.clone(), address.clone()));
        }
        let mut refusals = BTreeSet::new();
        while let Some(attempt) = attempts.join_next().await {
            match attempt.ok()? {
                Ok(found) => {
                    self.told.clear();
                    return Some(found);
                }
                Err(NotServed { address, why, leader }) => {
                    refusals.insert(format!("{address}: {why}"));
                    if let Some(leader) = leader.filter(|leader| asked.insert(leader.clone())) {
                        // Who named it may be gone the next time.
                        self.learned.push(leader.clone());
                        attempts.spawn(ask(self.wire.clone(), leader));
                    }
                }
            }
        }
        if refusals != self.told {
            let controllers = refusals.iter().cloned().collect::<Vec<_>>().join("; ");
            tracing::warn!(controllers, "no controller serves this worker; what is assigned goes on");
            self.told = refusals;
        }
        None
    }
}

impl Dial for Controllers {
    async fn dial(&mut self) -> Result<LeaderLink, Closed> {
        let (link, address) = self.find().await.ok_or(Closed)?;
        tracing::debug!(controller = %address, "connected");
        Ok(link)
    }

    fn learn(&mut self, controllers: &[String]) {
        if self.learned != controllers {
            tracing::info!(controllers = controllers.join(", "), "the fleet's controllers");
            self.learned = controllers.to_vec();
        }
    }
}

/// A controller that does not serve the worker.
struct NotServed {
    address: String,
    why: String,
    /// The leader, if the controller named one.
    leader: Option<String>,
}

/// Asks one controller.
async fn ask(wire: Arc<dyn Wire>, address: String) -> Result<(LeaderLink, String), NotServed> {
    let not_served = |why: String, leader| NotServed { address: address.clone(), why, leader };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| not_served("not an address of the form host:port".to_owned(), None))?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_MAX);
    let (link, leader_end) = in_process();
    let (up, down) = leader_end.split();
    let outgoing = ReceiverStream::new(up).flat_map(|message| stream::iter(WorkerMessage::from(message).parts()));
    let attach = async {
        let mut client = FleetClient::new(wire.channel(&endpoint))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let refused = |status: Status| not_served(reason(&status), leader_of(status.metadata()));
        client.attach(outgoing).await.map_err(refused)
    };
    match timeout(ANSWER_MAX, attach).await {
        Ok(Ok(response)) => {
            tokio::spawn(hear(response.into_inner(), down));
            Ok((link, address))
        }
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(not_served("no answer".to_owned(), None)),
    }
}

/// Passes on what the leader says, until either side ends.
async fn hear(mut incoming: Streaming<LeaderMessage>, link: ToWorker) {
    let mut snapshot = Parts::<Snapshot>::default();
    loop {
        let message = tokio::select! {
            message = incoming.message() => message,
            () = link.closed() => return,
        };
        match message {
            Ok(Some(part)) => match snapshot.join(part).and_then(|message| message.map(Down::try_from).transpose()) {
                Ok(message) => message.into_iter().for_each(|message| link.send(message)),
                Err(error) => {
                    tracing::error!(%error, "the controller sent a message that can't be read");
                    return;
                }
            },
            Ok(None) => return,
            Err(status) => {
                tracing::warn!(why = status.message(), "the connection to the controller ended");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controllers_that_a_leader_named_last_are_dialled_beside_those_given() {
        let addresses = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut controllers = Controllers::new(addresses(&["a:1"]));
        controllers.learn(&addresses(&["a:1", "b:1"]));
        assert!(controllers.known().into_iter().eq(addresses(&["a:1", "b:1"])));
        controllers.learn(&addresses(&["c:1"]));
        assert!(controllers.known().into_iter().eq(addresses(&["a:1", "c:1"])));
    }
}
