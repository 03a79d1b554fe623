//! A world for the tests of a lane: two clusters in memory, and at most one process that copies between them.

use common::assignment::Renewal;
use common::config::{ClientProperties, ClusterConfig, Delivery as Promise, RouteConfig};
use common::ids::{ClusterName, Epoch, FleetId, Partition, Revision, RouteName, SessionId, TopicName};
use common::offsets::StartPosition;
use kafka::clients::Clients;
use kafka::memory::{MemoryClients, MemoryCluster, MemorySink, MemorySource};
use kafka::sink::SinkBounds;
use kafka::source::SourceBounds;

use super::*;
use crate::engine::keeper::Keeper;
use crate::engine::ledger::{Answer, Question};
use crate::moment::Moment;
use crate::tether::Tether;

pub(super) const GROUP: &str = "g";
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const BOUNDS: LaneBounds = LaneBounds {
    in_flight_bytes: 64 * 1024,
    batch_bytes: 1_000_000,
    commit_interval: Duration::from_secs(1),
    compressed: false,
};

/// A keeper that works on the spot; while it is slow, its answers are not heard yet.
pub(super) struct DirectLedger {
    pub(super) keeper: Keeper,
    pub(super) now: Instant,
    pub(super) answers: Option<Vec<Answer>>,
    pub(super) is_slow: bool,
}

impl Ledger for DirectLedger {
    fn ask(&mut self, questions: Vec<Question>) {
        assert!(self.answers.is_none(), "one set of questions at a time");
        self.answers = Some(self.keeper.answer(&questions, self.now));
    }

    fn answers(&mut self) -> Option<Vec<Answer>> {
        if self.is_slow { None } else { self.answers.take() }
    }
}

/// One process: a lane and its clients. Dropping it is a crash.
pub(super) struct Process {
    pub(super) lane: Lane,
    pub(super) source: MemorySource,
    pub(super) sink: MemorySink,
    pub(super) ledger: DirectLedger,
}

/// Two clusters and at most one process that copies between them.
pub(super) struct World {
    pub(super) source: MemoryCluster,
    pub(super) target: MemoryCluster,
    pub(super) clients: MemoryClients,
    pub(super) now: Instant,
    pub(super) session: u128,
    pub(super) epoch: u64,
    pub(super) process: Option<Process>,
}

pub(super) fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("legal")
}

pub(super) fn cluster(name: &str) -> ClusterConfig {
    ClusterConfig { name: ClusterName::new(name).expect("legal"), properties: ClientProperties::default() }
}

pub(super) fn route() -> RouteConfig {
    RouteConfig {
        name: RouteName::new("r").expect("legal"),
        fleet: FleetId::new("f").expect("legal"),
        incarnation: Revision(1),
        offsets_since: Revision(1),
        source: cluster("source"),
        target: cluster("target"),
        group: GROUP.to_owned(),
        delivery: Promise::AtLeastOnce,
        accept_foreign_offsets: false,
        commit_interval: Duration::from_secs(1),
    }
}

/// A tie to a leader that never lets go.
pub(super) fn attached(now: Instant) -> Arc<Tether> {
    let tether = Tether::new(Moment::at(now));
    let for_ever = Duration::from_secs(1 << 30);
    tether.renew(&Renewal { every: for_ever, lease: for_ever, ..Renewal::default() }, Moment::at(now));
    Arc::new(tether)
}

impl World {
    /// Both clusters have topic `t` with this many partitions.
    pub(super) fn new(partitions: u32) -> Self {
        let (source, target) = (MemoryCluster::new("source"), MemoryCluster::new("target"));
        source.create_topic("t", partitions);
        target.create_topic("t", partitions);
        let named = |name| ClusterName::new(name).expect("legal");
        let clients = MemoryClients::new([(named("source"), source.clone()), (named("target"), target.clone())]);
        Self { source, target, clients, now: Instant::now(), session: 0, epoch: 0, process: None }
    }

    /// A new process, with every partition granted under the next epoch.
    pub(super) fn start(&mut self, partitions: u32) {
        self.start_with(partitions, BOUNDS);
    }

    pub(super) fn start_with(&mut self, partitions: u32, bounds: LaneBounds) {
        self.session += 1;
        self.epoch += 1;
        let route = route();
        let source = self.clients.source(&route.source, SourceBounds { queued_bytes: 1 << 20 }).expect("known");
        let sink = self.sink(bounds.batch_bytes);
        let (from, to) = (self.clients.admin(&route.source), self.clients.admin(&route.target));
        let offsets = self.clients.offsets(&route.source, GROUP).expect("known");
        let session = SessionId::from_number(self.session);
        let tether = attached(self.now);
        let keeper = Keeper::new(route, session, tether, from.expect("known"), to.expect("known"), offsets);
        let ledger = DirectLedger { keeper, now: self.now, answers: None, is_slow: false };
        let mut lane = Lane::new(bounds, self.now);
        for partition in 0..partitions {
            lane.start(Arc::new(self.grant(partition)), self.now);
        }
        self.process = Some(Process { lane, source, sink, ledger });
    }

