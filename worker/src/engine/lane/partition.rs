//! One partition of a lane: where it stands and what it may do next.
//!
//! ```text
//!            Claimed               nothing outstanding: read from the floor
//! Claiming ----------> Rewinding -----------------------------------> Copying
//!    |  ^ obstacle       ^  |  ^                                         |
//!    v  | gone           |  |  +-- the sink broke, one record is alone --+
//!   Held          mended |  |                                            |
//!                        |  v  the source no longer has what comes next  |
//!                        Held <------------------------------------------+
//!                                       refused, denied, missing …
//!
//! stop, in any stage: read no more; nothing outstanding -> store the floor -> Released
//! ```
//!
//! Invariant: only a partition that is `Copying` is assigned at the source, and it becomes `Copying` only with nothing
//! outstanding.

use std::sync::Arc;
use std::time::Duration;

use common::assignment::{Grant, Phase, Progress};
use common::offsets::{LeaderEpoch, NextOffset, Position};
use common::reason::{Reason, Side};
use tokio::time::Instant;

use crate::engine::lane::hold::Hold;
use crate::engine::lane::in_flight::InFlight;
use crate::engine::ledger::SourceRange;
use crate::engine::limits::Limits;

/// Where a partition stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its start is being found. The reason says why it takes long, if it does.
    Claiming(Option<Reason>),
    /// It is read and written.
    Copying,
    /// It will be read again from its floor once nothing is outstanding.
    Rewinding {
        /// What must be looked up first.
        doubt: Option<Doubt>,
    },
    /// It stands still.
    Held(Hold),
    /// It is let go: nothing of it can be written or stored any more.
    Released {
        /// Whether all that was sent has arrived, and how far that is was stored.
        clean: bool,
    },
}

/// Why a partition can't just be read from its floor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doubt {
    /// The source says that the offset is not there.
    OutOfRange,
    /// The source says that the log before it is another one.
    Truncated,
    /// The lane stood still: somebody else may have it by now.
    StoodStill,
}

/// A partition of a lane.
#[derive(Debug)]
pub(super) struct LanePartition {
    pub grant: Arc<Grant>,
    pub stage: Stage,
    pub flight: InFlight,
    pub stored: Option<NextOffset>,
    pub limits: Limits,
    pub range: Option<SourceRange>,
    /// Whether the sink has its slot open.
    pub open: bool,
    /// Whether a record of it has arrived through this sink. Until then one record is sent alone: a broker takes any
    /// sequence number from a producer it has no state of (`ProducerAppendInfo.checkSequence`), so that records behind a
    /// refused first one would be written.
    pub proven: bool,
    /// Since when it could not be found out whether all is well, and why.
    pub unanswered: Option<(Instant, Reason)>,
    /// Set once it is to be released; past the deadline what is outstanding is thrown away.
    pub stop_by: Option<Instant>,
    /// Whether the source was told to keep its records back, since the target takes none of them.
    pub kept_back: bool,
    /// When a record last arrived, or was produced while none was outstanding.
    pub last_arrival: Instant,
    /// How often it was held since a record last arrived.
    pub attempts: u32,
    /// How often it was read anew since a record last arrived, because nothing came.
    pub nudges: u32,
    pub records: u64,
    pub bytes: u64,
    last_timestamp_ms: Option<i64>,
}

/// Memory that a record in flight takes beside its bytes: librdkafka's message (about 200 bytes in 2.12), the
/// allocator's share, and our entry.
pub(super) const RECORD_OVERHEAD_BYTES: usize = 256;

/// How long nothing may move before a partition is said to stand still.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long the source may deliver nothing, although it holds more, before it is asked anew, doubled each time: a client
/// can lose track of a partition (`docs/design/librdkafka.md`), and a throttled one must be left in peace.
const DEAF_MIN: Duration = Duration::from_secs(10);
/// The longest such time.
const DEAF_MAX: Duration = Duration::from_secs(600);
/// How often the sink may break without an arrival before its partitions are said to stand still.
const SINK_FAILURES_MAX: u32 = 5;

impl LanePartition {
    pub(super) fn new(grant: Arc<Grant>, now: Instant) -> Self {
        Self {
            grant,
            stage: Stage::Claiming(None),
            flight: InFlight::new(Position::at(NextOffset::ZERO)),
            stored: None,
            limits: Limits::NONE,
            range: None,
            open: false,
            proven: false,
            unanswered: None,
            stop_by: None,
            kept_back: false,
            last_arrival: now,
            attempts: 0,
            nudges: 0,
            records: 0,
            bytes: 0,
            last_timestamp_ms: None,
        }
    }

    /// Its claim stands at `position`.
    pub(super) fn claimed(&mut self, position: Position, limits: Limits) {
        self.flight = InFlight::new(position);
        self.stored = Some(position.next_offset);
        self.limits = limits;
        self.stage = Stage::Rewinding { doubt: None };
    }

    /// A record was produced. `payload` is its size in bytes.
    pub(super) fn produced(
        &mut self,
        offset: i64,
        leader_epoch: Option<LeaderEpoch>,
        timestamp_ms: Option<i64>,
        payload: usize,
        now: Instant,
    ) {
        if self.flight.outstanding() == 0 {
            self.last_arrival = now;
        }
        let weight = u32::try_from(payload + RECORD_OVERHEAD_BYTES).expect("a record is smaller than 4 GiB");
        self.flight.begin(offset, leader_epoch, weight);
        self.last_timestamp_ms = timestamp_ms.or(self.last_timestamp_ms);
    }

