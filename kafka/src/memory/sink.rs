//! Writing to a cluster in memory.
//!
//! ```text
//! produce -> queued --serve--> written to the log --serve--> acknowledged --serve--> delivered
//!              |                    |
//!              +------- fatal, purged -------> delivered as failed, written or not
//! ```
//!
//! Nothing is written behind a refused record, except while the partition has nothing of this sink: a broker takes
//! whichever sequence number of an idempotent producer comes first (`ProducerAppendInfo.checkSequence`), so what was in
//! flight behind a refused beginning may be written without it.

use std::collections::{BTreeMap, VecDeque};

use common::ids::TopicPartition;

use crate::error::{Error, ErrorKind};
use crate::memory::cluster::MemoryCluster;
use crate::memory::log::StoredRecord;
use crate::memory::state::{State, error};
use crate::record::{Record, Slot};
use crate::sink::{Delivery, Sink, SinkBounds};

/// A writer to a cluster in memory. Everything happens within `serve`, `purge` and drop.
#[derive(Debug)]
pub struct MemorySink {
    cluster: MemoryCluster,
    queued_bytes_max: usize,
    targets: BTreeMap<Slot, TopicPartition>,
    lines: BTreeMap<TopicPartition, Line>,
    served: Served,
    has_ended: bool,
}

/// The records of one target partition on their way, in order.
#[derive(Debug, Default)]
struct Line {
    queued: VecDeque<Pending>,
    written: VecDeque<Pending>,
    /// Whether a record of this sink was ever written, so that the broker knows which one comes next.
    has_begun: bool,
}

/// A record on its way, under its source offset.
#[derive(Debug)]
struct Pending {
    slot: Slot,
    record: StoredRecord,
    bytes: usize,
}

/// What is decided and not yet told, and how much is still under way.
#[derive(Debug, Default)]
struct Served {
    deliveries: VecDeque<Delivery>,
    outstanding: BTreeMap<Slot, usize>,
    outstanding_bytes: usize,
}

impl Served {
    fn settle(&mut self, pending: &Pending, outcome: Result<(), ErrorKind>) {
        self.outstanding_bytes -= pending.bytes;
        self.deliveries.push_back(Delivery { slot: pending.slot, offset: pending.record.offset, outcome });
    }
}

impl MemorySink {
    pub(super) fn new(cluster: MemoryCluster, bounds: SinkBounds) -> Self {
        Self {
            cluster,
            queued_bytes_max: bounds.queued_bytes,
            targets: BTreeMap::new(),
            lines: BTreeMap::new(),
            served: Served::default(),
            has_ended: false,
        }
    }

    /// A record of `guilty` was refused: what became of everything else is partly unknown.
    fn fail(&mut self, state: &mut State, guilty: &TopicPartition, kind: ErrorKind) {
        self.has_ended = true;
        if let Some(line) = self.lines.get_mut(guilty) {
            // the brokers answer in order, so all before it was acknowledged
            line.written.drain(..).for_each(|pending| self.served.settle(&pending, Ok(())));
            while let Some(pending) = line.queued.pop_front() {
                self.served.settle(&pending, Err(kind));
                if !state.dice.hits(state.faults.same_batch) {
                    break;
                }
            }
            line.write_behind(state, guilty, 0);
        }
        let lines = std::mem::take(&mut self.lines);
        for (target, mut line) in lines {
            if target != *guilty {
                line.write_late(state, &target);
                while !line.written.is_empty() && state.dice.hits(state.faults.late_write) {
                    let acknowledged = line.written.pop_front();
                    acknowledged.iter().for_each(|pending| self.served.settle(pending, Ok(())));
                }
            }
            for pending in line.written.drain(..).chain(line.queued.drain(..)) {
                // which of the two it is depends on whether it was still queued or in flight: callers must not care
                let is_purged = state.dice.hits(state.faults.late_write);
                let kind = if is_purged { ErrorKind::Purged } else { ErrorKind::ProducerFatal };
                self.served.settle(&pending, Err(kind));
            }
        }
    }
}

impl Line {
    /// Writes what this `serve` gets to; fails with the kind of the first record that is refused.
    fn write(&mut self, state: &mut State, target: &TopicPartition) -> Result<(), ErrorKind> {
        while let Some(pending) = self.queued.front() {
            if state.dice.hits(state.faults.write_delay) {
                break;
            }
            state.write(target, &pending.record.as_record())?;
            self.has_begun = true;
            self.written.extend(self.queued.pop_front());
        }
        Ok(())
    }

