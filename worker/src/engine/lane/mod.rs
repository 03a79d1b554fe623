//! The copy loop: one thread's partitions, one source, one sink, one ledger.
//!
//! Owns: the order of things on a record's way. Never does: block (but for the wait that `step` is told), read a clock,
//! retry a record past a failed one, decide which partitions to copy.
//!
//! ```text
//!  source.poll -> limits -> sink.produce -> in_flight.begin          (copy)
//!  sink.serve  -> in_flight.ack | fail -> floor                      (serve)
//!  floor       -> ledger: is all well? then store it -> stored       (ask, hear)
//! ```
//!
//! Through a new sink, a partition sends one record alone and goes on once that has arrived. A lane that stood still (its process
//! was stopped, its machine suspended) may have lost its partitions meanwhile: each is read again once that was looked at.
//!
//! A foreseen refusal holds one partition. An unforeseen one breaks the sink: nothing queued behind the refused record
//! may be written before it, so everything queued is thrown away, the driver makes a new sink, and each partition is
//! read again from its floor, the guilty one only once its cause is gone.
//!
//! Invariants: a partition is read only while its claim stands, and after a standstill only once that was seen again; its
//! records are produced in the order of their offsets; its floor passes only what has arrived (D6), and only a floor from
//! before a look at both topics is stored after it; memory in flight stays below `LaneBounds::in_flight_bytes`, and
//! partitions that get nothing through never take all of it.

mod advance;
mod hold;
mod in_flight;
mod partition;
mod questions;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use common::assignment::{Grant, Phase, Progress};
use common::ids::RoutePartition;
use common::offsets::NextOffset;
use common::reason::{Reason, Side};
use kafka::error::ErrorKind;
use kafka::record::{Record, Slot};
use kafka::sink::{Delivery, Sink};
use kafka::source::{Polled, Source};
use tokio::time::Instant;

use crate::crash_point;
use crate::engine::Released;
use crate::engine::lane::hold::Hold;
use crate::engine::lane::partition::{Doubt, LanePartition, Stage};
use crate::engine::ledger::Ledger;
use crate::engine::limits::RecordShape;
use crate::moment::Moment;

/// Records copied in one step before deliveries are served again.
const RECORDS_PER_STEP: usize = 500;
/// How long a partition may fill memory without an arrival before the source is told to keep its records back. Until
/// then the lane waits for it, since keeping back throws away what was read ahead.
const STALL_MAX: Duration = Duration::from_millis(400);
/// How long a step may wait for the source while deliveries are outstanding, which it cannot hear.
const WAIT_FOR_DELIVERIES: Duration = Duration::from_millis(2);
/// How long it may wait otherwise; commands to the lane wait as long.
const WAIT_IDLE: Duration = Duration::from_millis(20);

/// What a lane may hold and how often it stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneBounds {
    /// Bytes in flight, overhead included.
    pub in_flight_bytes: usize,
    /// The largest batch the first sink makes, in bytes.
    pub batch_bytes: usize,
    /// How often floors are stored.
    pub commit_interval: Duration,
    /// Whether the sink compresses, so that the size of a batch is not known beforehand.
    pub compressed: bool,
}

/// What the driver is to do before the next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Step again at once.
    Ready,
    /// Step again, letting the source wait for something up to this long.
    Source(Duration),
    /// Sleep this long; the source must not be polled while memory is full.
    Deliveries(Duration),
    /// Make a new sink whose batches are at most this large, hand it to `sink_replaced`, and drop the old one. After
    /// several in vain, wait this long before.
    Sink {
        /// Bytes of one batch.
        batch_bytes: usize,
        /// How long to wait before making it.
        back_off: Duration,
    },
}

/// The times of a step: one reading of each clock, by the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// The same, with the time that the machine slept.
    pub moment: Moment,
    /// The wall clock, in milliseconds since the Unix epoch: for timestamps only.
    pub wall_ms: i64,
}

