//! What one session runs and how far that is, as it said last. A fleet has many partitions, so what is kept of each is small.

use std::time::Duration;

use common::assignment::{Inventory, Phase, Progress, Running, UncleanRelease, Version};
use common::ids::{Epoch, RoutePartition};
use common::offsets::OptionalOffset;
use common::reason::Reason;

/// What one session reported.
#[derive(Debug, Default)]
pub(super) struct Reports {
    applied: Version,
    unclean: Vec<UncleanRelease>,
    /// In the order of partitions.
    rows: Vec<Row>,
}

/// What was reported of one partition.
#[derive(Debug)]
struct Row {
    partition: RoutePartition,
    /// As its latest inventory lists it; nothing if its progress came first.
    running: Option<(Epoch, Phase)>,
    progress: Option<Headway>,
}

/// A partition's progress without its name.
#[derive(Debug)]
struct Headway {
    epoch: Epoch,
    next_offset: OptionalOffset,
    stored_offset: OptionalOffset,
    source_end: OptionalOffset,
    source_high_watermark: OptionalOffset,
    lag_ms: u64,
    records: u64,
    bytes: u64,
}

impl Reports {
    /// Whether an inventory says something else than the one before. Workers list partitions in order.
    pub fn is_news(&self, inventory: &Inventory) -> bool {
        let Inventory { applied, running, unclean } = inventory;
        *applied != self.applied || *unclean != self.unclean || !self.lists(running)
    }

    /// Takes over an inventory. What it does not list has made its last progress.
    pub fn set_inventory(&mut self, inventory: Inventory) {
        let Inventory { applied, mut running, unclean } = inventory;
        running.sort_unstable_by(|one, other| one.partition.cmp(&other.partition));
        let mut before = std::mem::take(&mut self.rows).into_iter().peekable();
        let row = |Running { partition, epoch, phase }: Running| {
            while before.next_if(|row| row.partition < partition).is_some() {}
            let progress = before.next_if(|row| row.partition == partition).and_then(|row| row.progress);
            Row { partition, running: Some((epoch, phase)), progress }
        };
        self.rows = running.into_iter().map(row).collect();
        (self.applied, self.unclean) = (applied, unclean);
    }

    /// Whether the latest inventory listed just these, in order.
    fn lists(&self, running: &[Running]) -> bool {
        let listed = self.rows.iter().filter_map(|row| Some((&row.partition, row.running.as_ref()?)));
        let named = running.iter().map(|running| (&running.partition, running.epoch, &running.phase));
        listed.map(|(partition, (epoch, phase))| (partition, *epoch, phase)).eq(named)
    }

    /// Takes over a partition's progress. Returns whether it is the first under its grant.
    pub fn add_progress(&mut self, progress: Progress) -> bool {
        let (epoch, headway) = (progress.epoch, Headway::from(&progress));
        match self.place(&progress.partition) {
            Ok(place) => {
                let before = self.rows[place].progress.replace(headway);
                before.is_none_or(|before| before.epoch != epoch)
            }
            Err(place) => {
                let row = Row { partition: progress.partition, running: None, progress: Some(headway) };
                self.rows.insert(place, row);
                true
            }
        }
    }

    /// The newest snapshot that was applied.
    pub fn applied(&self) -> Version {
        self.applied
    }

    /// Whether a partition can still be written, by the latest inventory.
    pub fn runs(&self, partition: &RoutePartition) -> bool {
        self.row(partition).is_some_and(|row| row.running.is_some())
    }

    /// Whether nothing can.
    pub fn runs_nothing(&self) -> bool {
        self.rows.iter().all(|row| row.running.is_none())
    }

    /// Whether a partition was given back uncleanly under this epoch.
    pub fn is_unclean(&self, partition: &RoutePartition, epoch: Epoch) -> bool {
        self.unclean.iter().any(|release| release.partition == *partition && release.epoch == epoch)
    }

    /// In which phase a partition is and how far, under this epoch.
    pub fn of(&self, partition: &RoutePartition, epoch: Epoch) -> (Option<Phase>, Option<Progress>) {
        let Some(row) = self.row(partition) else { return (None, None) };
        let phase = row.running.as_ref().filter(|(under, _)| *under == epoch).map(|(_, phase)| phase.clone());
        let headway = row.progress.as_ref().filter(|headway| headway.epoch == epoch);
        (phase, headway.map(|headway| headway.progress(partition)))
    }

    /// How far each partition is.
    pub fn progress(&self) -> Vec<Progress> {
        let progress = |row: &Row| Some(row.progress.as_ref()?.progress(&row.partition));
        self.rows.iter().filter_map(progress).collect()
    }

    /// What is being copied, in order.
    pub fn copying(&self) -> Vec<RoutePartition> {
        let copying = |row: &&Row| matches!(row.running, Some((_, Phase::Copying)));
        self.rows.iter().filter(copying).map(|row| row.partition.clone()).collect()
    }

    /// The partitions that could not be claimed since a pair as great is stored: under which epoch they were granted, and
    /// which is stored. Not those that were claimed already: somebody else has superseded that owner, who must not fight him.
    pub fn superseded(&self) -> impl Iterator<Item = (&RoutePartition, Epoch, Epoch)> {
        self.rows.iter().filter_map(|row| {
            let (granted, Phase::Held(reason)) = row.running.as_ref()? else { return None };
            let Reason::Superseded { epoch: stored, .. } = **reason else { return None };
            let headway = row.progress.as_ref()?;
            let is_unclaimed = headway.epoch == *granted && headway.next_offset.get().is_none();
            (is_unclaimed && stored >= *granted).then_some((&row.partition, *granted, stored))
        })
    }

    fn place(&self, partition: &RoutePartition) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.partition.cmp(partition))
    }

    fn row(&self, partition: &RoutePartition) -> Option<&Row> {
        self.place(partition).ok().map(|place| &self.rows[place])
    }
}

impl From<&Progress> for Headway {
    fn from(progress: &Progress) -> Self {
        Self {
            epoch: progress.epoch,
            next_offset: progress.next_offset.into(),
            stored_offset: progress.stored_offset.into(),
            source_end: progress.source_end.into(),
            source_high_watermark: progress.source_high_watermark.into(),
            lag_ms: u64::try_from(progress.lag_time.as_millis()).unwrap_or(u64::MAX),
            records: progress.records,
            bytes: progress.bytes,
        }
    }
}

impl Headway {
    fn progress(&self, partition: &RoutePartition) -> Progress {
        Progress {
            partition: partition.clone(),
            epoch: self.epoch,
            next_offset: self.next_offset.get(),
            stored_offset: self.stored_offset.get(),
            source_end: self.source_end.get(),
            source_high_watermark: self.source_high_watermark.get(),
            lag_time: Duration::from_millis(self.lag_ms),
            records: self.records,
            bytes: self.bytes,
        }
    }
}
