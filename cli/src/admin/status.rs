//! `replisome status`: one page on the whole fleet. It can be told without a leader, in which case it says so.

use std::collections::BTreeMap;

use proto::v1::{GetStatusReply, GetStatusRequest, RebalanceState};
use serde::Serialize;

use super::controller::{ControllerRow, leader};
use super::print::{self, Row};
use super::route::RouteRow;
use super::worker::WorkerRow;
use super::{Admin, Fleet, FleetArgs, units};
use crate::failure::Failure;

/// One page: controllers, workers, routes, lag, what is wrong and what to do about it
#[derive(clap::Args)]
#[command(
    after_help = "Exit code 0 if a controller could tell, problems or not: scripts look at `problems` in the JSON."
)]
pub struct StatusCommand {
    #[command(flatten)]
    fleet: FleetArgs,
}

impl StatusCommand {
    /// Runs it.
    pub fn run(self) -> Result<(), Failure> {
        self.fleet.run(status)
    }
}

/// The page as scripts read it.
#[derive(Serialize)]
struct Status {
    fleet: Option<String>,
    led: bool,
    revision: u64,
    controller_epoch: u64,
    controllers: Vec<ControllerRow>,
    workers: Vec<WorkerRow>,
    routes: Vec<RouteRow>,
    partitions: BTreeMap<String, u32>,
    rebalance: Option<Rebalance>,
    problems: Vec<Problem>,
}

/// How balance stands.
#[derive(Serialize)]
struct Rebalance {
    state: String,
    since: Option<u64>,
    moves: u32,
    moves_max: Option<u32>,
}

#[derive(Serialize)]
struct Problem {
    what: String,
    remedy: String,
}

impl From<GetStatusReply> for Status {
    fn from(reply: GetStatusReply) -> Self {
        let problem = |problem: proto::v1::Problem| Problem { what: problem.what, remedy: problem.remedy };
        Self {
            fleet: units::given(reply.fleet),
            led: reply.led,
            revision: reply.revision,
            controller_epoch: reply.controller_epoch,
            controllers: reply.controllers.into_iter().map(ControllerRow::from).collect(),
            workers: reply.workers.into_iter().map(WorkerRow::from).collect(),
            routes: reply.routes.into_iter().map(RouteRow::from).collect(),
            partitions: reply.partitions.into_iter().collect(),
            rebalance: reply.rebalance.map(Rebalance::from),
            problems: reply.problems.into_iter().map(problem).collect(),
        }
    }
}

impl From<RebalanceState> for Rebalance {
    fn from(RebalanceState { state, since, moves, moves_max }: RebalanceState) -> Self {
        Self { state, since: Some(since).filter(|since| *since > 0), moves, moves_max }
    }
}

impl Rebalance {
    /// What a person is told of it; nothing while there is nothing to tell.
    fn text(&self) -> String {
        let Self { state, since, moves, moves_max } = self;
        let since = since.map(|since| format!(" since revision {since}")).unwrap_or_default();
        match state.as_str() {
            "idle" => String::new(),
            "running" => {
                let most = moves_max.map(|max| format!(" of {max}")).unwrap_or_default();
                format!("running{since}, moves so far: {moves}{most}")
            }
            state => format!("{state}{since}"),
        }
    }
}

async fn status(fleet: Fleet) -> Result<(), Failure> {
    let call = async |mut admin: Admin| admin.get_status(GetStatusRequest {}).await;
    let reply = fleet
        .client
        .survey(call, |reply| reply.led, |reply| reply.revision, |reply| leader(&reply.controllers))
        .await?;
    let status = Status::from(reply);
    print::object(fleet.format, &status, || status.page())
}

impl Status {
    fn page(&self) -> String {
        let known = |text: &Option<String>| units::text(text.as_deref().unwrap_or_default());
        let mut page = if self.led {
            let partitions: Vec<_> = self
                .partitions
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(state, count)| format!("{count} {state}"))
                .collect();
            print::page(&[
                ("Fleet", known(&self.fleet)),
                ("Revision", self.revision.to_string()),
                ("Partitions", if partitions.is_empty() { "none".to_owned() } else { partitions.join(", ") }),
                ("Rebalance", self.rebalance.as_ref().map(Rebalance::text).unwrap_or_default()),
            ])
        } else {
            print::page(&[("Fleet", known(&self.fleet)), ("Leader", "none: the table can't be read".to_owned())])
        };
        section(&mut page, "Controllers", &self.controllers, "none known");
        if self.led {
            section(&mut page, "Workers", &self.workers, "none");
            section(&mut page, "Routes", &self.routes, "none");
        }
        page.push_str("\nProblems\n");
        if self.problems.is_empty() {
            page.push_str("  none\n");
        }
        for (index, Problem { what, remedy }) in self.problems.iter().enumerate() {
            page.push_str(&format!("  {}. {what}\n     {remedy}\n", index + 1));
        }
        page
    }
}

/// How far the tables are set in.
const INDENT: u16 = 2;

fn section<R: Row>(page: &mut String, title: &str, rows: &[R], none: &str) {
    page.push_str(&format!("\n{title}\n"));
    let text = if rows.is_empty() { none.to_owned() } else { print::table(rows, INDENT) };
    for line in text.lines() {
        page.push_str(&format!("  {line}\n"));
    }
}
