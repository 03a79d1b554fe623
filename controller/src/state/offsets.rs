//! How far partitions had been stored when the leader noted it last.
//!
//! Owns a slow copy of what lives in Kafka, for the one case that Kafka forgets: brokers drop an offset that nobody stores
//! again for `offsets.retention.minutes`, and a partition can be paused for longer. It never decides where a partition with
//! a stored offset goes on.
//!
//! ```text
//!   Progress --(a minute or more)--> NoteOffsets --> Slot::noted_offset --Grant--> a claim that finds nothing stored
//! ```

use std::collections::BTreeMap;

use common::ids::{Epoch, Partition, RouteName, RoutePartition, TopicId, TopicName};
use common::offsets::{NextOffset, OptionalOffset, StartPosition};
use serde::{Deserialize, Serialize};

use super::State;
use super::outcome::Rejection;
use super::slots::{Life, wrong_life};
use super::topics::PartitionFacts;

/// An offset that an owner has stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotedOffset {
    /// Of which partition.
    pub partition: RoutePartition,
    /// Under which epoch it was stored.
    pub epoch: Epoch,
    /// The offset.
    pub stored: NextOffset,
}

impl State {
    /// Notes an offset.
    pub(super) fn note_offset(&mut self, noted: &NotedOffset) -> Result<(), Rejection> {
        self.check_noted(noted)?;
        let slot = self.slots.get_mut(&noted.partition).expect("checked");
        slot.noted_offset = Some(noted.stored).into();
        Ok(())
    }

    /// Whether an offset may be noted. Of a partition that was taken back nothing more is: its topic may be another one by now.
    /// And nothing of a topic without an id: it would be taken for the next one of its name.
    pub fn check_noted(&self, noted: &NotedOffset) -> Result<(), Rejection> {
        let NotedOffset { partition: id, epoch, .. } = noted;
        let slot = self.slots.get(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        match slot.life {
            Life::Assigned { epoch: granted, .. } if granted == *epoch => {}
            life => return Err(wrong_life(id, life)),
        }
        let facts = self.topic(&id.route, &id.topic)?.facts;
        match facts.is_some_and(|facts| facts.source_topic_id != TopicId::NONE) {
            true => Ok(()),
            false => Err(Rejection::NoTopicId(id.clone())),
        }
    }

    /// A source topic was created again, or added again: what is known of offsets, and where its partitions were to begin, was
    /// meant for the one before. What the look calls new begins where that says, all else at its first record.
    pub(super) fn forget_offsets(
        &mut self,
        route: &RouteName,
        topic: &TopicName,
        new_partitions: &BTreeMap<Partition, PartitionFacts>,
    ) {
        let ids: Vec<RoutePartition> = self.slots_of(route, topic).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let slot = self.slots.get_mut(&id).expect("just listed");
            slot.start = new_partitions.get(&id.partition).map_or(StartPosition::Earliest, |facts| facts.start);
            slot.noted_offset = OptionalOffset::NONE;
        }
    }
}
