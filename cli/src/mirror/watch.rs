//! What a look at the running mirror means: go on, done, or stop with a reason. Pure: the clock and the leader's view
//! come in as values.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::assignment::{Phase, Progress};
use common::ids::{TopicName, TopicPartition};
use common::offsets::NextOffset;
use common::reason::Reason;
use tokio::time::Instant;

use crate::failure::Failure;

/// How long partitions that stand still may keep a mirror with `--until-end` from ending once all others are done.
pub const HELD_PATIENCE: Duration = Duration::from_secs(30);

/// Where a partition ends whose end can't be read: it is never reached, so the partition is named when all others are
/// done.
pub const NO_END: NextOffset = NextOffset(i64::MAX);

/// How long members of the consumer group are waited for.
pub const MEMBERS_PATIENCE: Duration = Duration::from_secs(60);

/// The mirror as its leader sees it, at one moment.
#[derive(Clone, Default, Debug)]
pub struct View {
    /// Whether the leader has looked at the source's topics once.
    pub looked: bool,
    /// Each partition that is to be copied.
    pub partitions: BTreeMap<TopicPartition, PartitionView>,
    /// Topics that match and can't be copied yet, with the reason.
    pub waiting: BTreeMap<TopicName, Reason>,
    /// Topics of which the source has more partitions than can be copied, with the reason.
    pub beyond: BTreeMap<TopicName, Reason>,
    /// Why the last look at the clusters' topics failed, if it did.
    pub trouble: Option<String>,
}

/// One partition of a view.
#[derive(Clone, Default, Debug)]
pub struct PartitionView {
    /// What it is doing; `None` before the worker took it up.
    pub phase: Option<Phase>,
    /// How far it is, if known.
    pub progress: Option<Progress>,
}

