//! The consumer of one lane.
//!
//! A partition is in the client's assignment exactly while its slot is `Reading`: an error takes it out, so that nothing
//! more comes from it, also where the client would go on by itself (it skips a corrupt batch).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use common::ids::{Partition, TopicName, TopicPartition};
use common::offsets::{NextOffset, Position};
use tracing::debug;

use super::topics::Topics;
use super::{clients, errors};
use crate::error::{Error, ErrorKind};
use crate::ffi::client::Client;
use crate::ffi::code::{Code, Failure};
use crate::ffi::event::Trouble;
use crate::ffi::fetched::TopicKey;
use crate::ffi::partitions::PartitionList;
use crate::ffi::reader::{Polled as Raw, Reader};
use crate::record::Slot;
use crate::source::{Polled, Source};

/// A consumer without a group.
#[derive(Debug)]
pub struct LibrdkafkaSource {
    reader: Reader,
    slots: Vec<Option<Reading>>,
    slot_of: BTreeMap<TopicPartition, Slot>,
    /// Slots by what a record says of its origin. Emptied when the assignment changes: a `TopicKey` may come again for
    /// another topic.
    origins: HashMap<(TopicKey, i32), Slot>,
    last_origin: Option<(TopicKey, i32, Slot)>,
    topics: Topics,
}

/// A partition that is read.
#[derive(Debug)]
struct Reading {
    place: TopicPartition,
    number: i32,
    /// Where it stands: behind the last record or end returned.
    position: Position,
    /// Whether an error of the position is known to be of this assignment, not a late one of an earlier one.
    is_confirmed: bool,
    is_paused: bool,
}

impl LibrdkafkaSource {
    pub(super) fn new(client: Client) -> Self {
        Self {
            reader: Reader::new(client),
            slots: Vec::new(),
            slot_of: BTreeMap::new(),
            origins: HashMap::new(),
            last_origin: None,
            topics: Topics::new(),
        }
    }

    fn forget_origins(&mut self) {
        self.origins.clear();
        self.last_origin = None;
    }

    /// Takes slots out of the client's assignment.
    fn take_out(&mut self, slots: &[Slot]) -> Result<(), Error> {
        let mut list = PartitionList::with_capacity(slots.len());
        let mut paused = PartitionList::with_capacity(0);
        for slot in slots {
            let Some(reading) = self.slots.get_mut(usize::from(slot.0)).and_then(Option::take) else { continue };
            self.slot_of.remove(&reading.place);
            list.add(reading.place.topic.as_str(), reading.number);
            if reading.is_paused {
                paused.add(reading.place.topic.as_str(), reading.number);
            }
        }
        if list.is_empty() {
            return Ok(());
        }
        self.forget_origins();
        self.topics.forget(slots);
        // The client remembers over assignments that a partition is paused.
        if !paused.is_empty() {
            let resumed = self.reader.client().resume(&mut paused);
            resumed.map_err(|failure| errors::error("resuming partitions that are no longer read", &failure))?;
        }
        let outcome = self.reader.client().incremental_unassign(&list);
        outcome.map_err(|failure| errors::error("no longer reading partitions", &failure))
    }

    #[inline]
    fn slot_of_origin(&mut self, topic: TopicKey, partition: i32) -> Option<Slot> {
        match self.last_origin {
            Some((last_topic, last_partition, slot)) if last_topic == topic && last_partition == partition => {
                Some(slot)
            }
            _ => self.find_origin(topic, partition),
        }
    }

    fn find_origin(&mut self, topic: TopicKey, partition: i32) -> Option<Slot> {
        let slot = match self.origins.get(&(topic, partition)) {
            Some(slot) => *slot,
            None => {
                let slot = self.slot_of_name(&self.reader.topic()?, partition)?;
                self.origins.insert((topic, partition), slot);
                slot
            }
        };
        self.last_origin = Some((topic, partition, slot));
        Some(slot)
    }

    fn slot_of_name(&self, topic: &str, partition: i32) -> Option<Slot> {
        let partition = Partition(u32::try_from(partition).ok()?);
        self.slot_of.get(&TopicPartition::new(TopicName::new(topic).ok()?, partition)).copied()
    }

    /// What an error means; `None` for one that concerns nobody.
    fn trouble(&mut self, trouble: &Trouble) -> Option<Polled<'static>> {
        let failure = &trouble.failure;
        let Some(place) = &trouble.place else {
            if failure.code == Code::GROUP_AUTHORIZATION_FAILED {
                // The client wants a group, but this one is never used.
                debug!(error = &*failure.text, "ignored an error of the reader's group");
                return None;
            }
            return Some(Polled::Failed { slot: None, error: Error::new(errors::kind(failure.code), &failure.text) });
        };
        let slot = self.slot_of_name(&place.topic, place.partition)?;
        let reading = self.slots[usize::from(slot.0)].as_mut().expect("a slot that is found by name is assigned");
        if failure.code == Code::PARTITION_EOF {
            reading.is_confirmed = true;
            reading.position.next_offset = NextOffset(place.offset);
            return Some(Polled::End { slot, position: NextOffset(place.offset) });
        }
        if failure.code == Code::AUTO_OFFSET_RESET && !reading.is_confirmed {
            return self.confirm(slot);
        }
        self.fail(slot, failure)
    }

    /// Reads a partition once more from where it stands. The client's error of an unusable position is the one thing
    /// that carries no version: it may be left over from before the last assignment.
    fn confirm(&mut self, slot: Slot) -> Option<Polled<'static>> {
        let reading = self.slots[usize::from(slot.0)].as_ref().expect("the slot is assigned");
        let again = (slot, reading.place.clone(), reading.position);
        let was_paused = reading.is_paused;
        let outcome = self.assign(&[again]).and_then(|()| if was_paused { self.pause(slot) } else { Ok(()) });
        if let Some(reading) = self.slots.get_mut(usize::from(slot.0)).and_then(Option::as_mut) {
            reading.is_confirmed = true;
        }
        outcome.err().map(|error| Polled::Failed { slot: Some(slot), error })
    }

    /// Takes a partition out, since it can't be read on.
    fn fail(&mut self, slot: Slot, failure: &Failure) -> Option<Polled<'static>> {
        if let Some(reading) = &self.slots[usize::from(slot.0)] {
            self.topics.doubt(&reading.place.topic);
        }
        if let Err(error) = self.take_out(&[slot]) {
            debug!(%error, "a partition that failed stays assigned");
        }
        // A truncated log is reported as an unusable position too; only the text tells (`rd_kafka_offset_reset`).
        let is_truncated =
            failure.code == Code::LOG_TRUNCATION || failure.text.contains(&Code::LOG_TRUNCATION.to_string());
        let kind = if is_truncated { ErrorKind::Truncated } else { errors::kind(failure.code) };
        Some(Polled::Failed { slot: Some(slot), error: Error::new(kind, &failure.text) })
    }

    /// The list of one assigned slot.
    fn list_of(&mut self, slot: Slot, is_paused: bool) -> Option<PartitionList> {
        let reading = self.slots.get_mut(usize::from(slot.0))?.as_mut()?;
        reading.is_paused = is_paused;
        let mut list = PartitionList::with_capacity(1);
        list.add(reading.place.topic.as_str(), reading.number);
        Some(list)
    }
}

