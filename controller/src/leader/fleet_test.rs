//! A whole leader over clusters in memory, in paused time: workers here do at once what a snapshot says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLockReadGuard};
use std::time::Duration;

use common::assignment::{Down, Heartbeat, Hello, Inventory, PROTOCOL, Phase, Progress, Running, Snapshot, Up};
use common::config::{ClientProperties, ClusterConfig, Delivery, RouteSettings, TopicFilter};
use common::identity::{Identity, Owner, StoredBy, StoredOffset};
use common::ids::{
    ClusterName, Epoch, FleetId, Partition, PoolName, Revision, RouteName, RoutePartition, SessionId, TopicId,
    TopicName, WorkerId,
};
use common::offsets::{NextOffset, Position, StartPosition};
use common::weight::Weight;
use futures_util::future::BoxFuture;
use kafka::memory::{MemoryClients, MemoryCluster};
use kafka::offsets::GroupOffset;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::command_log::{CommandLog, LocalLog, ProposeError};
use super::net::{Dialer, in_process};
use super::{Leader, LeaderConfig, LeaderHandle};
use crate::state::{Command, Envelope, EventKind, Life, Outcome, State, TopicState};

pub const GROUP: &str = "g";

/// A leader with two clusters, and how its route is to be.
pub struct Fleet {
    pub source: MemoryCluster,
    pub target: MemoryCluster,
    pub handle: LeaderHandle,
    pub dialer: Dialer,
    /// What partitions bring, in bytes a second, whoever has them. Workers report of these alone.
    pub rates: Rates,
    pub _leader: Leader,
}

pub type Rates = Arc<Mutex<BTreeMap<RoutePartition, u64>>>;

/// A worker that applies each snapshot at once, until it is dropped.
pub struct Worker {
    pub session: SessionId,
    pub snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    pub refused: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

/// How a worker presents itself.
pub fn hello(worker: &str, session: SessionId) -> Hello {
    let (address, software, worker) = ("here".into(), "0".into(), WorkerId::new(worker).unwrap());
    let (weight, pool) = (Weight::default(), PoolName::default());
    Hello { protocol: PROTOCOL, worker, session, address, software, weight, pool, fleet: None }
}

pub fn route() -> RouteName {
    RouteName::new("r").unwrap()
}

pub fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

pub fn id(topic: &str, partition: u32) -> RoutePartition {
    RoutePartition { route: route(), topic: TopicName::new(topic).unwrap(), partition: Partition(partition) }
}

pub fn settings() -> RouteSettings {
    RouteSettings {
        source: ClusterName::new("source").unwrap(),
        target: ClusterName::new("target").unwrap(),
        pool: PoolName::default(),
        group: GROUP.into(),
        delivery: Delivery::AtLeastOnce,
        filter: TopicFilter { include: vec![".*".into()], exclude: vec!["secret".into()] },
        start: StartPosition::Latest,
        manage_topics: true,
        accept_foreign_offsets: false,
        commit_interval: Duration::from_secs(1),
    }
}

/// Clusters where the source has these topics.
pub fn clusters(topics: &[(&str, u32)]) -> (MemoryCluster, MemoryCluster) {
    let (source, target) = (MemoryCluster::new("source"), MemoryCluster::new("target"));
    for (topic, partitions) in topics {
        source.create_topic(topic, *partitions);
    }
    (source, target)
}

/// A log that takes its time over each proposal.
pub struct SlowLog {
    log: LocalLog,
    pub takes: Mutex<Duration>,
}

impl SlowLog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { log: LocalLog::new(FleetId::new("f").unwrap()), takes: Mutex::default() })
    }
}