impl PartitionView {
    /// Why it stands still, if it does.
    pub fn held(&self) -> Option<&Reason> {
        match &self.phase {
            Some(Phase::Held(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Its stored offset, if known.
    pub fn stored_offset(&self) -> Option<NextOffset> {
        self.progress.as_ref()?.stored_offset
    }
}

impl View {
    /// What is missing until the mirror is ready: the first look at the source, and each partition's claim.
    pub fn missing_for_readiness(&self) -> Option<String> {
        if !self.looked {
            return Some(match &self.trouble {
                Some(trouble) => format!("the source was not looked at yet: {trouble}"),
                None => "the source was not looked at yet".to_owned(),
            });
        }
        let unclaimed = |state: &&PartitionView| {
            matches!(state.phase, None | Some(Phase::Claiming))
                || (state.held().is_some() && state.stored_offset().is_none())
        };
        let missing = self.partitions.values().filter(unclaimed).count();
        (missing > 0).then(|| format!("{missing} of {} partitions are not claimed yet", self.partitions.len()))
    }

    /// Why a partition is not being copied, if it is not.
    pub fn why_not(&self, partition: &TopicPartition) -> Option<String> {
        let waiting = self.waiting.get(&partition.topic);
        let reason = match self.partitions.get(partition) {
            Some(state) => state.held().or(waiting)?,
            None => match waiting.or_else(|| self.beyond.get(&partition.topic)) {
                Some(reason) => reason,
                None if self.looked => return Some("the source no longer has it".to_owned()),
                None => return None,
            },
        };
        Some(reason.to_string())
    }
}

/// What follows from a look.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Keep running.
    GoOn,
    /// All that was there at the start is copied.
    Done,
    /// Drain, then end so.
    Stop(Failure),
}

/// What was seen before, and what the user asked for.
pub struct Watch {
    until_end: Option<BTreeMap<TopicPartition, NextOffset>>,
    aborts_on_refused_record: bool,
    group: String,
    /// When the group was first seen with members, if it is now.
    members_since: Option<Instant>,
    /// Of the partitions not yet done: how far they were when one of them last moved, and when that was.
    remaining: (BTreeMap<TopicPartition, Option<NextOffset>>, Option<Instant>),
    /// Partitions that stood still since then. A hold is tried again now and then; that is no progress.
    stood: BTreeSet<TopicPartition>,
}

impl Watch {
    /// A watch that ends the mirror at `until_end`, if given.
    pub fn new(
        until_end: Option<BTreeMap<TopicPartition, NextOffset>>,
        aborts_on_refused_record: bool,
        group: &str,
    ) -> Self {
        Self {
            until_end,
            aborts_on_refused_record,
            group: group.to_owned(),
            members_since: None,
            remaining: Default::default(),
            stood: BTreeSet::new(),
        }
    }

    /// Judges the view at `now`.
    pub fn judge(&mut self, view: &View, now: Instant) -> Verdict {
        if let Some(failure) = self.conflict(view, now) {
            return Verdict::Stop(failure);
        }
        if self.aborts_on_refused_record
            && let Some((partition, reason)) = held(view).find(|(_, reason)| reason.is_refused_record())
        {
            let text = format!("{partition}: {reason}; --abort.on.send.failure true ends the mirror here");
            return Verdict::Stop(Failure::failed(text));
        }
        self.end(view, now)
    }

    /// Another owner, or members in the group.
    fn conflict(&mut self, view: &View, now: Instant) -> Option<Failure> {
        if let Some((partition, reason)) = held(view).find(|(_, reason)| matches!(reason, Reason::Superseded { .. })) {
            return Some(Failure::conflict(format!(
                "{partition}: {reason}; another mirror runs under group.id {}, and the newer one wins: run one mirror \
                 per group.id",
                self.group
            )));
        }
        if !held(view).any(|(_, reason)| *reason == Reason::GroupHasMembers) {
            self.members_since = None;
            return None;
        }
        let since = *self.members_since.get_or_insert(now);
        (now - since >= MEMBERS_PATIENCE).then(|| {
            Failure::conflict(format!(
                "consumers are members of group {} since {} s, so offsets can't be stored; stop them, or give the \
                 mirror a group.id of its own",
                self.group,
                MEMBERS_PATIENCE.as_secs()
            ))
        })
    }

    /// Whether `--until-end` is reached, or can't be.
    fn end(&mut self, view: &View, now: Instant) -> Verdict {
        let Some(ends) = &self.until_end else { return Verdict::GoOn };
        let stored = |partition| view.partitions.get(partition).and_then(PartitionView::stored_offset);
        let remaining: BTreeMap<_, _> = ends
            .iter()
            .map(|(partition, end)| (partition, stored(partition), end))
            .filter(|(_, stored, end)| stored.is_none_or(|stored| stored < **end))
            .map(|(partition, stored, _)| (partition.clone(), stored))
            .collect();
        if remaining.is_empty() {
            return Verdict::Done;
        }
        if self.remaining.1.is_none() || self.remaining.0 != remaining {
            self.remaining = (remaining, Some(now));
            self.stood.clear();
        }
        let remaining = &self.remaining.0;
        let stands = |partition: &&TopicPartition| ends[*partition] == NO_END || view.why_not(partition).is_some();
        self.stood.extend(remaining.keys().filter(stands).cloned());
        let since = self.remaining.1.unwrap_or(now);
        if self.stood.len() < remaining.len() || now - since < HELD_PATIENCE {
            return Verdict::GoOn;
        }
        let reason = |partition: &TopicPartition| {
            view.why_not(partition).unwrap_or_else(|| "its end could not be read, or it stood still".to_owned())
        };
        let lines: Vec<_> =
            remaining.keys().map(|partition| format!("\n  {partition}: {}", reason(partition))).collect();
        Verdict::Stop(Failure::failed(format!(
            "{} of {} partitions could not be copied to their end:{}",
            remaining.len(),
            ends.len(),
            lines.concat()
        )))
    }
}

/// The partitions that stand still, with their reasons.
fn held(view: &View) -> impl Iterator<Item = (&TopicPartition, &Reason)> {
    view.partitions.iter().filter_map(|(partition, state)| Some((partition, state.held()?)))
}

#[cfg(test)]
#[path = "watch_test.rs"]
mod tests;