    /// A record has arrived.
    pub(super) fn arrived(&mut self, offset: i64, now: Instant) {
        let before = self.flight.bytes();
        self.flight.ack(offset);
        self.records += 1;
        self.bytes += (before - self.flight.bytes() - RECORD_OVERHEAD_BYTES) as u64;
        self.last_arrival = now;
        self.attempts = 0;
        self.nudges = 0;
        self.proven = true;
    }

    /// Stands still from now on.
    pub(super) fn hold(&mut self, hold: Hold) {
        self.attempts += 1;
        self.stage = Stage::Held(hold);
    }

    /// Lets go of it. `storing` says that the keeper may still store something of it.
    pub(super) fn release(&mut self, storing: bool) {
        let is_stored = self.is_stored() && self.flight.is_settled();
        self.stage = Stage::Released { clean: if self.is_claimed() { is_stored } else { !storing } };
    }

    /// Whether it is assigned at the source.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.stage, Stage::Copying) && self.stop_by.is_none()
    }

    /// Whether its floor was stored, as far as it knows.
    pub(super) fn is_stored(&self) -> bool {
        let was_stored = matches!(&self.stage, Stage::Held(hold) if hold.awaits_an_offset());
        was_stored || self.stored == Some(self.flight.floor().next_offset)
    }

    /// A hold remembers that the floor was stored.
    pub(super) fn note_stored(&mut self) {
        let is_stored = self.is_stored();
        if let Stage::Held(hold) = &mut self.stage {
            hold.is_stored |= is_stored;
        }
    }

    /// Whether its start was found and stored under its epoch. Without that it has no floor.
    pub(super) fn is_claimed(&self) -> bool {
        self.stored.is_some()
    }

    /// Whether another record may be sent now.
    pub(super) fn may_send(&self) -> bool {
        self.proven || self.flight.outstanding() == 0
    }

    /// Whether its reader seems to have lost track of it: by the latest look the source holds more, everything that was
    /// read has arrived, and nothing has come for long.
    pub(super) fn is_deaf(&self, now: Instant) -> bool {
        let patience = DEAF_MIN.saturating_mul(2u32.saturating_pow(self.nudges.min(16))).min(DEAF_MAX);
        !self.kept_back
            && self.flight.outstanding() == 0
            && self.range.is_some_and(|range| self.flight.floor().next_offset < range.last_stable)
            && now.saturating_duration_since(self.last_arrival) >= patience
    }

    /// Whether only its last floor is to be stored before it is released.
    pub(super) fn is_drained(&self) -> bool {
        self.stop_by.is_some() && self.is_claimed() && self.flight.outstanding() == 0
    }

    /// What it is doing, as an inventory says it. `sink_failures` is how often the sink broke since anything arrived.
    pub(super) fn phase(&self, now: Instant, sink_failures: u32) -> Phase {
        match (&self.stage, self.stop_by) {
            (Stage::Held(hold), None) => Phase::held(hold.reason.clone()),
            (Stage::Claiming(Some(reason)), None) => Phase::held(reason.clone()),
            (Stage::Claiming(None), None) => Phase::Claiming,
            (Stage::Copying | Stage::Rewinding { .. }, None) => match self.silent(now, sink_failures) {
                Some(reason) => Phase::held(reason),
                None => Phase::Copying,
            },
            (_, Some(_)) | (Stage::Released { .. }, None) => Phase::Draining,
        }
    }

    /// Why nothing moves although nothing was refused, if that has lasted.
    fn silent(&self, now: Instant, sink_failures: u32) -> Option<Reason> {
        let lasted = |since: Instant| now.saturating_duration_since(since) >= SILENCE_MAX;
        if self.flight.outstanding() > 0 && lasted(self.last_arrival) {
            let error = format!("no record was acknowledged for {} s and longer", SILENCE_MAX.as_secs());
            return Some(Reason::Unreachable { side: Side::Target, error });
        }
        if sink_failures > SINK_FAILURES_MAX {
            let error = "the producer fails again and again without a word about a record".to_owned();
            return Some(Reason::Unreachable { side: Side::Target, error });
        }
        self.unanswered.as_ref().filter(|(since, _)| lasted(*since)).map(|(_, reason)| reason.clone())
    }

    /// How far it is. `now_ms` is the wall clock.
    pub(super) fn progress(&self, now_ms: i64) -> Progress {
        let next_offset = self.is_claimed().then_some(self.flight.floor().next_offset);
        let source_end = self.range.map(|range| range.last_stable);
        let behind = matches!((next_offset, source_end), (Some(next), Some(end)) if next < end);
        let age_ms = self.last_timestamp_ms.map_or(0, |last| now_ms.saturating_sub(last).max(0));
        Progress {
            partition: self.grant.partition.clone(),
            epoch: self.grant.epoch,
            next_offset,
            stored_offset: self.stored,
            source_end,
            source_high_watermark: self.range.map(|range| range.high_watermark),
            lag_time: if behind { Duration::from_millis(age_ms.unsigned_abs()) } else { Duration::ZERO },
            records: self.records,
            bytes: self.bytes,
        }
    }
}
