//! A lane over clusters in memory: what it does in each trouble, and that it keeps its promises in all of them at once.

use common::config::{ClientProperties, ClusterConfig, Delivery as Promise, RouteConfig};
use common::ids::{ClusterName, Epoch, FleetId, Partition, Revision, RouteName, SessionId, TopicName};
use common::offsets::StartPosition;
use kafka::clients::Clients;
use kafka::memory::{Faults, MemoryClients, MemoryCluster, MemorySink, MemorySource};
use kafka::sink::SinkBounds;
use kafka::source::SourceBounds;
use proptest::prelude::*;

use super::*;
use crate::engine::keeper::Keeper;
use crate::engine::ledger::{Answer, Question};

const GROUP: &str = "g";
const MINUTE: Duration = Duration::from_secs(60);
const BOUNDS: LaneBounds = LaneBounds {
    in_flight_bytes: 64 * 1024,
    batch_bytes: 1_000_000,
    commit_interval: Duration::from_secs(1),
    compressed: false,
};

/// A keeper that answers on the spot.
struct DirectLedger {
    keeper: Keeper,
    now: Instant,
    answers: Option<Vec<Answer>>,
}

impl Ledger for DirectLedger {
    fn ask(&mut self, questions: Vec<Question>) {
        assert!(self.answers.is_none(), "one set of questions at a time");
        self.answers = Some(self.keeper.answer(&questions, self.now));
    }

    fn answers(&mut self) -> Option<Vec<Answer>> {
        self.answers.take()
    }
}

/// One process: a lane and its clients. Dropping it is a crash.
struct Process {
    lane: Lane,
    source: MemorySource,
    sink: MemorySink,
    ledger: DirectLedger,
}

/// Two clusters and at most one process that copies between them.
struct World {
    source: MemoryCluster,
    target: MemoryCluster,
    clients: MemoryClients,
    now: Instant,
    session: u128,
    epoch: u64,
    process: Option<Process>,
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("legal")
}

fn cluster(name: &str) -> ClusterConfig {
    ClusterConfig { name: ClusterName::new(name).expect("legal"), properties: ClientProperties::default() }
}

fn route() -> RouteConfig {
    RouteConfig {
        name: RouteName::new("r").expect("legal"),
        fleet: FleetId::new("f").expect("legal"),
        incarnation: Revision(1),
        source: cluster("source"),
        target: cluster("target"),
        group: GROUP.to_owned(),
        delivery: Promise::AtLeastOnce,
        accept_foreign_offsets: false,
        commit_interval: Duration::from_secs(1),
    }
}

impl World {
    /// Both clusters have topic `t` with this many partitions.
    fn new(partitions: u32) -> Self {
        let (source, target) = (MemoryCluster::new("source"), MemoryCluster::new("target"));
        source.create_topic("t", partitions);
        target.create_topic("t", partitions);
        let named = |name| ClusterName::new(name).expect("legal");
        let clients = MemoryClients::new([(named("source"), source.clone()), (named("target"), target.clone())]);
        Self { source, target, clients, now: Instant::now(), session: 0, epoch: 0, process: None }
    }

    /// A new process, with every partition granted under the next epoch.
    fn start(&mut self, partitions: u32) {
        self.start_with(partitions, BOUNDS);
    }

    fn start_with(&mut self, partitions: u32, bounds: LaneBounds) {
        self.session += 1;
        self.epoch += 1;
        let route = route();
        let source = self.clients.source(&route.source, SourceBounds { queued_bytes: 1 << 20 }).expect("known");
        let sink = self.sink(bounds.batch_bytes);
        let (from, to) = (self.clients.admin(&route.source), self.clients.admin(&route.target));
        let offsets = self.clients.offsets(&route.source, GROUP).expect("known");
        let session = SessionId::from_number(self.session);
        let keeper = Keeper::new(route, session, from.expect("known"), to.expect("known"), offsets);
        let ledger = DirectLedger { keeper, now: self.now, answers: None };
        let mut lane = Lane::new(bounds, self.now);
        for partition in 0..partitions {
            lane.start(Arc::new(self.grant(partition)), self.now);
        }
        self.process = Some(Process { lane, source, sink, ledger });
    }

