//! ISLAND. Which records of one partition are on their way, and up to where everything has arrived.
//!
//! ```text
//!   begin(7) begin(8) begin(9)      ack(8)           ack(7)            fail(9)
//!   [7 .] [8 .] [9 .]               [7 .] [8 x]      [9 .]             [9 !]   rewind() -> read again from 9
//!   floor 7                         floor 7          floor 9           floor 9
//! ```
//!
//! Invariant (D6): the floor never passes a record that is not acknowledged. Offsets only grow; holes between them
//! (compaction, control records) need no acknowledgement.

use std::collections::VecDeque;

use common::bug::{self, Bug};
use common::offsets::{LeaderEpoch, NextOffset, Position};

/// The records in flight of one partition.
#[derive(Debug)]
pub struct InFlight {
    /// Everything below has arrived, and this is where to read on from after a crash.
    floor: Position,
    /// One past the last record begun or passed.
    head: NextOffset,
    /// Begun and not below the floor, by offset. The front one is not done.
    entries: VecDeque<Entry>,
    /// Sum of the weights of the entries that are not done.
    bytes: usize,
    /// How many entries are not done.
    outstanding: usize,
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    leader_epoch: Option<LeaderEpoch>,
    weight: u32,
    done: bool,
}

impl InFlight {
    /// Nothing in flight; the next record to begin is at `start` or later.
    pub fn new(start: Position) -> Self {
        Self { floor: start, head: start.next_offset, entries: VecDeque::new(), bytes: 0, outstanding: 0 }
    }

    /// A record is about to be produced. `weight` is what it holds of the memory bound, in bytes.
    ///
    /// # Panics
    /// If the offset is not past all begun before it: the source must deliver each offset once, in order.
    pub fn begin(&mut self, offset: i64, leader_epoch: Option<LeaderEpoch>, weight: u32) {
        assert!(offset >= self.head.0, "offset {offset} begun after everything below {}", self.head);
        self.entries.push_back(Entry { offset, leader_epoch, weight, done: false });
        self.head = NextOffset::after(offset);
        self.bytes += weight as usize;
        self.outstanding += 1;
    }

    /// The record has arrived.
    ///
    /// # Panics
    /// If no such record is in flight: a delivery was counted for the wrong partition or twice.
    pub fn ack(&mut self, offset: i64) {
        let entry = self.settle(offset);
        entry.done = true;
        self.advance_floor();
    }

    /// The record will not arrive. It stays, so that the floor cannot pass it, until `rewind`.
    ///
    /// # Panics
    /// As `ack`.
    pub fn fail(&mut self, offset: i64) {
        self.settle(offset);
    }

    /// The source has nothing to read below `position`: holes count as passed once all before them has arrived.
    pub fn pass(&mut self, position: NextOffset) {
        if position <= self.head {
            return;
        }
        self.head = position;
        match self.entries.is_empty() {
            true => self.floor.next_offset = position,
            false => {
                let leader_epoch = self.entries.back().and_then(|last| last.leader_epoch);
                self.entries.push_back(Entry { offset: position.0 - 1, leader_epoch, weight: 0, done: true });
            }
        }
    }

    /// Forgets everything above the floor, to be read again from there.
    ///
    /// # Panics
    /// If anything is outstanding: its late delivery would be counted for a record begun anew.
    pub fn rewind(&mut self) -> Position {
        assert_eq!(self.outstanding, 0, "rewound while records are outstanding");
        self.entries.clear();
        self.bytes = 0;
        if bug::is(Bug::NoRewind) {
            self.floor.next_offset = self.head;
        }
        self.head = self.floor.next_offset;
        self.floor
    }

    /// Everything below has arrived: what may be stored.
    pub fn floor(&self) -> Position {
        if bug::is(Bug::CommitsAhead) {
            return Position { next_offset: self.head, ..self.floor };
        }
        self.floor
    }

    /// Whether all that was begun has arrived.
    pub fn is_settled(&self) -> bool {
        self.floor.next_offset == self.head
    }

    /// Records begun and neither acknowledged nor failed.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The weights of those records, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the entry at `offset` out of the outstanding ones. Acknowledgements come nearly in order, so the front is
    /// looked at first.
    fn settle(&mut self, offset: i64) -> &mut Entry {
        let index = match self.entries.front() {
            Some(front) if front.offset == offset => 0,
            _ => match self.entries.binary_search_by_key(&offset, |entry| entry.offset) {
                Ok(index) => index,
                Err(_) => panic!("offset {offset} settled, which is not in flight"),
            },
        };
        let entry = &mut self.entries[index];
        assert!(!entry.done, "offset {offset} settled twice");
        self.bytes -= entry.weight as usize;
        self.outstanding -= 1;
        entry.weight = 0;
        entry
    }

    fn advance_floor(&mut self) {
        while let Some(entry) = self.entries.front()
            && entry.done
        {
            let leader_epoch = entry.leader_epoch.or(self.floor.leader_epoch);
            self.floor = Position { next_offset: NextOffset::after(entry.offset), leader_epoch };
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "in_flight_test.rs"]
mod tests;
