//! One scenario from its beginning to its end: brokers, a fleet behind relays, a steady load on 48 partitions. Owns setting
//! all of it up, and the judgement over all records at the end.

use std::time::Instant;

use replisome_tests::fleet::{Fleet, Table};
use replisome_tests::flow::Flow;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::Pace;
use replisome_tests::random::Random;

use crate::history::History;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::step::{self, Past};
use crate::victims::Victims;

const CONTROLLERS: usize = 3;
const TOPICS: usize = 6;
const PARTITIONS: i32 = 8;
/// All partitions.
pub const ROWS: usize = TOPICS * PARTITIONS as usize;

/// What a scenario works on.
pub struct Scene {
    /// The nodes.
    pub fleet: Fleet,
    /// The records.
    pub flow: Flow,
    /// The route's name.
    pub route: String,
}

/// Does all rounds.
///
/// # Panics
/// When a promise is broken.
#[track_caller]
pub fn run(scenario: &Scenario) -> Report {
    let started = Instant::now();
    let mut scene = Scene::set_up(scenario);
    eprintln!("{ROWS} partitions flow after {:.1?}; seed {}", started.elapsed(), scenario.seed);
    let history = History::watch(&scene.fleet.addresses());
    let mut report = Report::new(scenario);
    let (random, victims) = (Random::new(scenario.seed), Victims::default());
    let mut past = Past { random, victims, done: Instant::now(), table: scene.fleet.table() };
    for round in 0..scenario.rounds {
        for (index, step) in scenario.step.iter().enumerate() {
            let outcome = step::take(step, round, scenario, &mut scene, &mut past);
            eprintln!("round {}: {} ({}): {outcome}", round + 1, step.title(), past.victims);
            report.add(index, outcome);
        }
    }
    let looks = history.judge();
    let Scene { fleet, flow, .. } = scene;
    let (source, topics) =
        (flow.source().to_owned(), flow.topics().iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>());
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let (records, twice) = flow.judge(|| fleet.wait_until_caught_up(&source, &topics));
    report.finish(records, twice, looks, started.elapsed())
}

impl Scene {
    fn set_up(scenario: &Scenario) -> Self {
        let (source, target) = shared();
        let route = scenario.name.clone();
        let topics: Vec<String> = (0..TOPICS).map(|number| format!("{route}-{number}")).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let pace = Pace { interval: scenario.interval(), batch: 1, value_len: 0 };
        let flow = Flow::start(source, target, &topics, PARTITIONS, pace);
        let mut fleet = Fleet::prepare(CONTROLLERS, scenario.workers).behind_relays();
        for (key, value) in &scenario.timing {
            let variable = format!("REPLISOME_TIMING_{}", key.to_uppercase().replace('-', "_"));
            fleet.controllers.iter_mut().for_each(|node| node.set_environment(&variable, value));
        }
        fleet.start_all();
        fleet.add_route(&route, source, target, &["--include", &format!("{route}-[0-9]")]);
        let scene = Self { fleet, flow, route };
        scene.wait_until_spread();
        scene.flow.wait_for_first();
        scene.wait_until_caught_up();
        scene
    }

    /// Waits until all workers have the same number of partitions, and copy them.
    #[track_caller]
    pub fn wait_until_spread(&self) -> Table {
        let share = ROWS / self.fleet.workers.len();
        let counts: Vec<(&str, usize)> = self.fleet.workers.iter().map(|node| (node.name(), share)).collect();
        self.fleet.wait_for_counts(&counts)
    }

    /// Waits until all that the source holds now is at the target.
    #[track_caller]
    pub fn wait_until_caught_up(&self) {
        self.fleet.wait_until_caught_up(self.flow.source(), &self.flow.topics());
    }
}
