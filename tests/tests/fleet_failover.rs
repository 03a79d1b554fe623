//! Nodes of a fleet die under load: what they had goes on elsewhere, and nobody else notices. Silences are the longest
//! intervals without an arrival at an independent consumer of the target, beside the baseline of the same run.

#[path = "fleet_failover/controllers.rs"]
mod controllers;
#[path = "fleet_failover/workers.rs"]
mod workers;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use replisome_tests::fleet::{Fleet, Place, Table};
use replisome_tests::flow::Flow;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::STEADY;

const TOPICS: usize = 6;
const PARTITIONS: i32 = 8;
const ROWS: usize = 48;
/// What each of three workers has.
const SHARE: usize = 16;

/// A silence measured beside another test's load says nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Three controllers and three workers that copy 48 partitions with 50 records a second each.
struct Scene {
    fleet: Fleet,
    flow: Flow,
    route: &'static str,
}

impl Scene {
    fn new(route: &'static str) -> Self {
        let (source, target) = shared();
        let topics: Vec<String> = (0..TOPICS).map(|number| format!("{route}-{number}")).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let flow = Flow::start(source, target, &topics, PARTITIONS, STEADY);
        let fleet = Fleet::start(3, 3);
        let started = Instant::now();
        fleet.add_route(route, source, target, &["--include", &format!("{route}-[0-9]")]);
        let scene = Self { fleet, flow, route };
        scene.wait_until_spread();
        scene.flow.wait_for_first();
        scene.wait_until_caught_up();
        eprintln!("{route}: {ROWS} partitions copied {:?} after the route was added", started.elapsed());
        scene
    }

    /// Waits until each worker has its share.
    #[track_caller]
    fn wait_until_spread(&self) -> Table {
        self.fleet.wait_for_counts(&[("w1", SHARE), ("w2", SHARE), ("w3", SHARE)])
    }

    #[track_caller]
    fn wait_until_caught_up(&self) {
        self.fleet.wait_until_caught_up(self.flow.source(), &self.flow.topics());
    }

    /// The table, whose rows each have an owner.
    #[track_caller]
    fn table(&self) -> Table {
        let table = self.fleet.table();
        assert!(table.rows.len() >= ROWS, "{table:#?}");
        table
    }

    /// Everything has arrived, in order; prints what came twice.
    #[track_caller]
    fn judge(self) {
        let Self { fleet, flow, route } = self;
        let (source, topics) =
            (flow.source().to_owned(), flow.topics().into_iter().map(str::to_owned).collect::<Vec<_>>());
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let (records, twice) = flow.judge(|| fleet.wait_until_caught_up(&source, &topics));
        eprintln!("{route}: {records} records, none lost, first arrivals in order; {twice} came twice");
    }
}

fn places(changes: &[replisome_tests::fleet::Change]) -> BTreeSet<Place> {
    changes.iter().map(|change| change.place.clone()).collect()
}