    fn sink(&self, batch_bytes: usize) -> MemorySink {
        let bounds = SinkBounds { queued_bytes: 1 << 20, batch_bytes };
        self.clients.sink(&route().target, bounds).expect("known")
    }

    fn grant(&self, partition: u32) -> Grant {
        Grant {
            partition: route_partition(partition),
            epoch: Epoch(self.epoch),
            target_topic: topic("t"),
            source_topic_id: self.source.topic_id("t").unwrap_or_default(),
            target_topic_id: self.target.topic_id("t").unwrap_or_default(),
            start: StartPosition::Earliest,
        }
    }

    /// One step, and as much time as the step says to wait.
    fn step(&mut self) {
        let now = Now { instant: self.now, wall_ms: 1_000_000 };
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

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Steps until a condition holds, for an hour of the lane's time at most.
    fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.now + 60 * MINUTE;
        while !condition(self) {
            assert!(self.now < end, "waited an hour until {what}: {:?}", self.phases());
            self.step();
        }
    }

    fn stop_all(&mut self, partitions: u32, within: Duration) {
        let by = self.now + within;
        let Process { lane, source, .. } = self.process.as_mut().expect("a process runs");
        for partition in 0..partitions {
            lane.stop(&route_partition(partition), by, source);
        }
    }

    fn phases(&self) -> Vec<Phase> {
        let lane = &self.process.as_ref().expect("a process runs").lane;
        lane.partitions.iter().flatten().map(LanePartition::phase).collect()
    }

    fn held(&self, partition: usize) -> Option<Reason> {
        match self.phases().get(partition) {
            Some(Phase::Held(reason)) => Some(reason.clone()),
            _ => None,
        }
    }

    fn stored(&self, partition: u32) -> Option<i64> {
        Some(self.source.group_offset(GROUP, "t", partition)?.next_offset.0)
    }

    fn is_copied(&self, partition: u32) -> bool {
        self.stored(partition) == Some(self.source.end("t", partition).0)
    }

    /// D1, D2, D3 so far: what is at the target, in order of first arrival, is a prefix of the source.
    fn check_order(&self, partition: u32) {
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
    fn check_stored(&self, partition: u32) {
        let Some(stored) = self.stored(partition) else { return };
        let target = self.target.records("t", partition);
        for record in self.source.records("t", partition).iter().filter(|record| record.offset < stored) {
            let arrived = target.iter().any(|other| other.same_content(record));
            assert!(arrived, "partition {partition}: stored {stored}, but {} is not at the target", record.offset);
        }
    }
}

fn route_partition(partition: u32) -> RoutePartition {
    let route = RouteName::new("r").expect("legal");
    RoutePartition { route, topic: topic("t"), partition: Partition(partition) }
}

fn fill(world: &World, partition: u32, records: std::ops::Range<u32>) {
    for number in records {
        world.source.append_text("t", partition, "key", &format!("{partition}-{number}"), 900_000);
    }
}

#[test]
fn everything_is_copied_and_stored_past_holes_and_control_records() {
    let mut world = World::new(2);
    fill(&world, 0, 0..1_000);
    world.source.append_control("t", 0);
    world.source.skip_to("t", 0, 2_000);
    world.start(2);
    world.run_until("both are copied", |world| world.is_copied(0) && world.is_copied(1));
    assert_eq!((world.stored(0), world.stored(1)), (Some(2_000), Some(0)));
    world.check_order(0);
    assert_eq!(world.target.records("t", 0).len(), 1_000);
}

#[test]
fn a_foreseen_refusal_holds_its_partition_alone_and_heals() {
    let mut world = World::new(2);
    world.target.set_config("t", "max.message.bytes", "500");
    fill(&world, 0, 0..10);
    world.source.append_text("t", 0, "key", &"x".repeat(1_000), 900_000);
    fill(&world, 0, 11..20);
    fill(&world, 1, 0..20);
    world.start(2);
    world.run_until("the other is copied", |world| world.is_copied(1));
    assert!(
        matches!(world.held(0), Some(Reason::RecordTooLarge { offset: 10, limit: 500, .. })),
        "{:?}",
        world.held(0)
    );
    world.run_for(2 * MINUTE);
    assert_eq!(world.stored(0), Some(10));
    world.target.set_config("t", "max.message.bytes", "5000");
    world.run_until("it is mended", |world| world.is_copied(0));
    assert_eq!(world.target.records("t", 0).len(), 20, "nothing came twice");
}

#[test]
fn an_unforeseen_refusal_holds_its_partition_and_disturbs_the_others_once() {
    let mut world = World::new(2);
    fill(&world, 0, 0..50);
    fill(&world, 1, 0..50);
    world.target.refuse_record("t", 0, 20, ErrorKind::InvalidRecord);
    world.start(2);
    world.run_until("the other is copied", |world| world.is_copied(1));
    world.run_for(Duration::from_secs(2));
    assert!(matches!(world.held(0), Some(Reason::RecordRefused { offset: 20, .. })), "{:?}", world.held(0));
    assert_eq!(world.stored(0), Some(20));
    world.check_order(0);
    world.check_order(1);
}

#[test]
fn a_denied_topic_goes_on_when_the_right_is_back() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.target.set_denied("t", false, true);
    world.start(1);
    world.run_for(MINUTE);
    assert_eq!(world.held(0), Some(Reason::Denied { side: Side::Target }));
    world.target.set_denied("t", false, false);
    world.run_until("it is copied", |world| world.is_copied(0));
    assert_eq!(world.target.records("t", 0).len(), 10);
}

