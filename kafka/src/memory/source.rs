//! Reading from a cluster in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use common::ids::TopicPartition;
use common::offsets::{LeaderEpoch, NextOffset, Position};

use crate::error::{Error, ErrorKind};
use crate::memory::cluster::MemoryCluster;
use crate::memory::log::{Found, StoredRecord};
use crate::memory::state::{State, error};
use crate::record::Slot;
use crate::source::{Polled, Source};

/// A reader of a cluster in memory. A poll never waits, however long it may.
#[derive(Debug)]
pub struct MemorySource {
    cluster: MemoryCluster,
    readings: BTreeMap<Slot, Reading>,
    /// The slot served last: the next one has the next turn.
    last: Slot,
    current: Option<Arc<StoredRecord>>,
    has_told_unreachable: bool,
}

#[derive(Debug)]
struct Reading {
    place: TopicPartition,
    position: i64,
    leader_epoch: Option<LeaderEpoch>,
    is_paused: bool,
    is_deaf: bool,
    has_failed: bool,
    /// Where the end was told of last.
    end_told: Option<i64>,
}

/// What a turn of one partition brought.
enum Turn {
    Record(Arc<StoredRecord>),
    End(NextOffset),
    Failed(Error),
}

impl MemorySource {
    pub(super) fn new(cluster: MemoryCluster) -> Self {
        let (readings, last) = (BTreeMap::new(), Slot(u16::MAX));
        Self { cluster, readings, last, current: None, has_told_unreachable: false }
    }

    /// Nothing more comes of a slot until it is assigned again, and nobody is told, as the real client does when two of its
    /// barriers cross.
    pub fn lose_track(&mut self, slot: Slot) {
        if let Some(reading) = self.readings.get_mut(&slot) {
            reading.is_deaf = true;
        }
    }
}

impl Source for MemorySource {
    fn assign(&mut self, assignments: &[(Slot, TopicPartition, Position)]) -> Result<(), Error> {
        for (slot, place, position) in assignments {
            let reading = Reading {
                place: place.clone(),
                position: position.next_offset.0,
                leader_epoch: position.leader_epoch,
                is_paused: false,
                is_deaf: false,
                has_failed: false,
                end_told: None,
            };
            self.readings.insert(*slot, reading);
        }
        Ok(())
    }

    fn unassign(&mut self, slots: &[Slot]) -> Result<(), Error> {
        self.readings.retain(|slot, _| !slots.contains(slot));
        Ok(())
    }

    fn pause(&mut self, slot: Slot) -> Result<(), Error> {
        if let Some(reading) = self.readings.get_mut(&slot) {
            reading.is_paused = true;
        }
        Ok(())
    }

    fn resume(&mut self, slot: Slot) -> Result<(), Error> {
        if let Some(reading) = self.readings.get_mut(&slot) {
            reading.is_paused = false;
            // the fetcher starts over and tells of the end again (rd_kafka_toppar_fetch_decide)
            reading.end_told = None;
        }
        Ok(())
    }

    fn poll(&mut self, _wait: Duration) -> Option<Polled<'_>> {
        let state = self.cluster.state();
        if let Err(error) = state.reach() {
            let is_news = !std::mem::replace(&mut self.has_told_unreachable, true);
            return is_news.then_some(Polled::Failed { slot: None, error });
        }
        self.has_told_unreachable = false;
        let (slot, turn) = {
            let before = (Bound::Unbounded, Bound::Included(self.last));
            let mut turns: Vec<(Slot, &mut Reading)> = self.readings.iter_mut().map(|(&at, it)| (at, it)).collect();
            let split = turns.partition_point(|(slot, _)| std::ops::RangeBounds::contains(&before, slot));
            turns.rotate_left(split);
            turns.into_iter().find_map(|(slot, reading)| Some((slot, reading.advance(&state)?)))?
        };
        self.last = slot;
        Some(match turn {
            Turn::Record(record) => Polled::Record { slot, record: self.current.insert(record).as_record() },
            Turn::End(position) => Polled::End { slot, position },
            Turn::Failed(error) => Polled::Failed { slot: Some(slot), error },
        })
    }
}

impl Reading {
    /// Reads on by one step, or does nothing. The topic's id is not looked at: a topic created anew under the name is
    /// read on, as the real client does.
    fn advance(&mut self, state: &State) -> Option<Turn> {
        if self.is_paused || self.is_deaf || self.has_failed || state.is_stalled(&self.place) {
            return None;
        }
        if state.read_denied.contains(&self.place.topic) {
            return Some(self.fail(ErrorKind::TopicDenied));
        }
        let Some(log) = state.log(&self.place) else {
            return Some(self.fail(ErrorKind::UnknownTopic));
        };
        match log.find(self.position, self.leader_epoch) {
            Found::Record(record) => {
                self.position = record.offset + 1;
                self.leader_epoch = Some(record.leader_epoch);
                Some(Turn::Record(record))
            }
            Found::End(end) => {
                self.position = end;
                let is_news = self.end_told.replace(end) != Some(end);
                is_news.then_some(Turn::End(NextOffset(end)))
            }
            Found::Nothing => None,
            Found::OutOfRange => Some(self.fail(ErrorKind::OffsetOutOfRange)),
            Found::Truncated => Some(self.fail(ErrorKind::Truncated)),
        }
    }

    fn fail(&mut self, kind: ErrorKind) -> Turn {
        self.has_failed = true;
        Turn::Failed(error(kind, "read", format_args!("{} at {}", self.place, self.position)))
    }
}
