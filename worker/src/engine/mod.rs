//! Ways to copy. The supervisor knows only the trait `Engine`; `records` is the one engine so far: it copies record by
//! record, with lanes (the copy loops) and one keeper a route (claims and stored offsets).
//!
//! ```text
//!   supervisor -> Engine::start / stop -> lane 1..n  <-> source, sink
//!        ^                             |  ^
//!        +----- Board (statuses) <-----+  +--- questions, answers --- keeper <-> offsets, topics
//! ```

pub mod board;
pub mod keeper;
pub mod lane;
mod lane_loop;
pub mod ledger;
pub mod limits;
pub mod records;

use std::collections::BTreeSet;

use common::assignment::{Grant, Progress, Running, UncleanRelease};
use common::config::RouteConfig;
use common::ids::{Epoch, RouteName, RoutePartition};
use kafka::error::Error;
use tokio::time::Instant;

/// A way to copy partitions. Calls return at once; what came of them is in `statuses`.
pub trait Engine: Send + Sync + 'static {
    /// Begins to claim, then to copy. The partition must not be running.
    ///
    /// # Errors
    /// The route's clients can't be made from its properties.
    fn start(&self, route: &RouteConfig, grant: Grant) -> Result<(), Error>;

    /// Begins to release a partition, by the deadline at the latest. It is released once `statuses` has it no more:
    /// then nothing of it can be written or stored by this process.
    fn stop(&self, partition: &RoutePartition, by: Instant);

    /// Everything that can still write.
    fn statuses(&self) -> Vec<Status>;

    /// The latest releases that were not clean. One that `statuses` no longer has is here by then, if it was not.
    fn unclean(&self) -> Vec<UncleanRelease>;

    /// Returns when something was started, was released, or is doing something else than before. Cancel-safe.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// Returns the name of a thread that panicked, once one has: nothing is known of its partitions any more. Cancel-safe.
    fn broken(&self) -> impl Future<Output = String> + Send;

    /// Lets go of what all other routes hold; none of them may run anything.
    fn keep_only(&self, routes: &BTreeSet<RouteName>);
}

/// A partition that was let go: nothing of it can be written or stored any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Released {
    /// Which.
    pub partition: RoutePartition,
    /// Under which epoch it was held.
    pub epoch: Epoch,
    /// Whether all that was sent has arrived, and how far that is was stored.
    pub clean: bool,
}

/// A running partition.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// What it is and does.
    pub running: Running,
    /// Whether it was told to stop.
    pub stopping: bool,
    /// How far it is, once its lane said so.
    pub progress: Option<Progress>,
}