impl Source for LibrdkafkaSource {
    fn assign(&mut self, assignments: &[(Slot, TopicPartition, Position)]) -> Result<(), Error> {
        self.topics.learn(self.reader.client(), assignments.iter().map(|(_, place, _)| place));
        let slots: Vec<Slot> = assignments.iter().map(|(slot, ..)| *slot).collect();
        self.take_out(&slots)?;
        let mut list = PartitionList::with_capacity(assignments.len());
        let mut with_epoch = PartitionList::with_capacity(0);
        for (slot, place, position) in assignments {
            let number = clients::partition_number(place)?;
            let (topic, offset) = (place.topic.as_str(), position.next_offset.0);
            list.add_position(topic, number, offset, position.leader_epoch.map_or(-1, |epoch| epoch.0));
            if let Some(epoch) = position.leader_epoch {
                with_epoch.add_position(topic, number, offset, epoch.0);
            }
            let other = self.slot_of.insert(place.clone(), *slot);
            assert_eq!(other, None, "{place} is assigned to another slot already");
            let index = usize::from(slot.0);
            if self.slots.len() <= index {
                self.slots.resize_with(index + 1, || None);
            }
            self.topics.watch(*slot, place);
            let (place, position) = (place.clone(), *position);
            self.slots[index] = Some(Reading { place, number, position, is_confirmed: false, is_paused: false });
        }
        self.forget_origins();
        let client = self.reader.client();
        let mut outcome = client.incremental_assign(&list);
        if outcome.is_ok() && !with_epoch.is_empty() {
            // An assignment alone does not notice that the log was truncated below its position.
            outcome = client.seek(&mut with_epoch);
        }
        outcome.map_err(|failure| {
            // None of them is in the client's assignment, or the client is of no use.
            self.topics.forget(&slots);
            for slot in slots {
                if let Some(reading) = self.slots[usize::from(slot.0)].take() {
                    self.slot_of.remove(&reading.place);
                }
            }
            errors::error("starting to read partitions", &failure)
        })
    }

    fn unassign(&mut self, slots: &[Slot]) -> Result<(), Error> {
        self.take_out(slots)
    }

    fn pause(&mut self, slot: Slot) -> Result<(), Error> {
        let Some(mut list) = self.list_of(slot, true) else { return Ok(()) };
        let outcome = self.reader.client().pause(&mut list);
        outcome.map_err(|failure| errors::error("pausing a partition", &failure))
    }

    fn resume(&mut self, slot: Slot) -> Result<(), Error> {
        let Some(mut list) = self.list_of(slot, false) else { return Ok(()) };
        let outcome = self.reader.client().resume(&mut list);
        outcome.map_err(|failure| errors::error("resuming a partition", &failure))
    }

    fn poll(&mut self, wait: Duration) -> Option<Polled<'_>> {
        if !self.topics.are_resolved()
            && let Some((slot, failure)) = self.topics.given_up(self.reader.client())
        {
            return self.fail(slot, &failure);
        }
        let mut wait = wait;
        let slot = loop {
            match self.reader.poll(wait)? {
                Raw::Record { topic, partition, code: Code::NONE, .. } => {
                    if let Some(slot) = self.slot_of_origin(topic, partition) {
                        break slot;
                    }
                }
                // Records with an error don't come from this queue; if one did, its partition must not go on.
                Raw::Record { topic, partition, offset, code } => {
                    if let Some(slot) = self.slot_of_origin(topic, partition) {
                        let text = format!("the record at offset {offset} cannot be read: {code}");
                        return self.fail(slot, &Failure { code, text });
                    }
                }
                Raw::Trouble(trouble) => {
                    if let Some(polled) = self.trouble(&trouble) {
                        return Some(polled);
                    }
                }
                Raw::Other => {}
            }
            // What concerned nobody has used up some of the wait.
            wait = Duration::ZERO;
        };
        let record = self.reader.record()?;
        if let Some(reading) = &mut self.slots[usize::from(slot.0)] {
            reading.is_confirmed = true;
            reading.position =
                Position { next_offset: NextOffset::after(record.offset), leader_epoch: record.leader_epoch };
        }
        Some(Polled::Record { slot, record })
    }
}
