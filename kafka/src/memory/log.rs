//! The log of one partition: records at growing offsets, with holes where control records or compacted ones were.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::offsets::LeaderEpoch;

use crate::memory::headers;
use crate::record::{Header, Record};

/// A record as a log keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredRecord {
    /// Its offset in this log.
    pub offset: i64,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: LeaderEpoch,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: &'static [Header<'static>],
}

impl StoredRecord {
    /// A copy of a record, at its own offset.
    pub fn of(record: &Record<'_>) -> Self {
        Self {
            offset: record.offset,
            leader_epoch: record.leader_epoch.unwrap_or(LeaderEpoch(0)),
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers::keep(record.headers),
        }
    }

    /// The record as a source shows it.
    pub fn as_record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            leader_epoch: Some(self.leader_epoch),
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: self.headers,
        }
    }

    /// Whether both carry the same key, value, headers and timestamp, wherever they stand.
    pub fn same_content(&self, other: &Self) -> bool {
        (self.timestamp_ms, &self.key, &self.value, self.headers)
            == (other.timestamp_ms, &other.key, &other.value, other.headers)
    }
}

/// What is found at a position.
#[derive(Debug)]
pub(super) enum Found {
    /// The next record.
    Record(Arc<StoredRecord>),
    /// No record up to the last stable offset, which is this.
    End(i64),
    /// The position is among records of an open transaction.
    Nothing,
    /// No such offset (any more).
    OutOfRange,
    /// The log was cut off below the position since its epoch.
    Truncated,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) start: i64,
    pub(super) end: i64,
    /// Where an open transaction began.
    pub(super) open_since: Option<i64>,
    records: BTreeMap<i64, Arc<StoredRecord>>,
    /// Each leader's epoch and the first offset it could write, oldest first.
    epochs: Vec<(LeaderEpoch, i64)>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { start: 0, end: 0, open_since: None, records: BTreeMap::new(), epochs: vec![(LeaderEpoch(0), 0)] }
    }

    pub(super) fn last_stable(&self) -> i64 {
        self.open_since.map_or(self.end, |offset| offset.min(self.end))
    }

    pub(super) fn append(&mut self, record: &Record<'_>) -> i64 {
        let leader_epoch = self.leader_epoch();
        let stored = StoredRecord { offset: self.end, leader_epoch, ..StoredRecord::of(record) };
        self.records.insert(self.end, Arc::new(stored));
        self.skip_to(self.end + 1)
    }

    /// Moves the end on without a record and returns the offset that was the end before.
    pub(super) fn skip_to(&mut self, end: i64) -> i64 {
        assert!(end >= self.end, "a log of {} cannot skip back to {end}", self.end);
        std::mem::replace(&mut self.end, end)
    }

    /// Drops the records of a range, as compaction or an aborted transaction does: the offsets stay used.
    pub(super) fn hollow_out(&mut self, offsets: std::ops::Range<i64>) {
        self.records.retain(|offset, _| !offsets.contains(offset));
    }

    /// Moves the start on to `before`.
    pub(super) fn delete_before(&mut self, before: i64) {
        assert!(before <= self.end, "a log of {} cannot begin at {before}", self.end);
        self.start = self.start.max(before);
        self.records = self.records.split_off(&self.start);
    }

    /// Loses everything from `end` on, as after an unclean leader election: a new leader goes on from there.
    pub(super) fn truncate_to(&mut self, end: i64) {
        assert!(self.start <= end && end <= self.end, "a log of {}..{} cannot end at {end}", self.start, self.end);
        self.records.split_off(&end);
        self.end = end;
        self.epochs.push((LeaderEpoch(self.leader_epoch().0 + 1), end));
    }

    pub(super) fn records_from(&self, offset: i64) -> impl Iterator<Item = &StoredRecord> {
        self.records.range(offset..).map(|(_, record)| record.as_ref())
    }

    /// The first committed record with this timestamp or a later one.
    pub(super) fn first_since(&self, timestamp_ms: i64) -> Option<i64> {
        let mut committed = self.records.range(..self.last_stable());
        committed.find(|(_, record)| record.timestamp_ms.is_some_and(|time| time >= timestamp_ms)).map(|(&at, _)| at)
    }

    /// What a reader of committed records finds at `position`, whose last record had `epoch`.
    pub(super) fn find(&self, position: i64, epoch: Option<LeaderEpoch>) -> Found {
        if epoch.and_then(|epoch| self.end_of(epoch)).is_some_and(|end| end < position) {
            return Found::Truncated;
        }
        if position < self.start || position > self.end {
            return Found::OutOfRange;
        }
        let stable = self.last_stable();
        if position > stable {
            return Found::Nothing;
        }
        match self.records.range(position..stable).next() {
            Some((_, record)) => Found::Record(Arc::clone(record)),
            None => Found::End(stable),
        }
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(LeaderEpoch(0), |(epoch, _)| *epoch)
    }

    /// Where the records of a former `epoch` end (KIP-320). Positions of the present one are not validated, and an epoch
    /// from the future tells nothing: the topic was created anew.
    fn end_of(&self, epoch: LeaderEpoch) -> Option<i64> {
        self.epochs.iter().find(|(later, _)| *later > epoch).map(|(_, start)| *start)
    }
}
