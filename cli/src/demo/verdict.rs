//! What the demo claims, and whether it is true. Pure: what was found goes in, claims with their figures come out.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::TopicPartition;

use super::audit::{Audit, Compared, Contents};
use super::fleet::Owner;
use super::scene::{self, SOURCE, TARGET};
use super::screen::{Line, Style};
use crate::output::grouped;

/// How long partitions of a killed worker may be silent, beyond twice what is usual on this machine: its connection broke at once, the leader waits a second whether
/// it comes back, the new owners claim and fetch.
const MOVED_SILENCE_MAX: Duration = Duration::from_secs(3);

/// A silence shorter than this, beyond twice what is usual on this machine, is no pause.
const PAUSE: Duration = Duration::from_secs(1);

/// Who has what.
pub type Owners = BTreeMap<TopicPartition, Owner>;

/// The longest silence of each partition.
pub type Silences = BTreeMap<TopicPartition, Duration>;

/// What the demo found.
pub struct Found {
    /// Both sides, once all was drained.
    pub audit: Audit,
    /// Records written to each partition of the source.
    pub produced: u64,
    /// Before anything was killed.
    pub calm: Silences,
    /// The death of a worker.
    pub worker: WorkerKilled,
    /// The death of the leading controller.
    pub leader: LeaderKilled,
}

/// What came of the death of a worker.
pub struct WorkerKilled {
    /// Which.
    pub id: String,
    /// Who had what before.
    pub before: Owners,
    /// Who has what since.
    pub after: Owners,
    /// From the kill until nothing lagged any more.
    pub silences: Silences,
}

/// What came of the death of the leading controller.
pub struct LeaderKilled {
    /// Which led.
    pub old: u64,
    /// Which leads since.
    pub new: u64,
    /// Who had what before.
    pub before: Owners,
    /// Who has what since.
    pub after: Owners,
    /// From the kill until some seconds after the election.
    pub silences: Silences,
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether it is true.
    pub holds: bool,
    /// What is claimed, with what was found.
    pub text: String,
}

impl Claim {
    /// How it is told.
    pub fn line(&self) -> Line {
        let (word, style) = if self.holds { ("true", Style::Plain) } else { ("UNTRUE", Style::Alarm) };
        Line::new(style, format!("{word:<6} {}", self.text))
    }
}

/// Counts and checksums of both sides, topic by topic.
pub fn table(audit: &Audit) -> Vec<Line> {
    let (source, target) = (SOURCE.to_uppercase(), TARGET.to_uppercase());
    let checksums = [&source, &target].map(|side| format!("CHECKSUM {side}"));
    let heading =
        format!("{:<8}  {source:>9}  {target:>9}  {:>7}  {:<16}  {}", "TOPIC", "AGAIN", checksums[0], checksums[1]);
    let row = |topic: &str| {
        let sides = || audit.iter().filter(|(partition, _)| partition.topic.as_str() == topic).map(|(_, sides)| sides);
        let (source, target) = (Contents::sum(sides().map(|s| s.source)), Contents::sum(sides().map(|s| s.target)));
        let text = format!(
            "{topic:<8}  {:>9}  {:>9}  {:>7}  {:016x}  {:016x}",
            grouped(source.records),
            grouped(target.records),
            grouped(target.repeated),
            source.checksum,
            target.checksum
        );
        Line::new(if sides().all(Compared::is_equal) { Style::Plain } else { Style::Alarm }, text)
    };
    let rows = scene::topics().map(|(topic, _)| row(topic));
    std::iter::once(Line::new(Style::Faint, heading)).chain(rows).collect()
}

/// Judges all of it.
pub fn claims(found: &Found) -> Vec<Claim> {
    let lost = |partition: &TopicPartition| found.worker.had(partition);
    let calm = longest(&found.calm, |_| true);
    vec![
        every_record_arrived(found),
        only_its_records_repeat(found),
        only_its_partitions_move(&found.worker),
        silence(longest(&found.worker.silences, lost), MOVED_SILENCE_MAX, "its partitions were silent for", calm),
        silence(longest(&found.worker.silences, |p| !lost(p)), PAUSE, "the others never paused:", calm),
        an_election_moves_nothing(&found.leader),
        silence(longest(&found.leader.silences, |_| true), PAUSE, "copying never paused:", calm),
    ]
}

impl WorkerKilled {
    fn had(&self, partition: &TopicPartition) -> bool {
        self.before.get(partition).is_some_and(|owner| owner.worker == self.id)
    }
}

