//! What the steps came to over all rounds. Owns the table people read and the JSON scripts read; never judges.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use replisome_tests::flow::Silences;
use serde::Serialize;

use crate::scenario::Scenario;
use crate::scene::ROWS;

/// What one step came to in one round.
#[derive(Debug)]
pub struct Outcome {
    /// The longest silences.
    pub silences: Silences,
    /// How many partitions changed their owner or their epoch.
    pub moved: usize,
    /// How many records came again.
    pub twice: u64,
    /// From the act until the assignments were as they must become.
    pub settled: Duration,
}

/// A scenario's results. One that lost a record or saw one out of order has none.
#[derive(Debug, Serialize)]
pub struct Report {
    scenario: String,
    seed: u64,
    rounds: usize,
    workers: usize,
    partitions: usize,
    records_per_second: u64,
    records: u64,
    twice: usize,
    /// How often the assignments were looked at.
    looks: usize,
    seconds: u64,
    steps: Vec<Line>,
}

/// One step over all rounds; silences in milliseconds.
#[derive(Debug, Default, Serialize)]
struct Line {
    step: String,
    silence: Vec<u64>,
    others_silence_max: u64,
    load_silence_max: u64,
    moved: usize,
    twice: u64,
    settled: Vec<u64>,
}

impl Report {
    /// Nothing has happened yet.
    pub fn new(scenario: &Scenario) -> Self {
        let steps = scenario.step.iter().map(|step| Line { step: step.title(), ..Line::default() }).collect();
        Self {
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            rounds: scenario.rounds,
            workers: scenario.workers,
            partitions: ROWS,
            records_per_second: scenario.records_per_second,
            records: 0,
            twice: 0,
            looks: 0,
            seconds: 0,
            steps,
        }
    }

    /// What the step at this index came to in one more round.
    pub fn add(&mut self, index: usize, outcome: Outcome) {
        let line = &mut self.steps[index];
        let millis = |time: Duration| time.as_millis() as u64;
        line.silence.push(millis(outcome.silences.concerned));
        line.settled.push(millis(outcome.settled));
        line.others_silence_max = line.others_silence_max.max(millis(outcome.silences.others));
        line.load_silence_max = line.load_silence_max.max(millis(outcome.silences.load));
        line.moved += outcome.moved;
        line.twice += outcome.twice;
    }

    /// All rounds are done, and every record of the source was found at the target, first arrivals in order.
    pub fn finish(self, records: u64, twice: usize, looks: usize, took: Duration) -> Self {
        Self { records, twice, looks, seconds: took.as_secs(), ..self }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, rounds, workers, partitions, records_per_second, .. } = self;
        writeln!(
            f,
            "{scenario}: {rounds} rounds, seed {seed}; 3 controllers, {workers} workers, {partitions} partitions at \
             {records_per_second} records/s each"
        )?;
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header([
            "STEP",
            "SILENCE ms min/median/max",
            "SETTLED ms min/median/max",
            "MOVED",
            "TWICE",
            "OTHERS ms max",
            "LOAD ms max",
        ]);
        for line in &self.steps {
            table.add_row([
                line.step.clone(),
                spread(&line.silence),
                spread(&line.settled),
                line.moved.to_string(),
                line.twice.to_string(),
                line.others_silence_max.to_string(),
                line.load_silence_max.to_string(),
            ]);
        }
        let Self { records, twice, looks, seconds, .. } = self;
        writeln!(f, "{table}")?;
        write!(
            f,
            "{records} records, none lost, none out of order, {twice} twice; {looks} looks at the \
             assignments: no epoch fell, no epoch had two owners; {seconds} s"
        )
    }
}

fn spread(values: &[u64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    match sorted.as_slice() {
        [] => String::new(),
        all => format!("{}/{}/{}", all[0], all[all.len() / 2], all[all.len() - 1]),
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { silences, moved, twice, settled } = self;
        write!(f, "{moved} moves within {} ms, {silences}, {twice} records twice", settled.as_millis())
    }
}
