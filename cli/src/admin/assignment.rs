//! `replisome assignment …`: who copies what.

use clap::{Args, Subcommand};
use common::ids::{RouteName, TopicName, WorkerId};
use proto::v1::{
    Assignment, ListAssignmentsRequest, MoveAssignmentRequest, PinAssignmentRequest, RoutePartition,
    UnpinAssignmentRequest,
};
use serde::Serialize;

use super::print::{self, Row};
use super::reason::{self, ReasonRow};
use super::{Admin, Fleet, FleetArgs, units};
use crate::failure::Failure;
use crate::values::partition;

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
        #[command(flatten)]
        partition: PartitionArgs,
        /// The worker it goes to
        #[arg(long, value_name = "ID")]
        to: WorkerId,
    },
    /// Have one partition be with a worker whenever that takes work, over its restarts too
    Pin {
        #[command(flatten)]
        partition: PartitionArgs,
        /// The worker it belongs with
        #[arg(long, value_name = "ID")]
        to: WorkerId,
    },
    /// Let a pinned partition be with any worker again; it stays where it is until something else moves it
    Unpin {
        #[command(flatten)]
        partition: PartitionArgs,
    },
}

/// One partition.
#[derive(Args)]
struct PartitionArgs {
    /// The route
    #[arg(long, short, value_name = "ROUTE")]
    route: RouteName,
    /// The source topic
    #[arg(long, short, value_name = "TOPIC")]
    topic: TopicName,
    /// The partition
    #[arg(long, short, value_name = "N", value_parser = partition, allow_negative_numbers = true)]
    partition: u32,
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
            Verb::Move { partition, to } => self.fleet.run(async |fleet| move_to(fleet, &partition, &to).await),
            Verb::Pin { partition, to } => self.fleet.run(async |fleet| pin(fleet, &partition, &to).await),
            Verb::Unpin { partition } => self.fleet.run(async |fleet| unpin(fleet, &partition).await),
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
    pinned_to: Option<String>,
    bytes_per_second: Option<u64>,
    noted_offset: Option<i64>,
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
            pinned_to: units::given(assignment.pinned_to),
            bytes_per_second: assignment.bytes_per_second,
            noted_offset: assignment.noted_offset,
        }
    }
}

impl AssignmentRow {
    /// Why it stands still and why it is where it is, as far as there is anything to say.
    fn why(&self) -> String {
        let reason = reason::text(self.reason.as_ref());
        let pin = self.pinned_to.as_ref().map(|pin| match &self.worker {
            Some(worker) if worker != pin => {
                format!("pinned to {pin}, goes there once that takes work in its pool and moves are not frozen")
            }
            _ => format!("pinned to {pin}"),
        });
        [reason, pin.unwrap_or_default()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
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
            self.why(),
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
    print::list(fleet.format, &rows, empty)
}

/// The rows that match.
pub async fn assignments(fleet: &Fleet, request: ListAssignmentsRequest) -> Result<Vec<AssignmentRow>, Failure> {
    let reply = fleet.client.read(async |mut admin| admin.list_assignments(request.clone()).await).await?;
    Ok(reply.assignments.into_iter().map(AssignmentRow::from).collect())
}

impl PartitionArgs {
    fn to_proto(&self) -> Option<RoutePartition> {
        let (route, topic) = (self.route.to_string(), self.topic.to_string());
        Some(RoutePartition { route, topic, partition: self.partition })
    }

    /// As people are told it.
    fn name(&self) -> String {
        let Self { route, topic, partition } = self;
        format!("partition {partition} of topic {topic} on route {route}")
    }

    /// The command that shows what became of it.
    fn find_out(&self) -> String {
        format!("replisome assignment list --route {} --topic {}", self.route, self.topic)
    }
}

async fn move_to(fleet: Fleet, partition: &PartitionArgs, to: &WorkerId) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let (partition, worker) = (partition.to_proto(), to.to_string());
        admin.move_assignment(MoveAssignmentRequest { context: Some(context), partition, worker }).await
    };
    let what = partition.name();
    let exists = format!("{what} is with worker {to} already; nothing was changed");
    fleet.change(&partition.find_out(), &format!("{what} goes to worker {to}"), &exists, call).await
}

async fn pin(fleet: Fleet, partition: &PartitionArgs, to: &WorkerId) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let (partition, worker) = (partition.to_proto(), to.to_string());
        admin.pin_assignment(PinAssignmentRequest { context: Some(context), partition, worker }).await
    };
    let what = partition.name();
    let exists = format!("{what} is pinned to worker {to} already; nothing was changed");
    fleet.change(&partition.find_out(), &format!("{what} is pinned to worker {to}"), &exists, call).await
}

async fn unpin(fleet: Fleet, partition: &PartitionArgs) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let partition = partition.to_proto();
        admin.unpin_assignment(UnpinAssignmentRequest { context: Some(context), partition }).await
    };
    let what = partition.name();
    let exists = format!("{what} is not pinned; nothing was changed");
    fleet.change(&partition.find_out(), &format!("{what} is no longer pinned"), &exists, call).await
}