fn every_record_arrived(found: &Found) -> Claim {
    let unequal: Vec<_> = found.audit.iter().filter(|(_, sides)| !sides.is_equal()).map(|(name, _)| name).collect();
    let short = found.audit.values().filter(|sides| sides.source.records != found.produced).count();
    let source = Contents::sum(found.audit.values().map(|sides| sides.source));
    let target = Contents::sum(found.audit.values().map(|sides| sides.target));
    let all = grouped(source.records);
    let mut text = format!("all {all} records arrived, unchanged and in order: checksums are equal");
    if !unequal.is_empty() {
        text += &format!("; no: {} differ, {} records arrived", names(&unequal), grouped(target.records));
    }
    if short > 0 {
        text += &format!("; no: {short} partitions of the source lack records of the producer");
    }
    Claim { holds: unequal.is_empty() && short == 0 && source.records > 0, text }
}

fn only_its_records_repeat(found: &Found) -> Claim {
    let repeated = |lost: bool| -> u64 {
        let partitions = found.audit.iter().filter(|(partition, _)| found.worker.had(partition) == lost);
        partitions.map(|(_, sides)| sides.target.repeated).sum()
    };
    let (expected, others) = (repeated(true), repeated(false));
    let (all, id) = (grouped(expected + others), &found.worker.id);
    let text = match others {
        0 => format!("{all} came twice: what {id} had copied since it stored offsets"),
        others => format!("{all} came twice, {} of them in partitions that {id} did not have", grouped(others)),
    };
    Claim { holds: others == 0, text }
}

fn only_its_partitions_move(killed: &WorkerKilled) -> Claim {
    let (lost, kept): (Vec<_>, Vec<_>) = killed.before.iter().partition(|(partition, _)| killed.had(partition));
    let moved = lost.iter().filter(|(partition, old)| {
        let new = killed.after.get(*partition);
        new.is_some_and(|new| new.worker != killed.id && new.epoch == old.epoch + 1)
    });
    let (moved, disturbed) = (moved.count(), different(kept, &killed.after));
    let mut text = format!(
        "kill -9 of {}: {moved} of its {} partitions moved (epoch + 1), {} of the other {}",
        killed.id,
        lost.len(),
        disturbed.len(),
        killed.before.len() - lost.len()
    );
    if !disturbed.is_empty() {
        text += &format!(": {}", names(&disturbed));
    }
    Claim { holds: !lost.is_empty() && moved == lost.len() && disturbed.is_empty(), text }
}

fn an_election_moves_nothing(killed: &LeaderKilled) -> Claim {
    let disturbed = different(&killed.before, &killed.after);
    let mut text = format!(
        "kill -9 of controller {}, the leader: {} leads, {} of {} partitions moved",
        killed.old,
        killed.new,
        disturbed.len(),
        killed.before.len()
    );
    if !disturbed.is_empty() {
        text += &format!(": {}", names(&disturbed));
    }
    Claim { holds: !killed.before.is_empty() && disturbed.is_empty() && killed.new != killed.old, text }
}

fn silence(longest: Option<Duration>, max: Duration, what: &str, calm: Option<Duration>) -> Claim {
    let seconds = |duration: Option<Duration>| duration.map_or("?".to_owned(), |d| format!("{:.2} s", d.as_secs_f64()));
    // A machine that is so busy that nothing is on time is no fault of the fleet's.
    let limit = max + 2 * calm.unwrap_or_default();
    let (found, limit_text, calm) = (seconds(longest), seconds(Some(limit)), seconds(calm));
    let text = format!("{what} {found} at most (limit {limit_text}, calm {calm})");
    Claim { holds: longest.is_some_and(|longest| longest <= limit), text }
}

/// The partitions that are not with the same session under the same epoch any more.
fn different<'a>(
    before: impl IntoIterator<Item = (&'a TopicPartition, &'a Owner)>,
    after: &Owners,
) -> Vec<&'a TopicPartition> {
    let changed = before.into_iter().filter(|(partition, owner)| after.get(*partition) != Some(*owner));
    changed.map(|(partition, _)| partition).collect()
}

fn longest(silences: &Silences, counts: impl Fn(&TopicPartition) -> bool) -> Option<Duration> {
    silences.iter().filter(|(partition, _)| counts(partition)).map(|(_, silence)| *silence).max()
}

/// The first few names.
fn names(partitions: &[&TopicPartition]) -> String {
    const SHOWN: usize = 4;
    let mut text: Vec<_> = partitions.iter().take(SHOWN).map(|partition| partition.to_string()).collect();
    if partitions.len() > SHOWN {
        text.push("…".to_owned());
    }
    text.join(" ")
}

#[cfg(test)]
#[path = "verdict_test.rs"]
mod tests;
