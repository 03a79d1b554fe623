//! A group's offsets on a cluster in memory.

use common::ids::TopicPartition;

use crate::error::{Error, ErrorKind};
use crate::memory::cluster::MemoryCluster;
use crate::memory::faults::CommitFault;
use crate::memory::state::{State, error};
use crate::offsets::{GroupOffset, OffsetStore};

/// The longest commit metadata (`offset.metadata.max.bytes`, a broker's default).
const METADATA_BYTES_MAX: usize = 4096;

/// The offsets of one group on a cluster in memory.
#[derive(Debug)]
pub struct MemoryOffsets {
    cluster: MemoryCluster,
    group: String,
}

impl MemoryOffsets {
    pub(super) fn new(cluster: MemoryCluster, group: &str) -> Self {
        Self { cluster, group: group.to_owned() }
    }

    fn check_access(&self, state: &State) -> Result<(), Error> {
        state.reach()?;
        if state.groups.get(&self.group).is_some_and(|group| group.is_denied) {
            return Err(error(ErrorKind::GroupDenied, "use group", &self.group));
        }
        Ok(())
    }
}

impl OffsetStore for MemoryOffsets {
    fn read(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<GroupOffset>>, Error> {
        let state = self.cluster.state();
        self.check_access(&state)?;
        let offsets = state.groups.get(&self.group).map(|group| &group.offsets);
        Ok(partitions.iter().map(|partition| offsets?.get(partition).cloned()).collect())
    }

    fn read_all(&mut self) -> Result<Vec<(TopicPartition, GroupOffset)>, Error> {
        let state = self.cluster.state();
        self.check_access(&state)?;
        let offsets = state.groups.get(&self.group).into_iter().flat_map(|group| &group.offsets);
        Ok(offsets.map(|(partition, offset)| (partition.clone(), offset.clone())).collect())
    }

    fn commit(&mut self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut state = self.cluster.state();
        self.check_access(&state)?;
        let fault = draw_fault(&mut state);
        let unreachable = || error(ErrorKind::Unreachable, "store offsets of group", &self.group);
        if fault == Some(CommitFault::Lost) {
            return Err(unreachable());
        }
        if fault == Some(CommitFault::Late) {
            let late =
                offsets.iter().map(|(partition, offset)| (self.group.clone(), partition.clone(), offset.clone()));
            state.late_commits.extend(late);
            return Err(unreachable());
        }
        if state.groups.get(&self.group).is_some_and(|group| !group.members.is_empty()) {
            return Err(error(ErrorKind::GroupHasMembers, "store offsets of group", &self.group));
        }
        let outcomes = offsets.iter().map(|(partition, offset)| store(&mut state, &self.group, partition, offset));
        let outcomes = outcomes.collect();
        if fault == Some(CommitFault::Unknown) { Err(unreachable()) } else { Ok(outcomes) }
    }
}

fn draw_fault(state: &mut State) -> Option<CommitFault> {
    if let Some(fault) = state.commit_faults.pop_front() {
        return Some(fault);
    }
    if state.dice.hits(state.faults.commit_lost) {
        return Some(CommitFault::Lost);
    }
    state.dice.hits(state.faults.commit_unknown).then_some(CommitFault::Unknown)
}

pub(super) fn store(
    state: &mut State,
    group: &str,
    partition: &TopicPartition,
    offset: &GroupOffset,
) -> Result<(), Error> {
    let refused = |kind| Err(error(kind, "store the offset of", partition));
    if state.read_denied.contains(&partition.topic) {
        return refused(ErrorKind::TopicDenied);
    }
    if state.log(partition).is_none() {
        return refused(ErrorKind::UnknownTopic);
    }
    if offset.metadata.len() > METADATA_BYTES_MAX {
        return refused(ErrorKind::Other);
    }
    state.groups.entry(group.to_owned()).or_default().offsets.insert(partition.clone(), offset.clone());
    Ok(())
}