    /// What was released since the last call: whether that was clean.
    pub(super) fn take_released(&mut self) -> Vec<bool> {
        let process = self.process.as_mut().expect("runs");
        process.lane.take_released().into_iter().map(|released| released.clean).collect()
    }

    pub(super) fn sink(&self, batch_bytes: usize) -> MemorySink {
        let bounds = SinkBounds { queued_bytes: 1 << 20, batch_bytes };
        self.clients.sink(&route().target, bounds).expect("known")
    }

    pub(super) fn grant(&self, partition: u32) -> Grant {
        Grant {
            partition: route_partition(partition),
            epoch: Epoch(self.epoch),
            target_topic: topic("t"),
            source_topic_id: self.source.topic_id("t").unwrap_or_default(),
            target_topic_id: self.target.topic_id("t").unwrap_or_default(),
            start: StartPosition::Earliest,
            noted_offset: None,
            accept_foreign_offset: false,
        }
    }

    /// One step, and as much time as the step says to wait.
    pub(super) fn step(&mut self) {
        let now = Now::at(self.now, 1_000_000);
        let process = self.process.as_mut().expect("a process runs");
        process.ledger.now = self.now;
        let Process { lane, source, sink, ledger } = process;
        let passed = match lane.step(now, Duration::ZERO, source, sink, ledger) {
            Wait::Ready => Duration::from_micros(10),
            Wait::Source(_) => Duration::from_millis(20),
            Wait::Deliveries(pause) => pause,
            Wait::Sink { batch_bytes, back_off } => {
                *sink = self
                    .clients
                    .sink(&route().target, SinkBounds { queued_bytes: 1 << 20, batch_bytes })
                    .expect("known");
                lane.sink_replaced(batch_bytes);
                back_off + Duration::from_millis(1)
            }
        };
        self.now += passed;
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Steps until a condition holds, for an hour of the lane's time at most.
    pub(super) fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.now + 60 * MINUTE;
        while !condition(self) {
            assert!(self.now < end, "waited an hour until {what}: {:?}", self.phases());
            self.step();
        }
    }

    pub(super) fn stop_all(&mut self, partitions: u32, within: Duration) {
        let by = self.now + within;
        let Process { lane, source, .. } = self.process.as_mut().expect("a process runs");
        for partition in 0..partitions {
            lane.stop(&route_partition(partition), by, source);
        }
    }

    pub(super) fn phases(&self) -> Vec<Phase> {
        let lane = &self.process.as_ref().expect("a process runs").lane;
        lane.partitions.iter().flatten().map(|partition| partition.phase(self.now, lane.sink_failures)).collect()
    }

    pub(super) fn held(&self, partition: usize) -> Option<Reason> {
        match self.phases().get(partition) {
            Some(Phase::Held(reason)) => Some((**reason).clone()),
            _ => None,
        }
    }

    pub(super) fn stored(&self, partition: u32) -> Option<i64> {
        Some(self.source.group_offset(GROUP, "t", partition)?.next_offset.0)
    }

    pub(super) fn is_copied(&self, partition: u32) -> bool {
        self.stored(partition) == Some(self.source.end("t", partition).0)
    }

    /// D1, D2, D3 so far: what is at the target, in order of first arrival, is a prefix of the source.
    pub(super) fn check_order(&self, partition: u32) {
        let mut first = Vec::new();
        for record in self.target.records("t", partition) {
            if !first.iter().any(|known: &kafka::memory::StoredRecord| known.same_content(&record)) {
                first.push(record);
            }
        }
        let source = self.source.records("t", partition);
        assert!(first.len() <= source.len(), "phantom records at the target");
        for (arrived, original) in first.iter().zip(&source) {
            assert!(
                arrived.same_content(original),
                "partition {partition}: {arrived:?} came where {original:?} was due"
            );
        }
    }

    /// D6: everything below the stored offset is at the target.
    pub(super) fn check_stored(&self, partition: u32) {
        let Some(stored) = self.stored(partition) else { return };
        let target = self.target.records("t", partition);
        for record in self.source.records("t", partition).iter().filter(|record| record.offset < stored) {
            let arrived = target.iter().any(|other| other.same_content(record));
            assert!(arrived, "partition {partition}: stored {stored}, but {} is not at the target", record.offset);
        }
    }
}

pub(super) fn route_partition(partition: u32) -> RoutePartition {
    let route = RouteName::new("r").expect("legal");
    RoutePartition { route, topic: topic("t"), partition: Partition(partition) }
}

pub(super) fn fill(world: &World, partition: u32, records: std::ops::Range<u32>) {
    for number in records {
        world.source.append_text("t", partition, "key", &format!("{partition}-{number}"), 900_000);
    }
}
