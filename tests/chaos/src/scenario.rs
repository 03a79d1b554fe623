//! What is done to which fleet, and what must come of it: the files in `scenarios/`. Owns their form; never does anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The file's name.
    #[serde(skip)]
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// Where the choice of victims starts from.
    pub seed: u64,
    /// How often all steps are done.
    pub rounds: usize,
    /// How many workers there are, beside three controllers.
    #[serde(default = "three")]
    pub workers: usize,
    /// How many records each of the 48 partitions is given in a second.
    #[serde(default = "twenty")]
    pub records_per_second: u64,
    /// Settings of the controllers: `lease = "1s"`.
    #[serde(default)]
    pub timing: BTreeMap<String, String>,
    /// What is done, one after the other.
    pub step: Vec<Step>,
}

/// One thing that is done, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// To whom.
    pub whom: Whom,
    /// What becomes of the assignments.
    pub moves: Moves,
    /// Not sooner after the step before than this, in seconds.
    #[serde(default)]
    pub after_s: u64,
    /// How long it is watched at least, in seconds.
    #[serde(default)]
    pub lasts_s: u64,
    /// The longest silence of the partitions that it concerns, in milliseconds.
    pub silence_ms: Option<u64>,
    /// Records of how much time may come twice in each partition that it concerns, in milliseconds.
    pub twice_ms: Option<u64>,
}

/// What is done to the victims.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// kill -9.
    Kill,
    /// kill -9, and started again at once.
    Restart,
    /// SIGTERM, until it has ended.
    Stop,
    /// Started.
    Start,
    /// Stopped by SIGTERM and started, one after the other; each is back before the next one's turn.
    Roll,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Continue,
    /// Cut off from all controllers, not from Kafka.
    Cut,
    /// No longer cut off.
    Mend,
    /// Moved by an operator.
    Move,
}

/// Who the victims are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// A worker, drawn.
    AWorker,
    /// The workers in turn.
    NextWorker,
    /// Two workers, drawn.
    TwoWorkers,
    /// Three workers, drawn.
    ThreeWorkers,
    /// The leading controller.
    Leader,
    /// The leading controller and a worker, drawn.
    LeaderAndAWorker,
    /// All controllers.
    Controllers,
    /// A partition, drawn.
    APartition,
    /// The same as in the step before.
    Those,
}

/// What becomes of the assignments.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Moves {
    /// Nothing changes.
    None,
    /// What the victims had goes to others, each partition once; nothing else changes.
    Theirs,
    /// What the victims had is given to them again; nothing else changes.
    Again,
    /// The victims are given their share; nothing else changes.
    ToThem,
    /// The victims can't be heard, and keep what they have.
    Held,
}

fn three() -> usize {
    3
}

fn twenty() -> u64 {
    20
}

impl Scenario {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, String> {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let read: Self = toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { name, ..read })
    }

    /// The time between two records of one partition.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.records_per_second as u32
    }
}

impl Step {
    /// What is done to whom, for people.
    pub fn title(&self) -> String {
        let words = |value: &dyn std::fmt::Debug| {
            let mut words = String::new();
            for letter in format!("{value:?}").chars() {
                if letter.is_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.extend(letter.to_lowercase());
            }
            words
        };
        format!("{} {}", words(&self.act), words(&self.whom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_well_formed_and_ends_with_all_nodes_up() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 5, "{files:?}");
        for file in files {
            let scenario = Scenario::read(&file).unwrap();
            assert!(scenario.rounds > 0 && !scenario.step.is_empty(), "{file:?}");
            assert_ne!(scenario.step[0].whom, Whom::Those, "{file:?}: nobody is chosen yet");
            let down = |act: Act| matches!(act, Act::Kill | Act::Stop | Act::Freeze | Act::Cut);
            let last = scenario.step.iter().rposition(|step| down(step.act));
            assert!(
                last.is_none_or(|last| last + 1 < scenario.step.len()),
                "{file:?}: the next round finds a victim down"
            );
        }
    }
}