impl Now {
    /// Both readings, taken just now.
    pub fn at(instant: Instant, wall_ms: i64) -> Self {
        Self { instant, moment: Moment::at(instant), wall_ms }
    }
}

/// A partition as the outside sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct PartitionStatus {
    /// What it is doing.
    pub phase: Phase,
    /// How far it is.
    pub progress: Progress,
}

impl PartitionStatus {
    /// A partition whose lane can't begin.
    pub fn waiting(grant: &Grant, why: &str) -> Self {
        let progress = Progress {
            partition: grant.partition.clone(),
            epoch: grant.epoch,
            next_offset: None,
            stored_offset: None,
            source_end: None,
            source_high_watermark: None,
            lag_time: Duration::ZERO,
            records: 0,
            bytes: 0,
        };
        Self { phase: Phase::held(Reason::Waiting { text: why.to_owned() }), progress }
    }
}

/// The partitions of one thread and what they share.
#[derive(Debug)]
pub struct Lane {
    bounds: LaneBounds,
    partitions: Vec<Option<LanePartition>>,
    sink: SinkState,
    /// How often the sink broke since a record last arrived.
    sink_failures: u32,
    batch_bytes: usize,
    /// Weights of all records in flight, and of those whose partitions are kept back at the source.
    in_flight_bytes: usize,
    kept_back_bytes: usize,
    /// How many partitions are kept back.
    kept_back: usize,
    questions: questions::Open,
    /// When the last step was.
    stepped: Moment,
    /// When it went on after it last stood still: what was asked before says nothing any more.
    woke: Option<Instant>,
    /// Set when a partition may be able to move on.
    attention: bool,
    changed: bool,
    released: Vec<Released>,
    deliveries: Vec<Delivery>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SinkState {
    Working,
    /// A topic takes smaller batches: once nothing is outstanding, another sink takes over.
    Narrowing {
        since: Instant,
    },
    /// It failed: nothing more is sent, the last answers come in. What has none by `purge_at` is thrown away.
    Broken {
        purge_at: Option<Instant>,
    },
}

/// What follows from a polled record, once it is no longer borrowed.
enum Verdict {
    GoOn,
    Hold(Slot, Reason, Option<RecordShape>),
    Again(Slot),
    SinkBroken,
    Doubt(Slot, Doubt),
}

impl Lane {
    /// A lane without partitions.
    pub fn new(bounds: LaneBounds, now: Instant) -> Self {
        Self {
            bounds,
            partitions: Vec::new(),
            sink: SinkState::Working,
            sink_failures: 0,
            batch_bytes: bounds.batch_bytes,
            in_flight_bytes: 0,
            kept_back_bytes: 0,
            kept_back: 0,
            questions: questions::Open::new(now),
            stepped: Moment::at(now),
            woke: None,
            attention: false,
            changed: false,
            released: Vec::new(),
            deliveries: Vec::new(),
        }
    }

    /// Begins to claim, then to copy a partition.
    ///
    /// # Panics
    /// If the partition runs already.
    pub fn start(&mut self, grant: Arc<Grant>, now: Instant) {
        assert!(self.find(&grant.partition).is_none(), "{} started twice", grant.partition);
        let partition = LanePartition::new(grant, now);
        match self.partitions.iter().position(Option::is_none) {
            Some(free) => self.partitions[free] = Some(partition),
            None => self.partitions.push(Some(partition)),
        }
        assert!(self.partitions.len() <= usize::from(u16::MAX), "a slot is a u16");
        self.attention = true;
        self.changed = true;
    }

    /// Begins to release a partition: what is in flight is finished and stored. What has not arrived by the deadline is
    /// thrown away, to be read again by the next owner.
    pub fn stop(&mut self, partition: &RoutePartition, by: Instant, source: &mut impl Source) {
        let Some(slot) = self.find(partition) else { return };
        self.unread(slot, source);
        let partition = self.partition_mut(slot);
        partition.stop_by = Some(partition.stop_by.map_or(by, |earlier| earlier.min(by)));
        if let Stage::Copying = partition.stage {
            partition.stage = Stage::Rewinding { doubt: None };
        }
        self.attention = true;
        self.changed = true;
    }

