//! A group's offsets, by a consumer of that group that never joins it.

use std::time::Duration;

use common::ids::{Partition, TopicName, TopicPartition};
use common::offsets::{LeaderEpoch, NextOffset};

use super::errors;
use crate::error::{Error, ErrorKind};
use crate::ffi::client::Client;
use crate::ffi::code::{Code, Failure};
use crate::ffi::partitions::{Element, PartitionList};
use crate::ffi::{admin, group};
use crate::offsets::{GroupOffset, OffsetStore};

/// How long an answer is waited for. A store is asked again soon, and its thread has other things to do meanwhile.
const ANSWER_WAIT: Duration = Duration::from_secs(8);

/// Makes a client for the group.
type MakeClient = Box<dyn Fn() -> Result<Client, Error> + Send>;

/// The offsets of one group.
pub struct LibrdkafkaOffsets {
    client: Client,
    make_client: MakeClient,
    group: String,
}

impl LibrdkafkaOffsets {
    pub(super) fn new(make_client: MakeClient, group: &str) -> Result<Self, Error> {
        Ok(Self { client: make_client()?, make_client, group: group.to_owned() })
    }

    /// The group's offsets of every partition that there is. librdkafka's mock brokers answer the question for all
    /// offsets with none, and a group that holds none is a first start: so none is believed only when asked for each.
    fn ask_for_each(&self) -> Result<PartitionList, Failure> {
        let topics = admin::metadata(&self.client, true, ANSWER_WAIT)?.topics;
        let mut list = PartitionList::with_capacity(topics.len());
        for (topic, partitions) in topics {
            (0..partitions).filter_map(|number| i32::try_from(number).ok()).for_each(|number| list.add(&topic, number));
        }
        if !list.is_empty() {
            group::committed(&self.client, &mut list, ANSWER_WAIT)?;
        }
        Ok(list)
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
        let mut answer = group::list_offsets(&self.client, &self.group, ANSWER_WAIT);
        if answer.as_ref().is_err_and(|failure| failure.code == Code::NOT_COORDINATOR) {
            // The client never forgets the coordinator that it asks such questions (`rdkafka_coord.c`).
            self.client = (self.make_client)()?;
            answer = group::list_offsets(&self.client, &self.group, ANSWER_WAIT);
        }
        let list = match answer {
            Ok(list) if list.is_empty() => self.ask_for_each(),
            answer => answer,
        };
        let list = list.map_err(|failure| self.error("listing", &failure))?;
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
        let Err(failure) = group::commit(&self.client, &list, ANSWER_WAIT) else {
            return Ok(offsets.iter().map(|_| Ok(())).collect());
        };
        if !is_of_one_partition(&failure) {
            return Err(self.error("committing", &failure));
        }
        // The client blames all partitions for one (`rd_kafka_cgrp_update_committed_offsets`): see what was stored.
        let places: Vec<_> = offsets.iter().map(|(place, _)| place.clone()).collect();
        let stored = self.read(&places)?;
        let outcome = |((place, offset), stored): (&(TopicPartition, GroupOffset), &Option<GroupOffset>)| {
            let doing = format_args!("committing the offset of {place} of group {}", self.group);
            if stored.as_ref() == Some(offset) { Ok(()) } else { Err(errors::error(doing, &failure)) }
        };
        Ok(offsets.iter().zip(&stored).map(outcome).collect())
    }
}

/// Whether a commit's failure may be that of one partition.
fn is_of_one_partition(failure: &Failure) -> bool {
    match errors::kind(failure.code) {
        ErrorKind::UnknownTopic | ErrorKind::TopicDenied => true,
        _ => failure.code == Code::OFFSET_METADATA_TOO_LARGE || failure.code == Code::INVALID_COMMIT_OFFSET_SIZE,
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
