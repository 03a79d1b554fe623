//! `replisome rebalance …`: moves for balance, shown before they are made, run, frozen.

use clap::Subcommand;
use proto::v1::{
    FreezeRebalanceRequest, PlanRebalanceRequest, PlannedMove, RoutePartition, RunRebalanceRequest,
    UnfreezeRebalanceRequest,
};
use serde::Serialize;

use super::print::{self, Row};
use super::{Admin, Fleet, FleetArgs};
use crate::failure::Failure;
use crate::output;

/// Balance: see what a rebalance would move, run one, freeze all moves that only a wish makes
#[derive(clap::Args)]
pub struct RebalanceCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show what `run` would move, and why; moves nothing
    Plan {
        /// As many moves at the most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        max_moves: Option<u32>,
    },
    /// Move partitions until each worker has its even share, a bounded number at a time
    Run {
        /// As many moves at the most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        max_moves: Option<u32>,
    },
    /// Let nothing move for balance, for workers that join, or to where it is pinned
    ///
    /// What must move goes on: from lost and drained workers, to where `assignment move` sends it, what is removed. A
    /// rebalance that is under way is over.
    Freeze,
    /// Let partitions move again for balance
    Unfreeze,
}

impl RebalanceCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Plan { max_moves } => self.fleet.run(async |fleet| plan(fleet, max_moves).await),
            Verb::Run { max_moves } => self.fleet.run(async |fleet| run(fleet, max_moves).await),
            Verb::Freeze => self.fleet.run(freeze),
            Verb::Unfreeze => self.fleet.run(unfreeze),
        }
    }
}

/// A move that would be made, as scripts read it.
#[derive(Serialize)]
pub struct PlannedMoveRow {
    route: String,
    topic: String,
    partition: u32,
    from: String,
    to: String,
    cause: String,
    text: String,
}

impl From<PlannedMove> for PlannedMoveRow {
    fn from(planned: PlannedMove) -> Self {
        let RoutePartition { route, topic, partition } = planned.partition.unwrap_or_default();
        let PlannedMove { from, to, cause, text, .. } = planned;
        Self { route, topic, partition, from, to, cause, text }
    }
}

impl Row for PlannedMoveRow {
    const COLUMNS: &'static [&'static str] = &["ROUTE", "TOPIC", "PARTITION>", "FROM", "TO", "REASON"];

    fn cells(&self) -> Vec<String> {
        let Self { route, topic, partition, from, to, cause: _, text } = self;
        vec![route.clone(), topic.clone(), partition.to_string(), from.clone(), to.clone(), text.clone()]
    }
}

async fn plan(fleet: Fleet, moves_max: Option<u32>) -> Result<(), Failure> {
    let request = PlanRebalanceRequest { moves_max };
    let reply = fleet.client.read(async |mut admin| admin.plan_rebalance(request).await).await?;
    if reply.frozen {
        output::note(
            "note: moves for balance are frozen; nothing of this is made before: replisome rebalance unfreeze",
        );
    }
    let rows: Vec<_> = reply.moves.into_iter().map(PlannedMoveRow::from).collect();
    print::list(fleet.format, &rows, "nothing to move: each worker has its even share")
}

/// The command that shows how balance stands.
const FIND_OUT: &str = "replisome status";

async fn run(fleet: Fleet, moves_max: Option<u32>) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.run_rebalance(RunRebalanceRequest { context: Some(context), moves_max }).await
    };
    fleet.change(FIND_OUT, "a rebalance begins", "nothing was begun", call).await
}

async fn freeze(fleet: Fleet) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.freeze_rebalance(FreezeRebalanceRequest { context: Some(context) }).await
    };
    fleet.change(FIND_OUT, "moves for balance are frozen", "they are frozen already; nothing was changed", call).await
}

async fn unfreeze(fleet: Fleet) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.unfreeze_rebalance(UnfreezeRebalanceRequest { context: Some(context) }).await
    };
    let exists = "moves for balance are not frozen; nothing was changed";
    fleet.change(FIND_OUT, "moves for balance are no longer frozen", exists, call).await
}