    /// Does everything that can be done now. `patience` is what the last step's `Wait::Source` allowed.
    pub fn step(
        &mut self,
        now: Now,
        patience: Duration,
        source: &mut impl Source,
        sink: &mut impl Sink,
        ledger: &mut impl Ledger,
    ) -> Wait {
        self.notice_standstill(now, source);
        self.serve(now, source, sink);
        self.hear(now, source, ledger);
        self.advance(now, source, sink);
        self.make_room(now, source);
        self.ask(now, ledger);
        match self.sink {
            SinkState::Working => self.copy(now, patience, source, sink),
            SinkState::Narrowing { .. } | SinkState::Broken { .. } if sink.outstanding() == 0 => {
                self.rewind_all(source);
                Wait::Sink { batch_bytes: self.narrowest_batch(), back_off: self.sink_back_off() }
            }
            SinkState::Narrowing { .. } | SinkState::Broken { .. } => Wait::Deliveries(Duration::from_millis(1)),
        }
    }

    /// The driver made the sink that `Wait::Sink` asked for.
    pub fn sink_replaced(&mut self, batch_bytes: usize) {
        self.batch_bytes = batch_bytes;
        self.sink = SinkState::Working;
        for (_, partition) in self.entries() {
            partition.open = false;
            partition.proven = false;
        }
        self.attention = true;
    }

    /// How each partition is, if any changed what it is doing since the last call or `always` is set.
    pub fn statuses(&mut self, now: Now, always: bool) -> Option<Vec<PartitionStatus>> {
        if !std::mem::take(&mut self.changed) && !always {
            return None;
        }
        let status = |partition: &LanePartition| PartitionStatus {
            phase: partition.phase(now.instant, self.sink_failures),
            progress: partition.progress(now.wall_ms),
        };
        Some(self.partitions.iter().flatten().map(status).collect())
    }

    /// The partitions that were released since the last call: nothing of them can be written or stored any more.
    pub fn take_released(&mut self) -> Vec<Released> {
        std::mem::take(&mut self.released)
    }

    /// Whether it has no partitions.
    pub fn is_empty(&self) -> bool {
        self.partitions.iter().all(Option::is_none)
    }

    /// Reads and produces up to `RECORDS_PER_STEP` records. What it waited for is one record: the process may have stood still
    /// meanwhile, which the next step notices.
    fn copy(&mut self, now: Now, patience: Duration, source: &mut impl Source, sink: &mut impl Sink) -> Wait {
        let (mut wait, records) = (patience, if patience.is_zero() { RECORDS_PER_STEP } else { 1 });
        for _ in 0..records {
            if !self.has_room() {
                return Wait::Deliveries(Duration::from_millis(1));
            }
            let Some(polled) = source.poll(std::mem::take(&mut wait)) else {
                let outstanding = sink.outstanding() > 0;
                return Wait::Source(if outstanding { WAIT_FOR_DELIVERIES } else { WAIT_IDLE });
            };
            let verdict = match polled {
                Polled::Record { slot, record } => self.produce(slot, &record, now, sink),
                Polled::End { slot, position } => self.pass(slot, position),
                Polled::Failed { slot, error } => source_failed(slot, &error),
            };
            match verdict {
                Verdict::GoOn => {}
                Verdict::Hold(slot, reason, record) => self.hold(slot, reason, record, now, source),
                Verdict::Again(slot) => self.rewind(slot, None, source),
                Verdict::Doubt(slot, doubt) => self.rewind(slot, Some(doubt), source),
                Verdict::SinkBroken => {
                    self.break_sink(now, source);
                    return Wait::Ready;
                }
            }
        }
        Wait::Ready
    }

