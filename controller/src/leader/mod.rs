//! What exists only while leading: one value, whose tasks stop when it is dropped.
//!
//! Owns the dealings with Kafka's administration and with workers, and the memory that goes with them. Never decides by
//! itself: what is wanted stands in the table, what follows from it is the planner's, and what is done is a command.
//! Knows a `CommandLog` and a `Net`, not what carries them.
//!
//! ```text
//!  Kafka --look--> topics ----ReportTopics----+            +--> reconcile: released? plan -> Moves
//!                                             v            |
//!  worker --Hello--> sessions --Register--> CommandLog --> table changed
//!     ^     Inventory    |    --Expire----->               |
//!     |     Progress     v                                 |
//!     |                board (memory) --changed------------+
//!     |                  |                                 |
//!     |                  +-rates-> traffic --Exchange------+
//!     |                  +-stored> offsets --NoteOffsets---> (wakes nobody)
//!     |                                                    |
//!     +------------------- Snapshot (latest wins) <--------+--> push
//! ```
//!
//! - It begins with a barrier, `BeginLeadership`: all it does stands behind it in the log.
//! - Every round starts from the table, so a lost message, a stale plan or a proposal of unknown outcome costs a round
//!   and breaks nothing.
//! - Calls to Kafka and rounds over the whole table are made on blocking threads; a cluster that fails leaves the facts as
//!   they are.

mod changes;
mod claims;
pub mod command_log;
mod context;
mod each_route;
mod entries;
#[cfg(test)]
mod fleet_test;
mod handle;
#[cfg(test)]
mod leader_test;
pub mod net;
mod off_runtime;
mod offsets;
#[cfg(test)]
mod offsets_test;
#[cfg(test)]
mod operators_test;
#[cfg(test)]
mod pools_test;
mod push;
#[cfg(test)]
mod rebalance_test;
mod reconcile;
mod releases;
#[cfg(test)]
mod releases_test;
mod retire;
mod sessions;
mod table_work;
mod tasks;
pub mod topics;
mod traffic;
mod troubles;

use std::sync::Arc;

use common::bug::{self, Bug};
use tokio::time::Instant;
use tracing::info;

use crate::state::Command;
use command_log::{CommandLog, ProposeError};
use context::Context;
use net::Net;
use tasks::Tasks;
use topics::ClusterAccess;

pub use context::LeaderConfig;
pub(crate) use context::now_ms;
pub use handle::LeaderHandle;
pub use sessions::board::Liveness;
pub use tasks::End;

/// A leadership.
pub struct Leader {
    tasks: Tasks,
    context: Context,
}

impl Leader {
    /// Commits the barrier and starts to lead.
    pub async fn start(
        log: Arc<dyn CommandLog>,
        net: Box<dyn Net>,
        clusters: Arc<dyn ClusterAccess>,
        config: LeaderConfig,
    ) -> Result<Self, ProposeError> {
        let context = Context::new(log, clusters.clone(), config);
        if !bug::is(Bug::NoBarrier) {
            let outcome = context.propose(Command::BeginLeadership).await?;
            info!(revision = %outcome.revision, "leadership begins");
        }
        context.board.align(context.log.read().sessions().keys(), Instant::now() + config.lease);
        let mut tasks = Tasks::default();
        tasks.spawn(sessions::serve::accept(context.clone(), net));
        tasks.spawn(sessions::leases::watch(context.clone()));
        tasks.spawn(topics::run(context.clone(), clusters.clone()));
        tasks.spawn(claims::run(context.clone(), clusters.clone()));
        tasks.spawn(retire::run(context.clone(), clusters));
        tasks.spawn(reconcile::run(context.clone()));
        tasks.spawn(push::run(context.clone()));
        tasks.spawn(traffic::run(context.clone()));
        tasks.spawn(offsets::run(context.clone()));
        Ok(Self { tasks, context })
    }

    /// A handle for users in the same process.
    pub fn handle(&self) -> LeaderHandle {
        LeaderHandle::new(self.context.clone())
    }

    /// Waits until it can lead no more. Cancel-safe.
    pub async fn ended(&mut self) -> End {
        self.tasks.ended().await
    }

    /// Stops leading and waits for its tasks. Calls to Kafka that are under way are left to their threads.
    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}
