//! A group's offsets, as one process sees them: each look and each store is told to the checks.

use common::ids::TopicPartition;
use kafka::error::Error;
use kafka::memory::CommitFault;
use kafka::offsets::{GroupOffset, OffsetStore};

use super::View;
use crate::checks::copies::rank;
use crate::world::lock;

/// Offsets that may be out of reach, and whose commits may fail.
pub struct ViewedOffsets {
    pub(super) view: View,
    pub(super) cluster: String,
    pub(super) group: String,
    pub(super) inner: Box<dyn OffsetStore>,
}

impl ViewedOffsets {
    /// How the next commit fails, if it does.
    fn fault(&self) -> Option<CommitFault> {
        let brokers = &self.view.brokers;
        let mut trouble = lock(&brokers.trouble);
        let rate = trouble.commits;
        if !trouble.dice.hits(rate) {
            return None;
        }
        let fault = trouble.dice.pick(&[CommitFault::Lost, CommitFault::Unknown, CommitFault::Late])?;
        brokers.world.bit("commit-fault");
        lock(&brokers.copies).set_unwell(&self.view.process.host, brokers.world.now());
        if fault == CommitFault::Late {
            let due = brokers.world.now() + trouble.dice.millis(50, 4_000);
            trouble.late_at.get_or_insert(due);
        }
        Some(fault)
    }
}

impl OffsetStore for ViewedOffsets {
    fn read(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<GroupOffset>>, Error> {
        self.view.reach(&self.cluster)?;
        let offsets = self.inner.read(partitions)?;
        let mut copies = lock(&self.view.brokers.copies);
        for (partition, offset) in partitions.iter().zip(&offsets) {
            copies.read(&self.view.process, partition, offset.as_ref());
        }
        Ok(offsets)
    }

    fn read_all(&mut self) -> Result<Vec<(TopicPartition, GroupOffset)>, Error> {
        self.view.reach(&self.cluster)?;
        self.inner.read_all()
    }

    fn commit(&mut self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<Vec<Result<(), Error>>, Error> {
        self.view.reach(&self.cluster)?;
        let fault = self.fault();
        let source = &self.view.brokers.source;
        fault.into_iter().for_each(|fault| source.fail_commit(fault));
        let stored = |(place, _): &(TopicPartition, GroupOffset)| {
            source.group_offset(&self.group, place.topic.as_str(), place.partition.0)
        };
        let before: Vec<Option<GroupOffset>> = offsets.iter().map(stored).collect();
        let outcomes = self.inner.commit(offsets);
        let is_known = outcomes.is_ok();
        let mut copies = lock(&self.view.brokers.copies);
        for (index, (partition, offset)) in offsets.iter().enumerate() {
            let is_stored = match (&outcomes, fault) {
                (Ok(outcomes), _) => outcomes[index].is_ok(),
                (Err(_), fault) => fault == Some(CommitFault::Unknown),
            };
            if let Some(earlier) = before[index]
                .as_ref()
                .filter(|before| is_stored && rank(before).is_some() && rank(before) < rank(offset))
            {
                self.view.brokers.stored_over(&self.group, partition, earlier);
            }
            if is_stored {
                copies.stored(&self.view.process, partition, offset, before[index].as_ref(), is_known);
            }
        }
        outcomes
    }
}
