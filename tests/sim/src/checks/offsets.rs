//! What stands in the groups, whoever put it there: a lower owner's offset is stored over within a lease (D6), and in the
//! end every offset is where its source ends (C10).

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{RoutePartition, TopicPartition};
use controller::state::{Life, Slot, State};
use kafka::offsets::GroupOffset;

use crate::checks::copies::rank;
use crate::site::Site;
use crate::world::lock;

/// A lease, and the time of a look and a store.
const REPAIRED_WITHIN: Duration = Duration::from_secs(7);

/// What was seen of stored offsets so far.
#[derive(Debug, Default)]
pub struct Offsets {
    /// Since when a partition's offset is that of a lower owner, while its owner could repair it.
    low_since: BTreeMap<RoutePartition, Duration>,
}

impl Offsets {
    /// Looks at all partitions of a table.
    pub fn look(&mut self, site: &Site, table: &State) {
        let now = site.world.now();
        for (id, slot) in table.slots() {
            let well_since = is_low(site, table, id).then(|| owner_well_since(site, id, slot)).flatten();
            let Some(well_since) = well_since else {
                self.low_since.remove(id);
                continue;
            };
            let since = *self.low_since.entry(id.clone()).or_insert(now);
            if now > since.max(well_since) + REPAIRED_WITHIN {
                let found = format!("{id} has the offset of a lower owner since {since:?}");
                site.world.violated("D6", "a lower owner's offset is stored over within a lease", found);
            }
        }
    }
}

/// Whether a stored offset is that of a lower owner.
pub fn are_low(site: &Site, table: &State) -> bool {
    table.slots().keys().any(|id| is_low(site, table, id))
}

/// Whether a partition's stored offset is missing, or that of a lower owner than one that stored already.
fn is_low(site: &Site, table: &State, id: &RoutePartition) -> bool {
    let stored = stored(site, table, id).as_ref().and_then(rank);
    let greatest = lock(&site.brokers.copies).greatest(&id.source());
    greatest.is_some() && stored < greatest
}

/// Since when a partition's owner could repair its offset; `None` if it has none that could.
fn owner_well_since(site: &Site, id: &RoutePartition, slot: &Slot) -> Option<Duration> {
    let Life::Assigned { session, epoch } = slot.life else { return None };
    let copies = lock(&site.brokers.copies);
    let owner = copies.owner(&id.source(), session, epoch)?;
    (site.worker(&owner.host) == Some(owner.clone())).then(|| copies.well_since(&owner.host))
}

fn stored(site: &Site, table: &State, id: &RoutePartition) -> Option<GroupOffset> {
    let group = &table.routes().get(&id.route)?.settings.group;
    site.brokers.source.group_offset(group, id.topic.as_str(), id.partition.0)
}

/// What is not yet copied, stored or assigned, one line a partition.
pub fn unfinished(site: &Site, table: &State) -> Vec<String> {
    let copies = lock(&site.brokers.copies);
    let mut unfinished = Vec::new();
    let mut slots: BTreeMap<TopicPartition, &RoutePartition> = BTreeMap::new();
    for (id, slot) in table.slots() {
        slots.insert(id.source(), id);
        if !matches!(slot.life, Life::Assigned { .. }) {
            unfinished.push(format!("{id} is {}", slot.life.name()));
        }
    }
    for (place, copied) in copies.all() {
        let Some(id) = slots.get(place) else {
            unfinished.push(format!("{place} is not in the table"));
            continue;
        };
        let (arrived, written) = (copied.arrived(), copied.written());
        match copied.complete() {
            None => unfinished.push(format!("{place}: {arrived} of {written} have arrived")),
            Some(end) => match stored(site, table, id).map(|offset| offset.next_offset) {
                Some(next) if next == end => {}
                next => unfinished.push(format!("{place}: {next:?} is stored, it ends at {end}")),
            },
        }
    }
    unfinished
}
