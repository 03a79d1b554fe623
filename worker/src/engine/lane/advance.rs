//! Moving partitions on: holding, rewinding, reading again, keeping back, releasing; and replacing the sink.

use std::time::Duration;

use common::ids::TopicPartition;
use common::offsets::Position;
use common::reason::{Reason, Side};
use kafka::record::Slot;
use kafka::sink::Sink;
use kafka::source::Source;

use crate::crash_point;
use crate::engine::Released;
use crate::engine::lane::hold::Hold;
use crate::engine::lane::partition::{Doubt, LanePartition, Stage};
use crate::engine::lane::questions::LOOK_EVERY;
use crate::engine::lane::{Lane, Now, STALL_MAX, SinkState};
use crate::engine::limits::{Limits, RecordShape};
use crate::say::say;

/// The wait before another sink is made after one broke without a single arrival, doubled each time.
const SINK_BACK_OFF_MIN: Duration = Duration::from_millis(50);
/// The longest such wait.
const SINK_BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// How long the last answers of a broken sink are waited for: each that arrives is a record that need not come twice.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);
/// How long after a release's deadline the keeper is waited for, which may be storing a last offset or a claim. What it
/// stores later is the late commit of an owner before, which the next one stores over.
const LAST_STORE_MAX: Duration = Duration::from_secs(5);
/// The smallest batch, however small a topic's limit is: an empty batch with its header is 61 bytes.
const BATCH_BYTES_MIN: usize = 256;

impl Lane {
    /// Moves each partition on that can move. Does nothing while nothing happened.
    pub(super) fn advance(&mut self, now: Now, source: &mut impl Source, sink: &mut impl Sink) {
        let stopping = self.partitions.iter().flatten().any(|partition| partition.stop_by.is_some());
        let waiting = self.sink != SinkState::Working;
        if !std::mem::take(&mut self.attention) && !stopping && !waiting {
            return;
        }
        let mut reads = Vec::new();
        let mut urgent = false;
        let mut overdue = false;
        let working = self.sink == SinkState::Working;
        for index in 0..self.partitions.len() {
            let slot = super::slot(index);
            let Some(partition) = self.partitions[index].as_mut() else { continue };
            match (&partition.stage, partition.stop_by) {
                (Stage::Released { clean }, _) if partition.flight.outstanding() == 0 => {
                    if partition.open {
                        sink.close(slot);
                    }
                    let (partition, epoch) = (partition.grant.partition.clone(), partition.grant.epoch);
                    self.released.push(Released { partition, epoch, clean: *clean });
                    self.partitions[index] = None;
                    self.changed = true;
                }
                (Stage::Released { .. }, _) => {}
                // The keeper may just be storing its claim.
                (_, Some(by))
                    if !partition.is_claimed() && self.questions.is_open() && now.instant < by + LAST_STORE_MAX => {}
                (_, Some(_)) if !partition.is_claimed() => {
                    partition.release(self.questions.is_open());
                    self.attention = true;
                }
                (Stage::Held(hold), Some(_))
                    if partition.is_drained() && (!hold.may_store() || hold.awaits_an_offset()) =>
                {
                    partition.release(false);
                    self.attention = true;
                }
                (_, Some(by)) if partition.is_drained() => {
                    crash_point::pass("in-release");
                    urgent = true;
                    // One attempt to store what arrived last is always made, and not waited for for ever.
                    let in_vain = partition.unanswered.is_some() || now.instant >= by + LAST_STORE_MAX;
                    if now.instant >= by && in_vain {
                        let grant = &partition.grant;
                        say!(warn, grant.partition, grant.epoch, "released without storing its last offset");
                        partition.release(true);
                        self.attention = true;
                    }
                }
                (_, Some(by)) => overdue |= now.instant >= by,
                (Stage::Claiming(None) | Stage::Rewinding { doubt: Some(_) }, None) => urgent = true,
                (Stage::Rewinding { doubt: None }, None) if partition.flight.outstanding() == 0 && working => {
                    let opened = if partition.open { Ok(()) } else { sink.open(slot, &partition.grant.target()) };
                    match opened {
                        Ok(()) => {
                            partition.open = true;
                            reads.push((slot, partition.grant.partition.source(), partition.flight.rewind()));
                        }
                        Err(error) => {
                            let grant = &partition.grant;
                            say!(warn, grant.partition, grant.epoch, %error, "target can't be opened");
                        }
                    }
                }
                _ => {}
            }
        }
        self.read(&reads, now, source);
        if urgent {
            self.ask_soon(now.instant);
        }
        let narrowing_too_long = match self.sink {
            SinkState::Narrowing { since } => now.instant.saturating_duration_since(since) > STALL_MAX,
            SinkState::Working | SinkState::Broken { .. } => false,
        };
        if narrowing_too_long {
            tracing::info!("a topic takes smaller batches, and what is in flight does not arrive: it is thrown away");
            self.break_sink(now, source);
        }
        if overdue && !matches!(self.sink, SinkState::Broken { .. }) {
            tracing::warn!("the deadline of a release passed, records in flight are thrown away");
            self.break_sink(now, source);
        }
        self.purge_broken_sink(overdue || narrowing_too_long, now, sink);
    }