impl CommandLog for SlowLog {
    fn propose(&self, envelope: Envelope) -> BoxFuture<'_, Result<Outcome, ProposeError>> {
        Box::pin(async {
            let takes = *self.takes.lock().unwrap();
            sleep(takes).await;
            self.log.propose(envelope).await
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.log.read()
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.log.revisions()
    }
}

/// Starts a leader and adds the route.
pub async fn lead(clusters: (MemoryCluster, MemoryCluster), settings: RouteSettings) -> Fleet {
    lead_over(SlowLog::new(), clusters, settings).await
}

/// The same over a log that is kept, or whose speed the test sets.
pub async fn lead_over(
    log: Arc<dyn CommandLog>,
    clusters: (MemoryCluster, MemoryCluster),
    settings: RouteSettings,
) -> Fleet {
    lead_as(LeaderConfig::default(), log, clusters, settings).await
}

/// The same, as a mirror's leader: another mirror may run under its group.
pub async fn lead_mirror(clusters: (MemoryCluster, MemoryCluster), settings: RouteSettings) -> Fleet {
    let config = LeaderConfig { may_have_rival: true, ..LeaderConfig::default() };
    lead_as(config, SlowLog::new(), clusters, settings).await
}

async fn lead_as(
    config: LeaderConfig,
    log: Arc<dyn CommandLog>,
    (source, target): (MemoryCluster, MemoryCluster),
    settings: RouteSettings,
) -> Fleet {
    let named = |name: &str| ClusterName::new(name).unwrap();
    let clients = MemoryClients::new([(named("source"), source.clone()), (named("target"), target.clone())]);
    let (dialer, net) = in_process();
    let leader = Leader::start(log, Box::new(net), Arc::new(clients), config).await.unwrap();
    let handle = leader.handle();
    for name in ["source", "target"] {
        let cluster = ClusterConfig { name: named(name), properties: ClientProperties::default() };
        handle.propose("test", Command::AddCluster(cluster)).await.unwrap();
    }
    handle.propose("test", Command::AddRoute { route: route(), settings }).await.unwrap();
    Fleet { source, target, handle, dialer, rates: Rates::default(), _leader: leader }
}

/// An offset as an earlier owner left it.
pub fn stored(source: TopicId, target: TopicId, epoch: u64) -> GroupOffset {
    let owner = Owner { epoch: Epoch(epoch), session: SessionId::from_number(1) };
    let identity = Identity {
        fleet: FleetId::new("f").unwrap(),
        route_incarnation: Revision(4),
        source_topic_id: source,
        target_topic_id: target,
        owner,
    };
    let offset = StoredOffset { position: Position::at(NextOffset(7)), stored_by: StoredBy::Us(identity) };
    GroupOffset { next_offset: NextOffset(7), leader_epoch: None, metadata: offset.metadata() }
}

impl Fleet {
    pub async fn worker(&self, number: u128) -> Worker {
        self.worker_as(number, 0, Weight::ONE).await
    }

    /// The same worker, started so many times before, with a weight.
    pub async fn worker_as(&self, number: u128, starts: u128, weight: Weight) -> Worker {
        let session = SessionId::from_number(100 * (starts + 1) + number);
        self.join(Hello { weight, ..hello(&format!("w{number}"), session) }).await
    }

    /// A worker that presents itself so.
    pub async fn join(&self, hello: Hello) -> Worker {
        let (link, session) = (self.dialer.dial().await.unwrap(), hello.session);
        link.send(Up::Hello(hello)).await.unwrap();
        let (snapshot, refused) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let task = tokio::spawn(work(link, snapshot.clone(), refused.clone(), self.rates.clone()));
        Worker { session, snapshot, refused, task }
    }

    #[track_caller]
    pub fn until(&self, condition: impl Fn(&State) -> bool) -> impl Future<Output = ()> {
        let handle = self.handle.clone();
        let caller = std::panic::Location::caller();
        async move {
            let met = timeout(Duration::from_secs(60), handle.wait_until(condition)).await;
            met.unwrap_or_else(|_| panic!("not within a minute, {caller}: {:#?}", *handle.state()));
        }
    }

