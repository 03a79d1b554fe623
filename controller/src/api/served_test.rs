//! A controller of one node, served on a port of its own over clusters in memory, and a worker of a few lines.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use common::assignment::{Down, Hello, Inventory, PROTOCOL, Phase, Progress, Running, Snapshot, Up};
use common::ids::{ClusterName, PoolName, SessionId, WorkerId};
use common::weight::Weight;
use kafka::memory::{MemoryClients, MemoryCluster};
use proto::v1;
use proto::v1::admin_client::AdminClient;
use proto::v1::fleet_client::FleetClient;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use crate::leader::LeaderConfig;
use crate::node::{ControllerConfig, RunError, run};
use crate::raft::RaftSettings;

/// The most that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A controller that runs.
pub struct Served {
    pub address: String,
    pub source: MemoryCluster,
    pub target: MemoryCluster,
    pub readiness: watch::Receiver<Option<String>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
    dir: TempDir,
}

/// A worker's connection.
pub struct Worker {
    pub session: SessionId,
    pub up: mpsc::Sender<v1::WorkerMessage>,
    pub down: Streaming<v1::LeaderMessage>,
}

fn clusters() -> (MemoryCluster, MemoryCluster) {
    (MemoryCluster::new("source-id"), MemoryCluster::new("target-id"))
}

/// An address where nobody listens.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Node `node` of those at these addresses, which are numbered from 1.
pub fn config(node: usize, addresses: &[String], dir: &TempDir) -> ControllerConfig {
    let initial_members = (1..).zip(addresses.iter().cloned()).collect();
    let address = &addresses[node - 1];
    let raft =
        RaftSettings { node: node as u64, dir: dir.path().to_owned(), advertise: address.clone(), initial_members };
    let leader = LeaderConfig { topics_interval: Duration::from_millis(200), ..LeaderConfig::default() };
    ControllerConfig { raft, listen: address.clone(), leader }
}

impl Served {
    /// A fleet of one controller that is ready. Cluster `alias` is the source by another name.
    pub async fn start() -> Self {
        let mut served = Self::start_in(1, &[free_address()], tempfile::tempdir().unwrap(), clusters());
        served.ready().await;
        served
    }

    /// The first of three controllers, of which the others are not there.
    pub fn start_alone() -> Self {
        Self::start_in(1, &[(); 3].map(|()| free_address()), tempfile::tempdir().unwrap(), clusters())
    }

    /// A controller that waits to be taken into a fleet.
    pub fn start_joining(node: u64) -> Self {
        let (address, dir, (source, target)) = (free_address(), tempfile::tempdir().unwrap(), clusters());
        let mut config = config(1, &[address], &dir);
        (config.raft.node, config.raft.initial_members) = (node, BTreeMap::new());
        Self::start_with(config, dir, source, target)
    }

    /// A fleet of three controllers that are ready.
    pub async fn start_three() -> Vec<Self> {
        let (addresses, clusters) = ([(); 3].map(|()| free_address()), clusters());
        let start = |node| Self::start_in(node, &addresses, tempfile::tempdir().unwrap(), clusters.clone());
        let mut all: Vec<Self> = (1..=3).map(start).collect();
        for served in &mut all {
            served.ready().await;
        }
        all
    }

    fn start_in(node: usize, addresses: &[String], dir: TempDir, clusters: (MemoryCluster, MemoryCluster)) -> Self {
        let (source, target) = clusters;
        Self::start_with(config(node, addresses, &dir), dir, source, target)
    }

    fn start_with(config: ControllerConfig, dir: TempDir, source: MemoryCluster, target: MemoryCluster) -> Self {
        let named = |name: &str, cluster: &MemoryCluster| (ClusterName::new(name).unwrap(), cluster.clone());
        let clusters = [named("source", &source), named("target", &target), named("alias", &source)];
        let clients = Arc::new(MemoryClients::new(clusters));
        let (sender, readiness) = watch::channel(Some("starting".to_owned()));
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let address = config.listen.clone();
        let task = tokio::spawn(async move { run(config, clients, &sender, stop).await });
        Self { address, source, target, readiness, shutdown, task, dir }
    }

    async fn ready(&mut self) {
        let ready = timeout(PATIENCE, self.readiness.wait_for(Option::is_none)).await.is_ok();
        let missing = self.readiness.borrow().clone();
        assert!(ready, "not ready: {missing:?}");
    }