    /// Produces one record, unless its refusal is foreseen.
    #[inline]
    fn produce(&mut self, slot: Slot, record: &Record<'_>, now: Now, sink: &mut impl Sink) -> Verdict {
        let compressed = self.bounds.compressed;
        let partition = self.partition_mut(slot);
        if !partition.is_read() {
            return Verdict::GoOn;
        }
        if !partition.may_send() {
            return Verdict::Again(slot);
        }
        crash_point::pass("after-poll");
        let shape = RecordShape::of(record, compressed);
        if let Some(reason) = partition.limits.refusal(&shape, now.wall_ms) {
            return Verdict::Hold(slot, reason, Some(shape));
        }
        match sink.produce(slot, record) {
            Ok(()) => {
                let payload = record.payload_bytes();
                partition.produced(record.offset, record.leader_epoch, record.timestamp_ms, payload, now.instant);
                self.in_flight_bytes += payload + partition::RECORD_OVERHEAD_BYTES;
                crash_point::pass("after-produce");
                Verdict::GoOn
            }
            Err(error) => match error.kind {
                ErrorKind::QueueFull => Verdict::Again(slot),
                ErrorKind::ProducerFatal => Verdict::SinkBroken,
                kind => Verdict::Hold(slot, serve::refusal(kind, record.offset, &error.text), None),
            },
        }
    }

    /// Everything readable of a partition was read.
    fn pass(&mut self, slot: Slot, position: NextOffset) -> Verdict {
        let partition = self.partition_mut(slot);
        if partition.is_read() {
            partition.flight.pass(position);
        }
        Verdict::GoOn
    }

    /// Whether another record may be read. What kept-back partitions hold counts double, so that however many of them
    /// stand still, half of what is left is there for the others, and always room for one record.
    #[inline]
    fn has_room(&self) -> bool {
        let active = self.in_flight_bytes - self.kept_back_bytes;
        active == 0 || active < self.bounds.in_flight_bytes.saturating_sub(self.kept_back_bytes) / 2
    }

    fn find(&self, partition: &RoutePartition) -> Option<Slot> {
        let found = |entry: &Option<LanePartition>| entry.as_ref().is_some_and(|p| p.grant.partition == *partition);
        self.partitions.iter().position(found).map(slot)
    }

    fn partition_mut(&mut self, slot: Slot) -> &mut LanePartition {
        self.partitions[usize::from(slot.0)].as_mut().expect("a slot is taken until nothing of it is outstanding")
    }

    fn entries(&mut self) -> impl Iterator<Item = (Slot, &mut LanePartition)> {
        self.partitions.iter_mut().enumerate().filter_map(|(index, entry)| Some((slot(index), entry.as_mut()?)))
    }
}

fn slot(index: usize) -> Slot {
    Slot(u16::try_from(index).expect("slots are counted when a partition starts"))
}

/// What an error of the source means for its partition.
fn source_failed(slot: Option<Slot>, error: &kafka::error::Error) -> Verdict {
    let Some(slot) = slot else {
        tracing::warn!(error = %error, "the source cluster is in trouble, reading goes on when it answers");
        return Verdict::GoOn;
    };
    match error.kind {
        ErrorKind::OffsetOutOfRange => Verdict::Doubt(slot, Doubt::OutOfRange),
        ErrorKind::Truncated => Verdict::Doubt(slot, Doubt::Truncated),
        ErrorKind::UnknownTopic => Verdict::Hold(slot, Reason::TopicMissing { side: Side::Source }, None),
        ErrorKind::TopicDenied => Verdict::Hold(slot, Reason::Denied { side: Side::Source }, None),
        _ => Verdict::Hold(slot, Reason::Unreachable { side: Side::Source, error: error.text.clone() }, None),
    }
}

#[cfg(test)]
mod lane_test;
#[cfg(test)]
mod random_test;
#[cfg(test)]
mod world_test;
