//! Work on a fleet that is planned: topics come, grow and go, workers leave, partitions move, load is evened out, routes
//! end, pools are apart. Whoever it does not concern does not notice, and nothing that was planned costs a duplicate.

#[path = "fleet_topics/changes.rs"]
mod changes;
#[path = "fleet_topics/load.rs"]
mod load;
#[path = "fleet_topics/moves.rs"]
mod moves;
#[path = "fleet_topics/pools.rs"]
mod pools;
#[path = "fleet_topics/routes.rs"]
mod routes;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use replisome_tests::fleet::{Fleet, Place, Table};
use replisome_tests::flow::{Flow, Silences};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::STEADY;

/// A silence measured beside another test's load says nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fleet whose route copies one topic under load, beside which things change.
struct Scene {
    fleet: Fleet,
    flow: Flow,
    route: &'static str,
}

impl Scene {
    /// The topic is called `ROUTE-steady`; the route includes `ROUTE-.*`.
    fn new(route: &'static str, workers: usize, partitions: i32) -> Self {
        Self::on(Fleet::start(3, workers), route, partitions)
    }

    /// The same on a fleet that runs already.
    fn on(fleet: Fleet, route: &'static str, partitions: i32) -> Self {
        let (source, target) = shared();
        let flow = Flow::start(source, target, &[&format!("{route}-steady")], partitions, STEADY);
        fleet.add_route(route, source, target, &["--include", &format!("{route}-.*")]);
        let scene = Self { fleet, flow, route };
        scene.fleet.wait_until_copying(partitions as usize);
        scene.flow.wait_for_first();
        scene.wait_until_caught_up();
        scene
    }

    #[track_caller]
    fn wait_until_caught_up(&self) {
        self.fleet.wait_until_caught_up(self.flow.source(), &self.flow.topics());
    }

    /// The steady topic's rows.
    #[track_caller]
    fn steady(&self) -> Table {
        let topics = self.flow.topics();
        let mut table = self.fleet.table();
        table.rows.retain(|(topic, _), _| topics.contains(&topic.as_str()));
        assert_eq!(table.rows.len(), self.flow.places());
        table
    }

    fn silences(&self, from: Instant, fault: Instant, concerned: &BTreeSet<Place>) -> Silences {
        self.flow.silences(from, fault, Instant::now(), concerned)
    }

    /// Everything has arrived, in order; gives how many came twice.
    #[track_caller]
    fn judge(self) -> usize {
        let Self { fleet, flow, route } = self;
        let (source, topic) = (flow.source().to_owned(), flow.topics()[0].to_owned());
        let (records, twice) = flow.judge(|| fleet.wait_until_caught_up(&source, &[&topic]));
        eprintln!("{route}: {records} records, none lost, first arrivals in order; {twice} came twice");
        twice
    }
}
