//! A group's offsets, by a consumer of that group that never joins it.

use std::time::Duration;

use common::ids::{Partition, TopicName, TopicPartition};
use common::offsets::{LeaderEpoch, NextOffset};

use super::errors;
use crate::error::{Error, ErrorKind};
use crate::ffi::client::Client;
use crate::ffi::code::{Code, Failure};
use crate::ffi::group;
use crate::ffi::partitions::{Element, PartitionList};
use crate::offsets::{GroupOffset, OffsetStore};

/// How long an answer is waited for. A store is asked again soon, and its thread has other things to do meanwhile.
const ANSWER_WAIT: Duration = Duration::from_secs(8);

/// The offsets of one group.
#[derive(Debug)]
pub struct LibrdkafkaOffsets {
    client: Client,
    group: String,
}

impl LibrdkafkaOffsets {
    pub(super) fn new(client: Client, group: &str) -> Self {
        Self { client, group: group.to_owned() }
    }

    fn error(&self, doing: &str, failure: &Failure) -> Error {
        errors::error(format_args!("{doing} the offsets of group {}", self.group), failure)
    }
}

impl OffsetStore for LibrdkafkaOffsets {
    fn read(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<GroupOffset>>, Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = PartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add(partition.topic.as_str(), number(partition)?);
        }
        group::committed(&self.client, &mut list, ANSWER_WAIT).map_err(|failure| self.error("reading", &failure))?;
        // An element of a missing topic has no offset and no error, as one without a commit.
        list.elements()
            .map(|element| match element.code {
                Code::NONE | Code::UNKNOWN_TOPIC_OR_PART | Code::UNKNOWN_TOPIC | Code::UNKNOWN_PARTITION => {
                    Ok(group_offset(&element))
                }
                code => {
                    let doing = format!("reading the offset of {}/{} of", element.topic, element.partition);
                    Err(errors::error(format_args!("{doing} group {}", self.group), &Failure::of(code)))
                }
            })
            .collect()
    }

    fn read_all(&mut self) -> Result<Vec<(TopicPartition, GroupOffset)>, Error> {
        let list = group::list_offsets(&self.client, &self.group, ANSWER_WAIT)
            .map_err(|failure| self.error("listing", &failure))?;
        let mut all = Vec::with_capacity(list.len());
        for element in list.elements() {
            let failed = |text: String| self.error("listing", &Failure { code: element.code, text });
            Failure::check(element.code).map_err(|failure| failed(failure.text))?;
            let topic = TopicName::new(&element.topic).map_err(|error| failed(error.to_string()))?;
            let partition = u32::try_from(element.partition).map_err(|error| failed(error.to_string()))?;
            if let Some(offset) = group_offset(&element) {
                all.push((TopicPartition::new(topic, Partition(partition)), offset));
            }
        }
        Ok(all)
    }

    fn commit(&mut self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<Vec<Result<(), Error>>, Error> {
        if offsets.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = PartitionList::with_capacity(offsets.len());
        for (place, offset) in offsets {
            let epoch = offset.leader_epoch.map_or(-1, |epoch| epoch.0);
            let (topic, partition) = (place.topic.as_str(), number(place)?);
            list.add_commit(topic, partition, offset.next_offset.0, epoch, &offset.metadata);
        }
        let (outcomes, failure) =
            group::commit(&self.client, &list, ANSWER_WAIT).map_err(|failure| self.error("committing", &failure))?;
        let outcomes: Vec<_> = outcomes.elements().collect();
        assert_eq!(outcomes.len(), offsets.len(), "the outcomes of a commit match what was committed");
        // The request's failure is that of a partition when a partition has one, else that of all.
        if let Some(failure) = failure
            && (outcomes.iter().all(|outcome| outcome.code == Code::NONE)
                || errors::kind(failure.code) == ErrorKind::GroupHasMembers)
        {
            return Err(self.error("committing", &failure));
        }
        let outcome = |outcome: &Element| {
            let doing = format!("committing the offset of {}/{} of", outcome.topic, outcome.partition);
            Failure::check(outcome.code)
                .map_err(|failure| errors::error(format_args!("{doing} group {}", self.group), &failure))
        };
        Ok(outcomes.iter().map(outcome).collect())
    }
}

fn group_offset(element: &Element) -> Option<GroupOffset> {
    (element.offset >= 0).then(|| GroupOffset {
        next_offset: NextOffset(element.offset),
        leader_epoch: (element.leader_epoch >= 0).then_some(LeaderEpoch(element.leader_epoch)),
        metadata: String::from_utf8_lossy(&element.metadata).into_owned(),
    })
}

fn number(place: &TopicPartition) -> Result<i32, Error> {
    super::clients::partition_number(place)
}