    /// Assigns partitions at the source, all in one call.
    fn read(&mut self, reads: &[(Slot, TopicPartition, Position)], now: Now, source: &mut impl Source) {
        if reads.is_empty() {
            return;
        }
        let outcome = source.assign(reads);
        for (slot, ..) in reads {
            match &outcome {
                Ok(()) => {
                    let partition = self.partition_mut(*slot);
                    partition.stage = Stage::Copying;
                    partition.last_arrival = now.instant;
                }
                Err(error) => {
                    let reason = Reason::Unreachable { side: Side::Source, error: error.text.clone() };
                    self.hold(*slot, reason, None, now, source);
                }
            }
        }
        self.changed = true;
    }

    /// Stops reading a partition, in whatever stage.
    pub(super) fn unread(&mut self, slot: Slot, source: &mut impl Source) {
        let partition = self.partition_mut(slot);
        if !matches!(partition.stage, Stage::Copying) {
            return;
        }
        if std::mem::take(&mut partition.kept_back) {
            self.kept_back -= 1;
            let partition = self.partition_mut(slot);
            let bytes = partition.flight.bytes();
            self.kept_back_bytes -= bytes;
        }
        if let Err(error) = source.unassign(&[slot]) {
            tracing::warn!(%error, "a partition could not be unassigned, its records are ignored");
        }
    }

    /// Lets a partition stand still.
    pub(super) fn hold(
        &mut self,
        slot: Slot,
        reason: Reason,
        record: Option<RecordShape>,
        now: Now,
        source: &mut impl Source,
    ) {
        self.unread(slot, source);
        let partition = self.partition_mut(slot);
        match &partition.stage {
            Stage::Released { .. } => return,
            // Neighbours of one topic fail together, and each blames them all.
            Stage::Held(held) if held.since == now.instant && held.reason.kind() == reason.kind() => return,
            _ => {}
        }
        let limits = partition.limits;
        let (attempts, is_stored) = (partition.attempts, partition.is_stored());
        say!(warn, partition.grant.partition, partition.grant.epoch, %reason, "partition stands still");
        partition.hold(Hold { reason, since: now.instant, record, limits, attempts, is_stored });
        self.changed = true;
        self.attention = true;
    }

    /// A lane steps many times between two looks, unless it stood still: then everything it reads is looked at first.
    pub(super) fn notice_standstill(&mut self, now: Now, source: &mut impl Source) {
        let stood = now.moment.since(std::mem::replace(&mut self.stepped, now.moment));
        if stood <= LOOK_EVERY || self.is_empty() {
            return;
        }
        tracing::warn!(?stood, "the process stood still, what it copies is looked at before anything more is read");
        self.woke = Some(now.instant);
        for index in 0..self.partitions.len() {
            if let Some(LanePartition { stage: Stage::Copying | Stage::Rewinding { doubt: None }, .. }) =
                &self.partitions[index]
            {
                self.unread(super::slot(index), source);
                self.partition_mut(super::slot(index)).stage = Stage::Rewinding { doubt: Some(Doubt::StoodStill) };
            }
        }
        self.attention = true;
    }

