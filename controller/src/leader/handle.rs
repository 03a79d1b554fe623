//! What a user in the same process sees of a leader: commands in, state out.

use std::collections::BTreeMap;
use std::sync::RwLockReadGuard;

use common::assignment::{Progress, Running};
use common::ids::{Revision, RouteName, RoutePartition, SessionId};
use tokio::sync::watch;
use tokio::time::Instant;

use super::command_log::ProposeError;
use super::context::{Context, LeaderConfig, envelope};
use super::sessions::board::Liveness;
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

    /// How the leader times its work.
    pub fn config(&self) -> LeaderConfig {
        self.context.config
    }

    /// The table. Hold it for a moment only, never over an await: nothing is applied meanwhile.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.context.log.read()
    }

    /// How far each partition is, as last reported.
    pub fn progress(&self) -> BTreeMap<RoutePartition, Progress> {
        self.context.board.progress()
    }

    /// What runs and in which phase, as last reported, with the session that runs it.
    pub fn phases(&self) -> BTreeMap<RoutePartition, (SessionId, Running)> {
        self.context.board.running()
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

    /// What fails at a route's clusters, for the routes where something does: the look at its topics, or, of a removed
    /// route, the deletion of its offsets. What was known goes on.
    pub fn troubles(&self) -> BTreeMap<RouteName, kafka::error::Error> {
        self.context.troubles.all()
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

    /// Waits until the table fulfils a condition.
    pub async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let mut revisions = self.context.log.revisions();
        while !condition(&self.state()) {
            if revisions.changed().await.is_err() {
                return;
            }
        }
    }

    /// Changes when the table does.
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