    /// Writes what was in flight behind refused records, the first `refused` ones of the queue, if the broker can't know
    /// that they are missing. All of it stays queued: it fails, whatever became of it.
    fn write_behind(&mut self, state: &mut State, target: &TopicPartition, refused: usize) {
        if self.has_begun {
            return;
        }
        for pending in self.queued.iter().skip(refused) {
            if !state.dice.hits(state.faults.late_write) {
                break;
            }
            match state.write(target, &pending.record.as_record()) {
                Ok(()) => self.has_begun = true,
                Err(_) if self.has_begun => break,
                Err(_) => {}
            }
        }
    }

    /// Writes what was in flight when the sink ended: requests cannot be called back.
    fn write_late(&mut self, state: &mut State, target: &TopicPartition) {
        while let Some(pending) = self.queued.front() {
            if !state.dice.hits(state.faults.late_write) {
                break;
            }
            if state.write(target, &pending.record.as_record()).is_err() {
                self.write_behind(state, target, 1);
                break;
            }
            self.has_begun = true;
            self.written.extend(self.queued.pop_front());
        }
    }
}

impl Sink for MemorySink {
    fn open(&mut self, slot: Slot, target: &TopicPartition) -> Result<(), Error> {
        let outstanding = self.served.outstanding.get(&slot).copied().unwrap_or(0);
        assert!(
            outstanding == 0 && !self.targets.contains_key(&slot),
            "{slot:?} is opened for {target} while {outstanding} records of it are outstanding or it is still open"
        );
        self.targets.insert(slot, target.clone());
        Ok(())
    }

    fn close(&mut self, slot: Slot) {
        self.targets.remove(&slot);
    }

    fn produce(&mut self, slot: Slot, record: &Record<'_>) -> Result<(), Error> {
        let target = self.targets.get(&slot);
        let target = target.unwrap_or_else(|| panic!("a record is produced for {slot:?}, which is not open"));
        if self.has_ended {
            return Err(error(ErrorKind::ProducerFatal, "write to", target));
        }
        let bytes = record.payload_bytes();
        // overshot by one record, so that a large one is not kept waiting by smaller ones of others
        if self.served.outstanding_bytes >= self.queued_bytes_max {
            return Err(error(ErrorKind::QueueFull, "queue a record for", target));
        }
        self.served.outstanding_bytes += bytes;
        *self.served.outstanding.entry(slot).or_default() += 1;
        let pending = Pending { slot, record: StoredRecord::of(record), bytes };
        self.lines.entry(target.clone()).or_default().queued.push_back(pending);
        Ok(())
    }

    fn serve(&mut self, deliveries: &mut Vec<Delivery>) {
        let cluster = self.cluster.clone();
        let state = &mut *cluster.state();
        let mut refused = None;
        for (target, line) in &mut self.lines {
            if state.is_stalled(target) {
                continue;
            }
            if let Err(kind) = line.write(state, target) {
                refused = Some((target.clone(), kind));
                break;
            }
            while !line.written.is_empty() && !state.dice.hits(state.faults.acknowledgement_delay) {
                let acknowledged = line.written.pop_front();
                acknowledged.iter().for_each(|pending| self.served.settle(pending, Ok(())));
            }
        }
        if let Some((target, kind)) = refused {
            self.fail(state, &target, kind);
        }
        for delivery in self.served.deliveries.drain(..) {
            let outstanding = self.served.outstanding.entry(delivery.slot).or_default();
            *outstanding = outstanding.checked_sub(1).expect("each record is delivered once");
            deliveries.push(delivery);
        }
    }

    fn outstanding(&self) -> usize {
        self.served.outstanding.values().sum()
    }

    fn purge(&mut self) {
        self.has_ended = true;
        let cluster = self.cluster.clone();
        let state = &mut *cluster.state();
        for (target, mut line) in std::mem::take(&mut self.lines) {
            if !state.is_stalled(&target) {
                line.write_late(state, &target);
            }
            for pending in line.written.drain(..).chain(line.queued.drain(..)) {
                self.served.settle(&pending, Err(ErrorKind::Purged));
            }
        }
    }
}

impl Drop for MemorySink {
    /// A process that dies leaves requests in flight behind.
    fn drop(&mut self) {
        self.purge();
    }
}