#[test]
fn a_recreated_topic_is_held_before_anything_is_stored_for_it() {
    for side in [Side::Source, Side::Target] {
        let mut world = World::new(1);
        fill(&world, 0, 0..10);
        world.start(1);
        world.run_until("it is copied", |world| world.is_copied(0));
        let recreated = if side == Side::Source { &world.source } else { &world.target };
        recreated.delete_topic("t");
        recreated.create_topic("t", 1);
        fill(&world, 0, 10..40);
        world.run_for(Duration::from_secs(5));
        assert!(matches!(world.held(0), Some(Reason::TopicRecreated { .. })), "{:?}", world.held(0));
        // a cluster forgets the offsets of a topic that is deleted
        let expected = if side == Side::Source { None } else { Some(10) };
        assert_eq!(world.stored(0), expected, "{side}");
    }
}

#[test]
fn a_lost_range_is_reported_with_its_numbers() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    world.process = None;
    fill(&world, 0, 10..50);
    world.source.delete_records("t", 0, 30);
    world.start(1);
    world.run_for(Duration::from_secs(3));
    let lost = Reason::OutOfRange { next: NextOffset(10), log_start: NextOffset(30), log_end: NextOffset(50) };
    assert_eq!(world.held(0), Some(lost));
    assert_eq!(world.target.records("t", 0).len(), 10);
}

#[test]
fn a_newer_owner_ends_an_older_one() {
    let mut world = World::new(1);
    fill(&world, 0, 0..10);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    let older = world.process.take();
    world.start(1);
    world.run_until("the newer one claimed", |world| world.phases() == [Phase::Copying]);
    world.process = older;
    world.run_for(Duration::from_secs(2));
    assert!(matches!(world.held(0), Some(Reason::Superseded { epoch: Epoch(2), .. })), "{:?}", world.held(0));
}

#[test]
fn a_release_finishes_what_is_in_flight_and_stores_it() {
    let mut world = World::new(2);
    fill(&world, 0, 0..500);
    world.start(2);
    world.run_for(Duration::from_millis(3));
    world.stop_all(2, 10 * MINUTE);
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    let arrived = world.target.records("t", 0).len();
    assert_eq!(world.stored(0), Some(i64::try_from(arrived).expect("few")));
    world.start(2);
    world.run_until("the next owner copied the rest", |world| world.is_copied(0));
    assert_eq!(world.target.records("t", 0).len(), 500, "nothing came twice");
}

#[test]
fn a_stalled_target_partition_stops_neither_its_neighbours_nor_a_release() {
    let mut world = World::new(2);
    world.target.stall_partition("t", 0);
    fill(&world, 0, 0..2_000);
    fill(&world, 1, 0..2_000);
    world.start(2);
    world.run_until("the neighbour is copied", |world| world.is_copied(1));
    let lane = &world.process.as_ref().expect("runs").lane;
    assert!(lane.in_flight_bytes <= BOUNDS.in_flight_bytes);
    world.stop_all(2, Duration::from_secs(10));
    world.run_until("it is released", |world| world.process.as_ref().is_some_and(|process| process.lane.is_empty()));
    world.check_stored(0);
}

