//! What is copied, judged without the product's help: D1 to D4, D6, and who may write.
//!
//! Each record of the source has its number in its value. The first arrivals of a partition must be its records in their
//! order (D1, D2, D3). What arrives again must not lie below the claim of who wrote it (D4). A stored offset must not pass
//! what has arrived, nor go back, nor replace that of a greater owner who could be seen (D6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::identity::{Owner, StoredBy, StoredOffset};
use common::ids::{Epoch, Revision, SessionId, TopicPartition};
use common::offsets::NextOffset;
use kafka::memory::StoredRecord;
use kafka::offsets::GroupOffset;

use crate::brokers::Process;
use crate::world::World;

/// An owner that has read of a greater one sends nothing more after this long: its lane has the answer at its next turn.
const HEARS_WITHIN: Duration = Duration::from_millis(100);
/// An owner that can reach the offsets reads them at least this often: once a second, and what a busy keeper takes.
const LOOKS_WITHIN: Duration = Duration::from_millis(3_500);
/// A host that stands still no longer than this may go on as if nothing had been.
const SHORT_STOP: Duration = Duration::from_millis(1_100);

/// How great an owner is: the route's incarnation counts first.
pub type Rank = (Revision, Owner);

/// All partitions.
#[derive(Debug)]
pub struct Copies {
    world: Arc<World>,
    partitions: BTreeMap<TopicPartition, Copied>,
    /// The sessions of the newest table.
    registered: BTreeSet<SessionId>,
    /// Since when each host has nothing in its way to Kafka.
    well_since: BTreeMap<String, Duration>,
    /// When each host last went on that stood still for longer than looks are apart.
    woke: BTreeMap<String, Duration>,
    /// Whose partition was claimed since the table was looked at last, and what was found.
    suspects: Vec<(SessionId, String)>,
    /// Set once no partition may be written twice.
    is_quiet: bool,
}

/// One partition.
#[derive(Debug, Default)]
pub struct Copied {
    source: Vec<StoredRecord>,
    /// The end of the source's log.
    end: i64,
    /// How many records have arrived, in order.
    arrived: usize,
    duplicates: u64,
    /// The target refused a record, and nothing has arrived since: whoever has it holds it, before anybody else knows.
    is_refused: bool,
    /// The greatest owner that stored.
    greatest: Option<Rank>,
    /// What each owner knows to have stored last.
    last: BTreeMap<Rank, NextOffset>,
    claims: BTreeMap<Process, Claim>,
    /// Set once the source has forgotten the stored offset: what the table has of it.
    forgotten: Option<NextOffset>,
    /// Who had it and lost it while there was trouble: what such a process had sent may arrive whenever its way is free.
    strays: BTreeSet<Process>,
}

/// A process's hold on a partition.
#[derive(Debug)]
struct Claim {
    rank: Rank,
    position: NextOffset,
    /// When it last read the stored offset.
    looked: Duration,
    /// When it first read of a greater owner.
    superseded: Option<Duration>,
}

/// Who stored an offset, if one of ours.
pub fn rank(offset: &GroupOffset) -> Option<Rank> {
    match StoredOffset::parse(offset.next_offset, offset.leader_epoch, &offset.metadata).stored_by {
        StoredBy::Us(identity) => Some((identity.route_incarnation, identity.owner)),
        StoredBy::OtherTool | StoredBy::Unreadable(_) => None,
    }
}

impl Copies {
    /// Nothing yet.
    pub fn new(world: &Arc<World>) -> Self {
        let (partitions, registered, well_since, woke, suspects) = Default::default();
        Self { world: world.clone(), partitions, registered, well_since, woke, suspects, is_quiet: false }
    }

    /// A record stands at the source.
    pub fn appended(&mut self, place: &TopicPartition, record: StoredRecord) {
        let copied = self.partitions.entry(place.clone()).or_default();
        copied.end = record.offset + 1;
        copied.source.push(record);
    }

    /// How many records were written to the source.
    pub fn written(&self, place: &TopicPartition) -> usize {
        self.partitions.get(place).map_or(0, |copied| copied.source.len())
    }

    /// The source's log goes on without a record.
    pub fn skipped(&mut self, place: &TopicPartition, end: i64) {
        self.partitions.entry(place.clone()).or_default().end = end;
    }

    /// The newest table has these sessions.
    pub fn set_registered(&mut self, sessions: BTreeSet<SessionId>) {
        self.registered = sessions;
    }

    /// The newest table was looked at after all that has happened: who had what somebody claimed just now must be gone from it.
    pub fn judge_claims(&mut self) {
        for (session, found) in std::mem::take(&mut self.suspects) {
            if self.registered.contains(&session) {
                self.world.violated("C2", "a partition is granted once its owner has given it back", found);
            }
        }
    }

    /// A host can't look at Kafka as it should until then.
    pub fn set_unwell(&mut self, host: &str, until: Duration) {
        let well_since = self.well_since.entry(host.to_owned()).or_default();
        *well_since = until.max(*well_since);
    }

