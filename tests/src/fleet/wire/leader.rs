//! A controller that leads without a table: it pushes what the test says. Owns the listener and the one connection of its
//! worker; answers every heartbeat.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::parts::Parts;
use proto::v1::fleet_server::{Fleet, FleetServer};
use proto::v1::{self, leader_message, worker_message};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use super::super::PATIENCE;
use crate::wait;

/// A leader for one worker; gone when dropped.
#[derive(Debug)]
pub struct FakeLeader {
    address: SocketAddr,
    shared: Shared,
    serving: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Heard>>);

/// What came up, over all connections.
#[derive(Debug, Default)]
struct Heard {
    hello: Option<v1::Hello>,
    inventories: Vec<v1::Inventory>,
    down: Option<mpsc::Sender<Result<v1::LeaderMessage, Status>>>,
}

impl FakeLeader {
    /// Listens on a free port.
    pub fn start() -> Self {
        let shared = Shared::default();
        let service = FleetServer::new(shared.clone());
        let (address, serving) = super::block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("bound");
            let server = tonic::transport::Server::builder().add_service(service);
            let serving = tokio::spawn(async move {
                // Ends with the runtime, or when aborted.
                let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
            });
            (address, serving)
        });
        Self { address, shared, serving }
    }

    /// Where it is reached.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits for a worker and gives what it says of itself.
    #[track_caller]
    pub fn wait_for_hello(&self) -> v1::Hello {
        wait::until("a worker has registered", PATIENCE, || self.shared.lock().hello.clone())
    }

    /// Pushes a snapshot.
    pub fn push(&self, snapshot: v1::Snapshot) {
        let message = v1::LeaderMessage { message: Some(leader_message::Message::Snapshot(snapshot)) };
        let down = self.shared.lock().down.clone().expect("a worker is connected");
        super::block_on(down.send(Ok(message))).expect("the worker still listens");
    }

    /// Every inventory so far.
    pub fn inventories(&self) -> Vec<v1::Inventory> {
        self.shared.lock().inventories.clone()
    }

    /// Waits until the newest inventory is as wanted.
    #[track_caller]
    pub fn wait_for_inventory(&self, what: &str, wanted: impl Fn(&v1::Inventory) -> bool) -> v1::Inventory {
        let newest = || self.shared.lock().inventories.last().cloned();
        let found = wait::until_or_none(PATIENCE, || newest().filter(&wanted));
        found.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain until {what}: {:#?}", newest()))
    }
}

impl Drop for FakeLeader {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, message: worker_message::Message) {
        match message {
            worker_message::Message::Hello(hello) => self.lock().hello = Some(hello),
            worker_message::Message::Inventory(inventory) => self.lock().inventories.push(inventory),
            worker_message::Message::Heartbeat(heartbeat) => {
                let renewed = leader_message::Message::Renewed(v1::Renewed {
                    heartbeat: heartbeat.number,
                    every_ms: 1_000,
                    progress_every_ms: 500,
                    lease_ms: 5_000,
                    controllers: Vec::new(),
                });
                let down = self.lock().down.clone();
                if let Some(down) = down {
                    // A worker that is gone hears nothing.
                    let _ = down.send(Ok(v1::LeaderMessage { message: Some(renewed) })).await;
                }
            }
            worker_message::Message::Progress(_) | worker_message::Message::Draining(_) => {}
        }
    }
}

#[tonic::async_trait]
impl Fleet for Shared {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::LeaderMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (down, outbox) = mpsc::channel(64);
        self.lock().down = Some(down);
        let (shared, mut up) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let mut inventory = Parts::<v1::Inventory>::default();
            while let Ok(Some(part)) = up.message().await {
                let whole = inventory.join(part).expect("a worker sends no more than it may");
                if let Some(message) = whole.and_then(|whole| whole.message) {
                    shared.take(message).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbox))))
    }
}