    /// Reads a partition again from its floor, once nothing of it is outstanding.
    pub(super) fn rewind(&mut self, slot: Slot, doubt: Option<Doubt>, source: &mut impl Source) {
        self.unread(slot, source);
        let partition = self.partition_mut(slot);
        if matches!(partition.stage, Stage::Copying) {
            partition.stage = Stage::Rewinding { doubt };
        }
        self.attention = true;
    }

    /// The sink is of no more use: what it has not sent is thrown away, and what was read is read again.
    pub(super) fn break_sink(&mut self, now: Now, source: &mut impl Source) {
        if matches!(self.sink, SinkState::Broken { .. }) {
            return;
        }
        self.sink = SinkState::Broken { purge_at: Some(now.instant + LAST_ANSWERS_MAX) };
        self.sink_failures += 1;
        self.attention = true;
        self.rewind_all(source);
    }

    /// Throws away what a broken sink has outstanding, once it is due.
    fn purge_broken_sink(&mut self, overdue: bool, now: Now, sink: &mut impl Sink) {
        if let SinkState::Broken { purge_at: Some(due) } = self.sink
            && (overdue || now.instant >= due)
        {
            sink.purge();
            self.sink = SinkState::Broken { purge_at: None };
        }
    }

    /// A topic takes smaller batches than the sink makes: finish what is in flight, then take another sink.
    pub(super) fn fit_batches(&mut self, limits: Limits, now: Now) {
        let fits = u64::try_from(self.batch_bytes).is_ok_and(|batch_bytes| batch_bytes <= limits.batch_bytes_max);
        if !fits && self.batch_bytes > BATCH_BYTES_MIN && self.sink == SinkState::Working {
            self.sink = SinkState::Narrowing { since: now.instant };
        }
    }

    pub(super) fn rewind_all(&mut self, source: &mut impl Source) {
        for index in 0..self.partitions.len() {
            if matches!(&self.partitions[index], Some(LanePartition { stage: Stage::Copying, .. })) {
                self.rewind(super::slot(index), None, source);
            }
        }
    }

    /// The largest batch that every topic of the lane takes, in bytes.
    pub(super) fn narrowest_batch(&self) -> usize {
        let narrowest = self.partitions.iter().flatten().map(|partition| partition.limits.batch_bytes_max).min();
        let narrowest = usize::try_from(narrowest.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        narrowest.clamp(BATCH_BYTES_MIN, self.bounds.batch_bytes.max(BATCH_BYTES_MIN))
    }

    pub(super) fn sink_back_off(&self) -> Duration {
        match self.sink_failures {
            0 | 1 => Duration::ZERO,
            failures => SINK_BACK_OFF_MIN.saturating_mul(1 << failures.min(8)).min(SINK_BACK_OFF_MAX),
        }
    }

    /// Keeps partitions back that fill memory and get nothing through, and lets them go on once something arrived.
    pub(super) fn make_room(&mut self, now: Now, source: &mut impl Source) {
        if self.has_room() && self.kept_back == 0 {
            return;
        }
        let stalled = |partition: &LanePartition| {
            partition.flight.outstanding() > 0
                && now.instant.saturating_duration_since(partition.last_arrival) > STALL_MAX
        };
        let full = !self.has_room();
        let someone_moves = self.partitions.iter().flatten().any(|p| p.is_read() && !p.kept_back && !stalled(p));
        for index in 0..self.partitions.len() {
            let Some(partition) = self.partitions[index].as_mut().filter(|partition| partition.is_read()) else {
                continue;
            };
            let slot = super::slot(index);
            let outcome = if partition.kept_back && !stalled(partition) {
                partition.kept_back = false;
                self.kept_back -= 1;
                self.kept_back_bytes -= partition.flight.bytes();
                source.resume(slot)
            } else if full && someone_moves && !partition.kept_back && stalled(partition) {
                let grant = &partition.grant;
                say!(info, grant.partition, grant.epoch, "kept back: the target takes none of its records");
                partition.kept_back = true;
                self.kept_back += 1;
                self.kept_back_bytes += partition.flight.bytes();
                source.pause(slot)
            } else {
                Ok(())
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "a partition could not be kept back or let go");
            }
        }
    }
}