    /// A host stands still until then.
    pub fn stands_still(&mut self, host: &str, until: Duration) {
        self.set_unwell(host, until);
        let now = self.world.now();
        // One that stood still already goes on then, however long that is altogether.
        let is_first = self.woke.remove(host).is_none_or(|woke| woke <= now);
        if is_first && until > now + SHORT_STOP {
            self.woke.insert(host.to_owned(), until);
        }
    }

    /// No host stands still any more.
    pub fn all_go_on(&mut self) {
        let now = self.world.now();
        self.woke.retain(|_, woke| *woke <= now);
    }

    /// The process that has a partition under this grant.
    pub fn owner(&self, place: &TopicPartition, session: SessionId, epoch: Epoch) -> Option<Process> {
        let mut claims = self.partitions.get(place)?.claims.iter();
        let owner = Owner { epoch, session };
        claims.find(|(_, claim)| claim.rank.1 == owner).map(|(process, _)| process.clone())
    }

    /// Since when a host can look at Kafka as it should.
    pub fn well_since(&self, host: &str) -> Duration {
        self.well_since.get(host).copied().unwrap_or_default()
    }

    /// The greatest owner that ever stored an offset of a partition.
    pub fn greatest(&self, place: &TopicPartition) -> Option<Rank> {
        self.partitions.get(place)?.greatest
    }

    /// How many records of a partition have arrived.
    pub fn arrived_of(&self, place: &TopicPartition) -> usize {
        self.partitions.get(place).map_or(0, |copied| copied.arrived)
    }

    /// From now on nothing may arrive twice, but by the hand of who lost a partition before.
    pub fn set_quiet(&mut self) {
        self.is_quiet = true;
        for copied in self.partitions.values_mut() {
            let greatest = copied.greatest;
            for (owner, _) in copied.claims.iter().filter(|(_, claim)| Some(claim.rank) == greatest) {
                copied.strays.remove(owner);
            }
        }
    }

    /// A process is gone.
    pub fn ended(&mut self, process: &Process) {
        for copied in self.partitions.values_mut() {
            copied.claims.remove(process);
        }
    }

    /// A process reported that it runs these partitions and no others.
    pub fn reported(&mut self, process: &Process, running: &BTreeSet<TopicPartition>) {
        for (place, copied) in &mut self.partitions {
            if !running.contains(place) {
                copied.claims.remove(process);
            }
        }
    }

    /// The source has forgotten an offset, which the table still has.
    pub fn forgotten(&mut self, place: TopicPartition, noted: NextOffset) {
        self.world.note("brokers", format_args!("the offset of {place} is forgotten, it was noted as {noted}"));
        self.partitions.entry(place).or_default().forgotten = Some(noted);
    }

    /// The newest table has noted offsets of these partitions: it has forgotten all others, too.
    pub fn set_noted(&mut self, places: &BTreeSet<TopicPartition>) {
        let others = self.partitions.iter_mut().filter(|(place, _)| !places.contains(*place));
        others.for_each(|(_, copied)| copied.forgotten = None);
    }

    /// A process hands a record to its producer.
    pub fn produced(&self, process: &Process, place: &TopicPartition) {
        let Some(claim) = self.partitions.get(place).and_then(|copied| copied.claims.get(process)) else {
            let found = format!("{process} writes {place}");
            return self.world.violated("D4", "nobody writes before its claim stands, or after it gave it back", found);
        };
        let now = self.world.now();
        if claim.superseded.is_some_and(|at| now > at + HEARS_WITHIN) {
            let found = format!("{process} writes {place} and has read of a greater owner");
            self.world.violated("D4", "an owner that has read of a greater one writes nothing more", found);
        }
        if self.woke.get(&process.host).is_some_and(|woke| now >= *woke && claim.looked < *woke) {
            let found = format!("{process} writes {place}, stood still and last looked at {:?}", claim.looked);
            self.world.violated("D4", "who stood still writes nothing new before it has looked", found);
        }
        if now > claim.looked.max(self.well_since(&process.host)) + LOOKS_WITHIN {
            let found = format!("{process} writes {place} and last looked at {:?}", claim.looked);
            self.world.violated("D4", "an owner looks again and again whether it still is one", found);
        }
    }

    /// The target refused a record of a process.
    pub fn refused(&mut self, process: &Process, place: &TopicPartition) {
        self.world.note(&process.to_string(), format_args!("a record of {place} is refused"));
        self.partitions.entry(place.clone()).or_default().is_refused = true;
    }

    /// Whether the last that happened to a partition at the target was a refusal.
    pub fn is_refused(&self, place: &TopicPartition) -> bool {
        self.partitions.get(place).is_some_and(|copied| copied.is_refused)
    }