    pub async fn until_all_assigned(&self, partitions: usize) {
        let assigned = move |state: &State| {
            state.slots().values().filter(|slot| matches!(slot.life, Life::Assigned { .. })).count() == partitions
                && state.slots().len() == partitions
        };
        self.until(assigned).await;
        sleep(Duration::from_millis(500)).await;
        assert!(assigned(&self.handle.state()), "it did not stay so");
    }

    pub fn owners(&self) -> BTreeMap<RoutePartition, (SessionId, Epoch)> {
        let state = self.handle.state();
        state.slots().iter().filter_map(|(id, slot)| Some((id.clone(), slot.life.owner()?))).collect()
    }

    pub fn owned_by(&self, worker: &Worker) -> usize {
        self.owners().values().filter(|(owner, _)| *owner == worker.session).count()
    }

    pub fn topic_state(&self, name: &str) -> TopicState {
        self.handle.state().topic_state(&route(), &topic(name)).unwrap()
    }

    pub fn event_texts(&self, kind: EventKind) -> Vec<String> {
        let state = self.handle.state();
        let events = state.events().into_iter().filter(|event| event.event.kind == kind);
        events.map(|event| event.event.text.clone()).collect()
    }
}

impl Worker {
    pub fn grants(&self) -> Vec<(RoutePartition, Epoch)> {
        let snapshot = self.snapshot.lock().unwrap();
        let grants = snapshot.iter().flat_map(|snapshot| &snapshot.grants);
        grants.map(|grant| (grant.partition.clone(), grant.epoch)).collect()
    }

    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn work(
    mut link: common::net::LeaderLink,
    latest: Arc<Mutex<Option<Arc<Snapshot>>>>,
    refused: Arc<Mutex<Option<String>>>,
    rates: Rates,
) {
    let (mut inventory, mut granted) = (Inventory::default(), BTreeMap::new());
    loop {
        if link.send(Up::Inventory(inventory.clone())).await.is_err() {
            return;
        }
        let message = loop {
            match timeout(Duration::from_secs(1), link.receive()).await {
                Ok(message) => break message,
                Err(_) => {
                    let progress = copied(&inventory, &rates.lock().unwrap(), &mut granted);
                    for up in [Up::Heartbeat(Heartbeat::default()), Up::Progress(progress)] {
                        if link.send(up).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        match message {
            Ok(Down::Snapshot(snapshot)) => {
                let running = |grant: &common::assignment::Grant| Running {
                    partition: grant.partition.clone(),
                    epoch: grant.epoch,
                    phase: Phase::Copying,
                };
                inventory = Inventory {
                    applied: snapshot.version,
                    running: snapshot.grants.iter().map(running).collect(),
                    ..Inventory::default()
                };
                *latest.lock().unwrap() = Some(snapshot);
            }
            Ok(Down::Renewed(_)) => {}
            Ok(Down::Refused(refusal)) => *refused.lock().unwrap() = Some(refusal.text),
            Err(_) => return,
        }
    }
}

/// How far each is by now, of those that bring something.
fn copied(
    inventory: &Inventory,
    rates: &BTreeMap<RoutePartition, u64>,
    granted: &mut BTreeMap<(RoutePartition, Epoch), Instant>,
) -> Vec<Progress> {
    let progress = |Running { partition, epoch, .. }: &Running| {
        let begun = granted.entry((partition.clone(), *epoch)).or_insert_with(Instant::now);
        let bytes = rates.get(partition)? * begun.elapsed().as_secs();
        Some(Progress {
            partition: partition.clone(),
            epoch: *epoch,
            next_offset: Some(NextOffset(0)),
            stored_offset: i64::try_from(bytes / 100).ok().map(NextOffset),
            source_end: None,
            source_high_watermark: None,
            lag_time: Duration::ZERO,
            records: bytes / 100,
            bytes,
        })
    };
    inventory.running.iter().filter_map(progress).collect()
}