#[test]
fn a_topic_with_a_small_limit_gets_batches_that_fit() {
    let mut world = World::new(1);
    world.target.set_config("t", "max.message.bytes", "700");
    fill(&world, 0, 0..100);
    world.start(1);
    world.run_until("it is copied", |world| world.is_copied(0));
    assert_eq!(world.process.as_ref().expect("runs").lane.batch_bytes, 700);
    assert_eq!(world.target.records("t", 0).len(), 100);
}

#[derive(Clone, Debug)]
enum Event {
    Append { partition: u32, records: u8 },
    Hole { partition: u32, length: u8 },
    Control { partition: u32 },
    Run { millis: u16 },
    Crash,
    Release,
    Stall { seconds: u8 },
    BlinkTarget { seconds: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3u32, 1..60u8).prop_map(|(partition, records)| Event::Append { partition, records }),
        1 => (0..3u32, 1..9u8).prop_map(|(partition, length)| Event::Hole { partition, length }),
        1 => (0..3u32).prop_map(|partition| Event::Control { partition }),
        5 => (1..3_000u16).prop_map(|millis| Event::Run { millis }),
        1 => Just(Event::Crash),
        1 => Just(Event::Release),
        1 => (1..5u8).prop_map(|seconds| Event::Stall { seconds }),
        1 => (1..5u8).prop_map(|seconds| Event::BlinkTarget { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// D1, D2, D3, D6: with refused records, late writes, delayed acknowledgements, lost and unknown commits, crashes and
    /// releases, first arrivals are the source's records in its order, no stored offset is ahead of the target, and in
    /// the end everything is there.
    #[test]
    fn nothing_is_lost_reordered_or_stored_too_early(seed in any::<u64>(), events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new(3);
        world.source.set_faults(Faults { seed, commit_lost: 100, commit_unknown: 100, ..Faults::none() });
        world.target.set_faults(Faults::rough(seed));
        world.start(3);
        let mut appended = [0u32; 3];
        for event in events {
            match event {
                Event::Append { partition, records } => {
                    let from = &mut appended[partition as usize];
                    fill(&world, partition, *from..*from + u32::from(records));
                    *from += u32::from(records);
                }
                Event::Hole { partition, length } => {
                    let end = world.source.end("t", partition).0 + i64::from(length);
                    world.source.skip_to("t", partition, end);
                }
                Event::Control { partition } => {
                    world.source.append_control("t", partition);
                }
                Event::Run { millis } => world.run_for(Duration::from_millis(millis.into())),
                Event::Crash => {
                    world.process = None;
                    world.start(3);
                }
                Event::Release => {
                    world.stop_all(3, Duration::from_secs(10));
                    world.run_until("all is released", |world| world.process.as_ref().is_some_and(|p| p.lane.is_empty()));
                    world.start(3);
                }
                Event::Stall { seconds } => {
                    world.target.stall();
                    world.run_for(Duration::from_secs(seconds.into()));
                    world.target.unstall();
                }
                Event::BlinkTarget { seconds } => {
                    world.target.set_unreachable(true);
                    world.run_for(Duration::from_secs(seconds.into()));
                    world.target.set_unreachable(false);
                }
            }
            for partition in 0..3 {
                world.check_order(partition);
                world.check_stored(partition);
            }
            let lane = &world.process.as_ref().expect("runs").lane;
            prop_assert!(lane.in_flight_bytes <= BOUNDS.in_flight_bytes);
        }
        // Refusals end, so that what is held can go on.
        world.target.set_faults(Faults { refused: 0, ..Faults::rough(seed) });
        world.run_until("all is copied", |world| (0..3).all(|partition| world.is_copied(partition)));
        for partition in 0..3 {
            world.check_order(partition);
            prop_assert_eq!(world.source.records("t", partition).len(), appended[partition as usize] as usize);
        }
    }
}
