//! The consumer of one lane.
//!
//! A partition is in the client's assignment exactly while its slot is `Reading`: an error takes it out, so that nothing
//! more comes from it, also where the client would go on by itself (it skips a corrupt batch).

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use std::{slice, thread};

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

/// How long the client may take to begin to read, which takes it no request: a hundred times longer than a busy machine does.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// How soon it is asked again whether it has.
const BEGINS_IN: Duration = Duration::from_millis(1);

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
    /// Partitions that the client refused to read, not yet told.
    refused: Vec<(Slot, Error)>,
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
            refused: Vec::new(),
        }
    }

    fn forget_origins(&mut self) {
        self.origins.clear();
        self.last_origin = None;
    }

    /// Forgets a slot, but not what is known of origins.
    fn forget(&mut self, slot: Slot) -> Option<Reading> {
        let reading = self.slots.get_mut(usize::from(slot.0))?.take()?;
        self.slot_of.remove(&reading.place);
        Some(reading)
    }

    /// Takes slots out of the client's assignment.
    fn take_out(&mut self, slots: &[Slot]) -> Result<(), Error> {
        self.refused.retain(|(slot, _)| !slots.contains(slot));
        let mut list = PartitionList::with_capacity(slots.len());
        let mut paused = PartitionList::with_capacity(0);
        for slot in slots {
            let Some(reading) = self.forget(*slot) else { continue };
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
        if !paused.is_empty()
            && let Err(failure) = self.reader.client().resume(&mut paused)
        {
            // one that the client does not know, so that it does not remember it as paused either
            debug!(error = &*failure.text, "a partition that is no longer read was not resumed");
        }
        let client = self.reader.client();
        if client.incremental_unassign(&list).is_ok() {
            return Ok(());
        }
        // Refused for one of them: the others go all the same, and one that is not there is gone already.
        let alone = list.elements().map(|element| {
            let mut one = PartitionList::with_capacity(1);
            one.add(&element.topic, element.partition);
            client.incremental_unassign(&one)
        });
        let failure = alone.filter_map(Result::err).fold(None, |first, failure| match failure.code {
            Code::INVALID_ARG => first,
            _ => first.or(Some(failure)),
        });
        failure.map_or(Ok(()), |failure| Err(errors::error("no longer reading partitions", &failure)))
    }

    /// Puts slots into the client's assignment: all of them or, with an error, none.
    fn put_in(&self, slots: &[Slot]) -> Result<(), Failure> {
        let mut list = PartitionList::with_capacity(slots.len());
        let mut with_epoch = PartitionList::with_capacity(0);
        for reading in slots.iter().filter_map(|slot| self.slots[usize::from(slot.0)].as_ref()) {
            let (topic, offset) = (reading.place.topic.as_str(), reading.position.next_offset.0);
            let epoch = reading.position.leader_epoch.map_or(-1, |epoch| epoch.0);
            list.add_position(topic, reading.number, offset, epoch);
            if reading.position.leader_epoch.is_some() {
                with_epoch.add_position(topic, reading.number, offset, epoch);
            }
        }
        let client = self.reader.client();
        client.incremental_assign(&list)?;
        if with_epoch.is_empty() {
            return Ok(());
        }
        self.check_epochs(&mut with_epoch).inspect_err(|_| drop(client.incremental_unassign(&list)))
    }

    /// Has the broker check that positions were written under their leader epochs: an assignment alone does not notice that
    /// the log was truncated below one. The client refuses until it has begun to read, and that begins only once it has
    /// stopped what it read before.
    fn check_epochs(&self, list: &mut PartitionList) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            match self.reader.client().seek(list, BEGINS_WITHIN) {
                Err(Failure { code: Code::STATE | Code::PREV_IN_PROGRESS, .. }) if begun.elapsed() < BEGINS_WITHIN => {
                    thread::sleep(BEGINS_IN);
                }
                outcome => return outcome,
            }
        }
    }

    /// As `put_in` for one slot, also if the client still has its partition from before.
    fn put_in_alone(&self, slot: Slot) -> Result<(), Failure> {
        self.put_in(&[slot]).or_else(|failure| {
            let Some(reading) = &self.slots[usize::from(slot.0)] else { return Ok(()) };
            let mut list = PartitionList::with_capacity(1);
            list.add(reading.place.topic.as_str(), reading.number);
            self.reader.client().incremental_unassign(&list).map_err(|_| failure)?;
            self.put_in(&[slot])
        })
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
            assert!(place.offset >= 0, "{} ends at {}", reading.place, place.offset);
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
        if let Err(error) = self.take_out(&slots) {
            debug!(%error, "partitions that are read anew stay assigned");
        }
        let mut taken = Vec::with_capacity(slots.len());
        for (slot, place, position) in assignments {
            let number = match clients::partition_number(place) {
                Ok(number) => number,
                Err(error) => {
                    self.refused.push((*slot, error));
                    continue;
                }
            };
            let other = self.slot_of.insert(place.clone(), *slot);
            assert_eq!(other, None, "{place} is assigned to another slot already");
            let index = usize::from(slot.0);
            if self.slots.len() <= index {
                self.slots.resize_with(index + 1, || None);
            }
            self.topics.watch(*slot, place);
            let (place, position) = (place.clone(), *position);
            self.slots[index] = Some(Reading { place, number, position, is_confirmed: false, is_paused: false });
            taken.push(*slot);
        }
        self.forget_origins();
        if self.put_in(&taken).is_ok() {
            return Ok(());
        }
        // Refused for one of them: the others are read all the same.
        for slot in taken {
            if let Err(failure) = self.put_in_alone(slot) {
                self.forget(slot);
                self.topics.forget(slice::from_ref(&slot));
                self.refused.push((slot, errors::error("starting to read a partition", &failure)));
            }
        }
        Ok(())
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
        if let Some((slot, error)) = self.refused.pop() {
            return Some(Polled::Failed { slot: Some(slot), error });
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

#[cfg(test)]
mod tests {
    use common::config::ClusterConfig;
    use common::ids::ClusterName;

    use super::*;
    use crate::clients::Clients;
    use crate::source::SourceBounds;

    /// Of a cluster that is not there, since this is about the client alone.
    fn source() -> LibrdkafkaSource {
        let properties = [("bootstrap.servers", "127.0.0.1:1")].into_iter().collect();
        let cluster = ClusterConfig { name: ClusterName::new("nowhere").unwrap(), properties };
        clients::LibrdkafkaClients.source(&cluster, SourceBounds { queued_bytes: 1 << 20 }).unwrap()
    }

    fn at(slot: u16, partition: u32, offset: i64) -> (Slot, TopicPartition, Position) {
        let place = TopicPartition::new(TopicName::new("t").unwrap(), Partition(partition));
        (Slot(slot), place, Position::at(NextOffset(offset)))
    }

    fn list(partition: i32) -> PartitionList {
        let mut list = PartitionList::with_capacity(1);
        list.add("t", partition);
        list
    }

    /// The slots that are read, and those that failed.
    fn told(source: &mut LibrdkafkaSource) -> (Vec<u16>, Vec<(u16, ErrorKind)>) {
        let mut failed = Vec::new();
        while let Some(polled) = source.poll(Duration::ZERO) {
            match polled {
                Polled::Failed { slot: Some(slot), error } => failed.push((slot.0, error.kind)),
                Polled::Failed { slot: None, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        failed.sort_by_key(|(slot, _)| *slot);
        let mut read: Vec<u16> = source.slot_of.values().map(|slot| slot.0).collect();
        read.sort_unstable();
        (read, failed)
    }

    #[test]
    fn a_partition_that_is_refused_fails_alone() {
        let mut source = source();
        source.assign(&[at(0, 0, 0), at(1, u32::MAX, 0), at(2, 2, -5), at(3, 3, 0)]).unwrap();
        let refused = vec![(1, ErrorKind::UnknownTopic), (2, ErrorKind::Config)];
        assert_eq!(told(&mut source), (vec![0, 3], refused));
        source.assign(&[at(1, 1, 0), at(2, 2, 0)]).unwrap();
        assert_eq!(told(&mut source), (vec![0, 1, 2, 3], vec![]));
    }

    #[test]
    fn what_the_client_lost_or_kept_is_taken_out_and_read_anew() {
        let mut source = source();
        source.assign(&[at(0, 0, 0), at(1, 1, 0)]).unwrap();
        source.pause(Slot(1)).unwrap();
        source.reader.client().incremental_unassign(&list(0)).unwrap();
        source.unassign(&[Slot(0), Slot(1)]).unwrap();
        assert_eq!(told(&mut source), (vec![], vec![]));
        source.reader.client().incremental_assign(&list(0)).unwrap();
        source.assign(&[at(0, 0, 0), at(1, 1, 0)]).unwrap();
        assert_eq!(told(&mut source), (vec![0, 1], vec![]));
        source.reader.client().incremental_unassign(&list(1)).unwrap();
        source.assign(&[at(0, 1, 0), at(1, 0, 0)]).unwrap();
        assert_eq!(told(&mut source), (vec![0, 1], vec![]));
    }
}