    /// The same with clusters, a route and nothing to copy.
    pub async fn with_route() -> Self {
        let served = Self::start().await;
        let mut admin = served.admin().await;
        for name in ["source", "target"] {
            admin.add_cluster(add_cluster(name)).await.unwrap();
        }
        admin.add_route(add_route("r")).await.unwrap();
        served
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) -> (String, TempDir, MemoryCluster, MemoryCluster) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops").unwrap().unwrap();
        (self.address, self.dir, self.source, self.target)
    }

    /// Stops the only one and starts it again in the same place.
    pub async fn restart(self) -> Self {
        let (address, dir, source, target) = self.stop().await;
        let mut served = Self::start_in(1, &[address], dir, (source, target));
        served.ready().await;
        served
    }

    async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        until(|| async { endpoint.connect().await.ok() }).await
    }

    pub async fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel().await).max_decoding_message_size(proto::MESSAGE_BYTES_MAX)
    }

    pub async fn raw(&self) -> Channel {
        self.channel().await
    }

    /// Connects without a word.
    pub async fn attach(&self) -> Result<(mpsc::Sender<v1::WorkerMessage>, Streaming<v1::LeaderMessage>), Status> {
        let mut fleet = FleetClient::new(self.channel().await);
        let (up, messages) = mpsc::channel(16);
        let down = fleet.attach(ReceiverStream::new(messages)).await?.into_inner();
        Ok((up, down))
    }

    /// A worker that said hello and has nothing.
    pub async fn worker(&self, id: &str) -> Worker {
        let (up, down) = self.attach().await.unwrap();
        let session = SessionId::generate();
        let worker = WorkerId::new(id).unwrap();
        let (address, software, weight) = ("here:1".into(), "1.2".into(), Weight::try_from(3).unwrap());
        let pool = PoolName::default();
        let hello = Hello { protocol: PROTOCOL, worker, session, address, software, weight, pool, fleet: None };
        let worker = Worker { session, up, down };
        worker.say(Up::Hello(hello)).await;
        worker.say(Up::Inventory(Inventory::default())).await;
        worker
    }

    /// The one row of the assignment table, once it is as expected.
    pub async fn assignment(&self, is_expected: impl Fn(&v1::Assignment) -> bool) -> v1::Assignment {
        let admin = self.admin().await;
        until(|| async {
            let listed = admin.clone().list_assignments(v1::ListAssignmentsRequest::default()).await;
            let rows = listed.unwrap().into_inner().assignments;
            rows.into_iter().find(&is_expected)
        })
        .await
    }
}

impl Worker {
    pub async fn say(&self, message: Up) {
        self.up.send(message.into()).await.unwrap();
    }

    /// The next snapshot that grants something.
    pub async fn granted(&mut self) -> Arc<Snapshot> {
        let next = async {
            loop {
                let message = self.down.message().await.unwrap().expect("the stream goes on");
                match Down::try_from(message).unwrap() {
                    Down::Snapshot(snapshot) if !snapshot.grants.is_empty() => return snapshot,
                    Down::Snapshot(_) | Down::Renewed(_) => {}
                    Down::Refused(refusal) => panic!("refused: {refusal:?}"),
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a snapshot comes")
    }

    /// Reports that it runs all that was granted, in this phase.
    pub async fn run(&self, snapshot: &Snapshot, phase: Phase) {
        let running = snapshot.grants.iter().map(|grant| Running {
            partition: grant.partition.clone(),
            epoch: grant.epoch,
            phase: phase.clone(),
        });
        self.say(Up::Inventory(Inventory {
            applied: snapshot.version,
            running: running.collect(),
            ..Inventory::default()
        }))
        .await;
    }

    pub async fn report(&self, progress: Progress) {
        self.say(Up::Progress(vec![progress])).await;
    }

    /// How the stream ends.
    pub async fn end(&mut self) -> Result<(), Status> {
        end(&mut self.down).await
    }
}

/// How a stream ends.
pub async fn end<T>(stream: &mut Streaming<T>) -> Result<(), Status> {
    let end = async {
        while stream.message().await?.is_some() {}
        Ok(())
    };
    timeout(PATIENCE, end).await.expect("the stream ends")
}

/// Asks until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub fn context() -> Option<v1::RequestContext> {
    Some(v1::RequestContext { request_id: ulid::Ulid::generate().to_string(), actor: "me@here".into() })
}

pub fn cluster(name: &str, properties: &[(&str, &str)]) -> v1::AddClusterRequest {
    let properties: HashMap<String, String> =
        properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    v1::AddClusterRequest { context: context(), cluster: Some(v1::Cluster { name: name.into(), properties }) }
}

pub fn add_cluster(name: &str) -> v1::AddClusterRequest {
    cluster(name, &[("bootstrap.servers", "localhost:1")])
}

pub fn add_route(name: &str) -> v1::AddRouteRequest {
    let (source, target) = ("source".into(), "target".into());
    v1::AddRouteRequest { context: context(), name: name.into(), source, target, ..Default::default() }
}

pub fn add_topic(topic: &str) -> v1::AddTopicRequest {
    v1::AddTopicRequest { context: context(), route: "r".into(), topic: topic.into(), ..Default::default() }
}

pub fn revision(reply: Response<v1::ChangeReply>) -> u64 {
    reply.into_inner().revision
}

pub fn by_name<T>(rows: Vec<T>, name: impl Fn(&T) -> String) -> BTreeMap<String, T> {
    rows.into_iter().map(|row| (name(&row), row)).collect()
}