    /// A record arrived at the target by the hand of a process.
    pub fn arrived(&mut self, process: &Process, place: &TopicPartition, record: &StoredRecord) {
        let copied = self.partitions.entry(place.clone()).or_default();
        copied.is_refused = false;
        let number = number(record);
        let Some(original) = copied.source.get(number).filter(|original| original.same_content(record)) else {
            let found = format!("{place} has {record:?}, by {process}");
            return self.world.violated("D2", "what arrives is a record of the source, unchanged", found);
        };
        if copied.claims.get(process).is_some_and(|claim| original.offset < claim.position.0) {
            let found = format!("{process} wrote offset {} of {place}, and claimed it further on", original.offset);
            self.world.violated("D4", "nobody writes what lies below its claim", found);
        }
        if number > copied.arrived {
            let (due, came) = (copied.arrived, number);
            let found = format!("{place}: {due} was due, {came} came, by {process}");
            self.world.violated("D1", "first arrivals are the source's records in their order", found);
        } else if number == copied.arrived {
            copied.arrived += 1;
        } else {
            copied.duplicates += 1;
            if self.is_quiet && !copied.strays.contains(process) {
                let found = format!("{place}: {number} again, by {process}");
                self.world.violated("D4", "a planned move repeats nothing", found);
            }
        }
    }

    /// A process read a stored offset.
    pub fn read(&mut self, process: &Process, place: &TopicPartition, offset: Option<&GroupOffset>) {
        let now = self.world.now();
        let claim = self.partitions.get_mut(place).and_then(|copied| copied.claims.get_mut(process));
        let Some(claim) = claim else { return };
        claim.looked = now;
        if offset.and_then(rank).is_some_and(|rank| rank > claim.rank) {
            claim.superseded.get_or_insert(now);
        }
    }

    /// A process stored an offset. `before` is what stood there; `is_known` says that the process was told.
    pub fn stored(
        &mut self,
        process: &Process,
        place: &TopicPartition,
        offset: &GroupOffset,
        before: Option<&GroupOffset>,
        is_known: bool,
    ) {
        let Some(rank) = rank(offset) else { return };
        let next = offset.next_offset;
        self.world.note(&process.to_string(), format_args!("stores {place} {next} under {:?}", rank.1.epoch));
        if before.and_then(self::rank).is_some_and(|before| before > rank) {
            let found = format!("{process} stored {place} under {rank:?}, over {before:?}");
            self.world.violated("D6", "nobody stores over a greater owner", found);
        }
        let copied = self.partitions.entry(place.clone()).or_default();
        if let Some(noted) = copied.forgotten.take_if(|_| before.is_none()) {
            self.world.bit("forgotten-offset");
            if next < noted {
                let found = format!("{process} stored {next} for {place}, of which {noted} was noted");
                self.world.violated("D6", "what Kafka forgets goes on where it was noted", found);
            }
        }
        let reached = copied.source.get(copied.arrived).map_or(copied.end, |due| due.offset);
        if next.0 > reached {
            let found = format!("{process} stored {next} for {place}, where {reached} has not arrived");
            self.world.violated("D6", "a stored offset never passes what has not arrived", found);
        }
        if let Some(last) = copied.last.get(&rank).filter(|last| **last > next) {
            let found = format!("{process} stored {next} for {place} after {last}");
            self.world.violated("D6", "an owner's stored offset never goes back", found);
        }
        // A claim of which its maker heard nothing may be overtaken by what a lost owner stored late, and made anew there.
        if is_known {
            copied.last.insert(rank, next);
        }
        copied.greatest = copied.greatest.max(Some(rank));
        let is_new = copied.claims.get(process).is_none_or(|claim| claim.rank != rank);
        if is_known && is_new {
            let is_held = |(other, claim): &(&Process, &Claim)| {
                *other != process && self.registered.contains(&claim.rank.1.session)
            };
            if let Some((other, claim)) = copied.claims.iter().find(is_held) {
                // Its session may have ended within this very step.
                let found = format!("{process} claims {place} under {rank:?}, {other} has it under {:?}", claim.rank);
                self.suspects.push((claim.rank.1.session, found));
            }
            match self.is_quiet {
                true => copied.strays.remove(process),
                false => copied.strays.insert(process.clone()),
            };
            let claim = Claim { rank, position: next, looked: self.world.now(), superseded: None };
            copied.claims.insert(process.clone(), claim);
        }
    }

    /// Each partition.
    pub fn all(&self) -> impl Iterator<Item = (&TopicPartition, &Copied)> {
        self.partitions.iter()
    }

    /// How many records arrived twice.
    pub fn duplicates(&self) -> u64 {
        self.partitions.values().map(|copied| copied.duplicates).sum()
    }
}

impl Copied {
    /// How many records have arrived.
    pub fn arrived(&self) -> usize {
        self.arrived
    }

    /// How many were written.
    pub fn written(&self) -> usize {
        self.source.len()
    }

    /// The end of the source's log, if all of it has arrived.
    pub fn complete(&self) -> Option<NextOffset> {
        (self.arrived == self.source.len()).then_some(NextOffset(self.end))
    }
}

/// The number of a record within its partition: the last word of its value.
fn number(record: &StoredRecord) -> usize {
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    value.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}
