//! What a user in the same process sees of a leader: commands in, state out.

use std::collections::BTreeMap;
use std::sync::RwLockReadGuard;
use std::time::Duration;

use common::assignment::{Phase, Progress, RELEASE_TIMEOUT};
use common::ids::{Epoch, FleetId, Revision, RouteName, RoutePartition, SessionId, WorkerId};
use tokio::sync::watch;
use tokio::time::Instant;

use super::command_log::ProposeError;
use super::context::{Context, LeaderConfig, envelope};
use super::sessions::board::Liveness;
use super::table_work::TableWork;
use crate::state::{Command, Outcome, RequestId, State};

/// A leader, seen from the same process. Cheap to clone; outlives the leader harmlessly.
#[derive(Clone)]
pub struct LeaderHandle {
    context: Context,
}

impl LeaderHandle {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Proposes an operator's command under a request id of its own.
    pub async fn propose(&self, actor: &str, command: Command) -> Result<Outcome, ProposeError> {
        self.propose_request(RequestId(ulid::Ulid::generate()), actor, command).await
    }

    /// Proposes an operator's command under the request id that the operator's tool gave it.
    pub async fn propose_request(
        &self,
        request: RequestId,
        actor: &str,
        command: Command,
    ) -> Result<Outcome, ProposeError> {
        self.context.log.propose(envelope(Some(request), actor, command)).await
    }

    /// How alive each session looks.
    pub fn liveness(&self) -> BTreeMap<SessionId, Liveness> {
        self.context.board.liveness(Instant::now())
    }

    /// Rounds over the whole table.
    pub(crate) fn table_work(&self) -> TableWork {
        self.context.table_work()
    }

    /// How the leader times its work.
    pub fn config(&self) -> LeaderConfig {
        self.context.config
    }

    /// The table. Hold it for a moment only, never over an await: nothing is applied meanwhile.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.context.log.read()
    }

    /// In which phase a partition is and how far, as its owner last reported of what it was granted.
    pub fn reported(&self, owner: (SessionId, Epoch), partition: &RoutePartition) -> (Option<Phase>, Option<Progress>) {
        self.context.board.reported(owner, partition)
    }

    /// What a partition brings, in bytes a second; known a while after it was first reported.
    pub fn rate(&self, partition: &RoutePartition) -> Option<u64> {
        self.context.meters.of(partition).map(|meter| meter.rate)
    }

    /// What each partition brings, in bytes a second.
    pub fn rates(&self) -> BTreeMap<RoutePartition, u64> {
        self.context.meters.rates()
    }

    /// Whether the first complete look at the source of every route is in the table: each topic found then has its
    /// facts or a reason to wait.
    pub fn topics_ready(&self) -> bool {
        self.state().routes().values().all(|route| route.surveyed)
    }

    /// Waits for `topics_ready`.
    pub async fn wait_for_topics(&self) {
        self.wait_until(|state| state.routes().values().all(|route| route.surveyed)).await;
    }

    /// The partitions that were to be given back longer than a release takes ago, and how long.
    pub fn overdue_releases(&self) -> BTreeMap<RoutePartition, Duration> {
        self.context.releases.overdue(Instant::now(), RELEASE_TIMEOUT)
    }

    /// The workers that start anew again and again.
    pub fn flapping(&self) -> Vec<WorkerId> {
        self.context.quick_returns.flapping(Instant::now())
    }

    /// The workers that ask to join and copy for another fleet, and for which.
    pub fn strangers(&self) -> BTreeMap<WorkerId, FleetId> {
        self.context.strangers.all(Instant::now())
    }

    /// What fails at a route's clusters, for the routes where something does: the look at its topics, or, of a removed
    /// route, the deletion of its offsets. What was known goes on.
    pub fn troubles(&self) -> BTreeMap<RouteName, kafka::error::Error> {
        self.context.troubles.all()
    }

    /// Why partitions of a route that lost their owner can't be claimed, for the routes where they can't.
    pub fn claim_troubles(&self) -> BTreeMap<RouteName, kafka::error::Error> {
        self.context.claim_troubles.all()
    }

    /// Takes everything back from a session and waits until nothing more can be written by it, or it is gone. Bound
    /// the wait from outside.
    pub async fn drain(&self, session: SessionId) -> Result<(), ProposeError> {
        self.propose("drain", Command::DrainSession { session }).await?;
        let owns = |state: &State| {
            let mut owners = state.slots().values().filter_map(|slot| slot.life.owner());
            owners.any(|(owner, _)| owner == session)
        };
        self.wait_until(|state| !owns(state)).await;
        Ok(())
    }

    /// Waits until the table fulfils a condition. What `Command::is_news` leaves out is seen with the next change.
    pub async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let mut revisions = self.context.log.revisions();
        while !condition(&self.state()) {
            if revisions.changed().await.is_err() {
                return;
            }
        }
    }

    /// Changes when the table does, as far as anything may follow from it.
    pub fn revisions(&self) -> watch::Receiver<Revision> {
        self.context.log.revisions()
    }

    /// Changes when a session comes, goes, or reports another inventory.
    pub fn inventories(&self) -> watch::Receiver<u64> {
        self.context.board.changes()
    }

    /// Changes when progress is reported.
    pub fn reports(&self) -> watch::Receiver<u64> {
        self.context.board.reports()
    }
}
