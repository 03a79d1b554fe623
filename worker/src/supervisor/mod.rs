//! Makes what runs here equal to what the leader wants here.
//!
//! Owns: the newest snapshot, and the way from it to starts and stops. Never does: obey a snapshot of another session or
//! an older one (C8), start a partition that still runs under another epoch.

pub mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::assignment::{Grant, Inventory, Phase, Progress, RELEASE_TIMEOUT, Running, Snapshot, Version};
use common::bug::{self, Bug};
use common::config::RouteConfig;
use common::ids::{RouteName, RoutePartition, SessionId};
use common::reason::Reason;
use tokio::time::Instant;

use crate::engine::{Engine, Status};
use crate::say::say;
use crate::supervisor::plan::{RunningState, WorkPlan};

/// Makes what runs equal to what is wanted.
pub struct Supervisor<E> {
    engine: Arc<E>,
    session: SessionId,
    applied: Version,
    routes: BTreeMap<RouteName, RouteConfig>,
    wanted: BTreeMap<RoutePartition, Grant>,
    /// How many grants the applied snapshot has, wanted or not.
    granted: usize,
    /// Whether everything is being given back.
    leaving: bool,
    /// Wanted, but the engine can't start them, and why.
    failed: BTreeMap<RoutePartition, Running>,
}

impl<E: Engine> Supervisor<E> {
    /// A supervisor that wants nothing yet.
    pub fn new(engine: Arc<E>, session: SessionId) -> Self {
        Self {
            engine,
            session,
            applied: Version::default(),
            routes: BTreeMap::new(),
            wanted: BTreeMap::new(),
            granted: 0,
            leaving: false,
            failed: BTreeMap::new(),
        }
    }

    /// Takes a snapshot over, unless it is another session's or older than the applied one.
    pub fn apply(&mut self, snapshot: &Snapshot, now: Instant) {
        let is_older = snapshot.version < self.applied && !bug::is(Bug::OldSnapshot);
        if snapshot.session != self.session || is_older {
            tracing::warn!(session = %snapshot.session, revision = %snapshot.version.revision, "snapshot dropped: not ours, or older");
            return;
        }
        self.applied = snapshot.version;
        self.stop_other_incarnations(snapshot, now);
        self.routes = snapshot.routes.iter().map(|route| (route.name.clone(), route.clone())).collect();
        self.granted = snapshot.grants.len();
        let grants = snapshot.grants.iter().filter(|_| !self.leaving);
        self.wanted = grants.map(|grant| (grant.partition.clone(), grant.clone())).collect();
        self.reconcile(now);
    }

    /// What runs of another incarnation of a route is stopped whatever its epoch is, which was counted apart.
    fn stop_other_incarnations(&self, snapshot: &Snapshot, now: Instant) {
        let is_other = |route: &&RouteConfig| {
            self.routes.get(&route.name).is_some_and(|known| known.incarnation != route.incarnation)
        };
        let others: BTreeSet<&RouteName> = snapshot.routes.iter().filter(is_other).map(|route| &route.name).collect();
        if others.is_empty() {
            return;
        }
        for Status { running, stopping, .. } in self.engine.statuses() {
            if !stopping && others.contains(&running.partition.route) {
                self.engine.stop(&running.partition, now + RELEASE_TIMEOUT);
            }
        }
    }

    /// Wants nothing any more, whatever snapshots say: everything is given back. They are still applied, so that the leader
    /// sees its releases confirmed.
    pub fn want_nothing(&mut self, now: Instant) {
        self.leaving = true;
        self.wanted.clear();
        self.reconcile(now);
    }

    /// Stops and starts what differs. To be called again whenever the engine changed, since a stop makes room for a start.
    pub fn reconcile(&mut self, now: Instant) {
        let running: BTreeMap<RoutePartition, RunningState> = self
            .engine
            .statuses()
            .into_iter()
            .map(|Status { running, stopping, .. }| {
                (running.partition, RunningState { epoch: running.epoch, stopping })
            })
            .collect();
        let plan = WorkPlan::build(&running, &self.wanted);
        if !plan.is_empty() && self.failed.is_empty() {
            let (starts, stops, keeps) = (plan.starts.len(), plan.stops.len(), plan.keeps);
            tracing::info!(revision = %self.applied.revision, starts, stops, keeps, "plan");
            tracing::debug!(revision = %self.applied.revision, "{plan}");
        }
        for (partition, _) in plan.stops {
            self.engine.stop(&partition, now + RELEASE_TIMEOUT);
        }
        let known_failures = std::mem::take(&mut self.failed);
        // One failure of a route's clients is enough to know.
        let mut broken: BTreeMap<RouteName, String> = BTreeMap::new();
        for grant in plan.starts {
            let known = broken.get(&grant.partition.route).cloned();
            if let Some(text) = self.start(&grant, known, &known_failures) {
                broken.insert(grant.partition.route.clone(), text);
            }
        }
        let works = running.keys().chain(self.wanted.keys()).map(|partition| partition.route.clone());
        self.engine.keep_only(&works.collect());
    }

    /// Whether something wanted could not be started, so that `reconcile` should be tried again after a while.
    pub fn has_failed_starts(&self) -> bool {
        !self.failed.is_empty()
    }

    /// All that runs, as the leader is told it.
    pub fn inventory(&self) -> Inventory {
        let running = self.engine.statuses().into_iter().map(|status| status.running);
        let running = running.chain(self.failed.values().cloned()).collect();
        // After what runs: whoever is told that a partition is released is told how.
        Inventory { applied: self.applied, running, unclean: self.engine.unclean() }
    }

    /// How far each running partition is.
    pub fn progress(&self) -> Vec<Progress> {
        self.engine.statuses().into_iter().filter_map(|status| status.progress).collect()
    }

    /// Whether the leader has taken back everything it had granted.
    pub fn owes_nothing(&self) -> bool {
        self.granted == 0
    }

    /// Whether nothing can be written by this process any more.
    pub fn is_idle(&self) -> bool {
        self.engine.statuses().is_empty()
    }

    /// Starts a partition. Returns why it can't; `known` is why its route can't, if that is known, and
    /// what failed in the same way before was said then.
    fn start(
        &mut self,
        grant: &Grant,
        known: Option<String>,
        before: &BTreeMap<RoutePartition, Running>,
    ) -> Option<String> {
        let (partition, epoch) = (grant.partition.clone(), grant.epoch);
        let outcome = match (known, self.routes.get(&partition.route)) {
            (Some(text), _) => Err(text),
            (None, Some(route)) => self.engine.start(route, grant.clone()).map_err(|error| error.text),
            (None, None) => Err("the snapshot does not describe its route".to_owned()),
        };
        let text = outcome.err()?;
        let phase = Phase::held(Reason::Waiting { text: text.clone() });
        let failed = Running { partition: partition.clone(), epoch, phase };
        if before.get(&partition) != Some(&failed) {
            say!(error, partition, epoch, error = text, "partition can't be started, trying again");
        }
        self.failed.insert(partition, failed);
        Some(text)
    }
}
