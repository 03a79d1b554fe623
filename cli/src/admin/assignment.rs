//! `replisome assignment …`: who copies what.

use clap::Subcommand;
use common::ids::{RouteName, TopicName, WorkerId};
use proto::v1::{Assignment, ListAssignmentsRequest, MoveAssignmentRequest, RoutePartition};
use serde::Serialize;

use super::print::{self, Row};
use super::reason::{self, ReasonRow};
use super::{Admin, Fleet, FleetArgs, units};
use crate::failure::Failure;

/// Assignments: which worker copies which partition
#[derive(clap::Args)]
pub struct AssignmentCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List who copies what, how far it is, and why a partition stands still
    #[command(visible_alias = "ls")]
    List {
        /// Only this route
        #[arg(long, short, value_name = "ROUTE")]
        route: Option<RouteName>,
        /// Only this source topic
        #[arg(long, short, value_name = "TOPIC")]
        topic: Option<TopicName>,
        /// Only what this worker has
        #[arg(long, short, value_name = "ID")]
        worker: Option<WorkerId>,
    },
    /// Give one partition to another worker
    Move {
        /// The route
        #[arg(long, short, value_name = "ROUTE")]
        route: RouteName,
        /// The source topic
        #[arg(long, short, value_name = "TOPIC")]
        topic: TopicName,
        /// The partition
        #[arg(long, short, value_name = "N")]
        partition: u32,
        /// The worker it goes to
        #[arg(long, value_name = "ID")]
        to: WorkerId,
    },
}

impl AssignmentCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::List { route, topic, worker } => {
                let text = |name: Option<String>| name.unwrap_or_default();
                let request = ListAssignmentsRequest {
                    route: text(route.map(String::from)),
                    topic: text(topic.map(String::from)),
                    worker: text(worker.map(String::from)),
                };
                self.fleet.run(async |fleet| list(fleet, request).await)
            }
            Verb::Move { route, topic, partition, to } => {
                let partition = RoutePartition { route: route.into(), topic: topic.into(), partition };
                self.fleet.run(async |fleet| move_to(fleet, partition, &to).await)
            }
        }
    }
}

/// A row of the assignment table as scripts read it.
#[derive(Serialize)]
pub struct AssignmentRow {
    route: String,
    topic: String,
    partition: u32,
    target_topic: String,
    state: String,
    worker: Option<String>,
    session: Option<String>,
    epoch: u64,
    next_offset: Option<i64>,
    stored_offset: Option<i64>,
    lag: Option<u64>,
    lag_seconds: Option<f64>,
    reason: Option<ReasonRow>,
}

impl From<Assignment> for AssignmentRow {
    fn from(assignment: Assignment) -> Self {
        let RoutePartition { route, topic, partition } = assignment.partition.unwrap_or_default();
        Self {
            route,
            topic,
            partition,
            target_topic: assignment.target_topic,
            state: assignment.state,
            worker: units::given(assignment.worker),
            session: units::given(assignment.session),
            epoch: assignment.epoch,
            next_offset: assignment.next_offset,
            stored_offset: assignment.stored_offset,
            lag: assignment.lag,
            lag_seconds: assignment.lag_seconds,
            reason: assignment.reason.map(ReasonRow::from),
        }
    }
}

impl Row for AssignmentRow {
    const COLUMNS: &'static [&'static str] =
        &["ROUTE", "TOPIC", "PARTITION>", "STATE", "WORKER", "EPOCH>", "NEXT>", "STORED>", "LAG>", "BEHIND>", "REASON"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.route.clone(),
            self.topic.clone(),
            self.partition.to_string(),
            self.state.clone(),
            units::text(self.worker.as_deref().unwrap_or_default()),
            self.epoch.to_string(),
            units::offset(self.next_offset),
            units::offset(self.stored_offset),
            units::count(self.lag),
            units::behind(self.lag_seconds),
            reason::text(self.reason.as_ref()),
        ]
    }
}

async fn list(fleet: Fleet, request: ListAssignmentsRequest) -> Result<(), Failure> {
    let is_filtered = request != ListAssignmentsRequest::default();
    let rows = assignments(&fleet, request).await?;
    let empty = if is_filtered {
        "no partitions match"
    } else {
        "no partitions; topics appear once a route matches them: see replisome route list"
    };
    print::list(fleet.format, &rows, empty);
    Ok(())
}

/// The rows that match.
pub async fn assignments(fleet: &Fleet, request: ListAssignmentsRequest) -> Result<Vec<AssignmentRow>, Failure> {
    let reply = fleet.client.read(async |mut admin| admin.list_assignments(request.clone()).await).await?;
    Ok(reply.assignments.into_iter().map(AssignmentRow::from).collect())
}

async fn move_to(fleet: Fleet, partition: RoutePartition, to: &WorkerId) -> Result<(), Failure> {
    let RoutePartition { route, topic, partition: number } = &partition;
    let find_out = format!("replisome assignment list --route {route} --topic {topic}");
    let call = async |mut admin: Admin, context| {
        let (partition, worker) = (Some(partition.clone()), to.to_string());
        admin.move_assignment(MoveAssignmentRequest { context: Some(context), partition, worker }).await
    };
    let what = format!("partition {number} of topic {topic} on route {route}");
    let exists = format!("{what} is with worker {to} already; nothing was changed");
    fleet.change(&find_out, &format!("{what} goes to worker {to}"), &exists, call).await
}
