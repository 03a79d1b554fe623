//! `replisome topic …`: the topics of a route.

use clap::Subcommand;
use common::ids::{RouteName, TopicName};
use proto::v1::{
    AddTopicRequest, ListAssignmentsRequest, ListTopicsRequest, PauseTopicRequest, RemoveTopicRequest,
    ResumeTopicRequest, StartPosition, Topic,
};
use serde::Serialize;

use super::assignment::{AssignmentRow, assignments};
use super::print::{self, Row};
use super::reason::{self, ReasonRow};
use super::{Admin, Fleet, FleetArgs, start, units};
use crate::failure::Failure;
use crate::values::partition;

/// Topics of a route: add, list, describe, pause, resume, remove
#[derive(clap::Args)]
pub struct TopicCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

/// One topic of one route.
#[derive(clap::Args)]
struct Named {
    /// The route
    #[arg(long, short, value_name = "ROUTE")]
    route: RouteName,
    /// The source topic
    topic: TopicName,
}

#[derive(Subcommand)]
enum Verb {
    /// Copy a topic by name, whatever the route's patterns say
    Add {
        #[command(flatten)]
        named: Named,
        /// The topic to write, if it has another name
        #[arg(long, value_name = "TOPIC")]
        target: Option<TopicName>,
        /// Where its partitions begin: earliest, latest or a time such as 2026-01-31T08:00:00Z; unless given as the
        /// route says
        #[arg(long, value_name = "START", value_parser = start::parse)]
        start: Option<StartPosition>,
    },
    /// List topics
    #[command(visible_alias = "ls")]
    List {
        /// Only this route
        #[arg(long, short, value_name = "ROUTE")]
        route: Option<RouteName>,
    },
    /// Show one topic and its partitions
    Describe {
        #[command(flatten)]
        named: Named,
    },
    /// Stop copying a topic, or one partition of it, until it is resumed
    Pause {
        #[command(flatten)]
        named: Named,
        /// Only this partition
        #[arg(short, long, value_name = "N", value_parser = partition, allow_negative_numbers = true)]
        partition: Option<u32>,
        /// Why, for those who look at events later
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Go on with a paused topic, or one partition of it, where it stopped
    Resume {
        #[command(flatten)]
        named: Named,
        /// Only this partition
        #[arg(short, long, value_name = "N", value_parser = partition, allow_negative_numbers = true)]
        partition: Option<u32>,
        /// Accept, this once, stored offsets that speak of another topic (re-created since) or another fleet
        #[arg(long = "continue")]
        accept_foreign_offsets: bool,
    },
    /// Stop copying a topic for good; the target topic stays, and the route's patterns do not bring it back
    #[command(visible_alias = "rm")]
    Remove {
        #[command(flatten)]
        named: Named,
    },
}

impl TopicCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Add { named, target, start } => self.fleet.run(async |fleet| add(fleet, named, target, start).await),
            Verb::List { route } => self.fleet.run(async |fleet| list(fleet, route).await),
            Verb::Describe { named } => self.fleet.run(async |fleet| describe(fleet, named).await),
            Verb::Pause { named, partition, reason } => {
                self.fleet.run(async |fleet| pause(fleet, named, partition, reason).await)
            }
            Verb::Resume { named, partition, accept_foreign_offsets } => {
                self.fleet.run(async |fleet| resume(fleet, named, partition, accept_foreign_offsets).await)
            }
            Verb::Remove { named } => self.fleet.run(async |fleet| remove(fleet, named).await),
        }
    }
}

/// A topic as scripts read it.
#[derive(Serialize)]
pub struct TopicRow {
    route: String,
    topic: String,
    target_topic: String,
    partitions: u32,
    state: String,
    lag: Option<u64>,
    reason: Option<ReasonRow>,
}

impl From<Topic> for TopicRow {
    fn from(topic: Topic) -> Self {
        Self {
            route: topic.route,
            topic: topic.topic,
            target_topic: topic.target_topic,
            partitions: topic.partitions,
            state: topic.state,
            lag: topic.lag,
            reason: topic.reason.map(ReasonRow::from),
        }
    }
}

impl Row for TopicRow {
    const COLUMNS: &'static [&'static str] =
        &["ROUTE", "TOPIC", "TARGET TOPIC", "PARTITIONS>", "STATE", "LAG>", "REASON"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.route.clone(),
            self.topic.clone(),
            self.target_topic.clone(),
            self.partitions.to_string(),
            self.state.clone(),
            units::count(self.lag),
            reason::text(self.reason.as_ref()),
        ]
    }
}

/// A topic with its partitions.
#[derive(Serialize)]
struct TopicDetails {
    #[serde(flatten)]
    topic: TopicRow,
    assignments: Vec<AssignmentRow>,
}

impl Named {
    fn find_out(&self) -> String {
        format!("replisome topic describe --route {} {}", self.route, self.topic)
    }

    /// What a change is about, for people.
    fn what(&self, partition: Option<u32>) -> String {
        match partition {
            Some(partition) => format!("partition {partition} of topic {} on route {}", self.topic, self.route),
            None => format!("topic {} on route {}", self.topic, self.route),
        }
    }
}

async fn add(
    fleet: Fleet,
    named: Named,
    target: Option<TopicName>,
    start: Option<StartPosition>,
) -> Result<(), Failure> {
    let request = AddTopicRequest {
        context: None,
        route: named.route.to_string(),
        topic: named.topic.to_string(),
        target: target.map(String::from).unwrap_or_default(),
        start,
    };
    let call = async |mut admin: Admin, context| {
        admin.add_topic(AddTopicRequest { context: Some(context), ..request.clone() }).await
    };
    let what = named.what(None);
    fleet
        .change(
            &named.find_out(),
            &format!("{what} added"),
            &format!("{what} exists already; nothing was changed"),
            call,
        )
        .await
}

/// The rows that match.
pub async fn topics(fleet: &Fleet, request: ListTopicsRequest) -> Result<Vec<TopicRow>, Failure> {
    let reply = fleet.client.read(async |mut admin| admin.list_topics(request.clone()).await).await?;
    Ok(reply.topics.into_iter().map(TopicRow::from).collect())
}

async fn list(fleet: Fleet, route: Option<RouteName>) -> Result<(), Failure> {
    let request = ListTopicsRequest { route: route.map(String::from).unwrap_or_default(), topic: String::new() };
    let rows = topics(&fleet, request).await?;
    print::list(fleet.format, &rows, "no topics; add one with: replisome topic add --route ROUTE TOPIC")
}

async fn describe(fleet: Fleet, named: Named) -> Result<(), Failure> {
    let (route, topic) = (named.route.to_string(), named.topic.to_string());
    let request = ListTopicsRequest { route: route.clone(), topic: topic.clone() };
    let row = print::only(topics(&fleet, request).await?, &named.what(None))?;
    let request = ListAssignmentsRequest { route, topic, worker: String::new() };
    let details = TopicDetails { topic: row, assignments: assignments(&fleet, request).await? };
    print::object(fleet.format, &details, || {
        let TopicDetails { topic, assignments } = &details;
        let page = print::page(&[
            ("Route", topic.route.clone()),
            ("Topic", topic.topic.clone()),
            ("Target topic", topic.target_topic.clone()),
            ("State", topic.state.clone()),
            ("Reason", reason::text(topic.reason.as_ref())),
            ("Lag", units::count(topic.lag)),
            ("Partitions", topic.partitions.to_string()),
        ]);
        print::page_above(page, assignments)
    })
}

async fn pause(fleet: Fleet, named: Named, partition: Option<u32>, reason: String) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let request = PauseTopicRequest {
            context: Some(context),
            route: named.route.to_string(),
            topic: named.topic.to_string(),
            partition,
            reason: reason.clone(),
        };
        admin.pause_topic(request).await
    };
    let what = named.what(partition);
    let exists = format!("{what} is paused already; nothing was changed");
    fleet.change(&named.find_out(), &format!("{what} paused"), &exists, call).await
}

async fn resume(
    fleet: Fleet,
    named: Named,
    partition: Option<u32>,
    accept_foreign_offsets: bool,
) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let request = ResumeTopicRequest {
            context: Some(context),
            route: named.route.to_string(),
            topic: named.topic.to_string(),
            partition,
            accept_foreign_offsets,
        };
        admin.resume_topic(request).await
    };
    let what = named.what(partition);
    fleet
        .change(
            &named.find_out(),
            &format!("{what} resumed"),
            &format!("{what} is not paused; nothing was changed"),
            call,
        )
        .await
}

async fn remove(fleet: Fleet, named: Named) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let (route, topic) = (named.route.to_string(), named.topic.to_string());
        admin.remove_topic(RemoveTopicRequest { context: Some(context), route, topic }).await
    };
    let what = named.what(None);
    fleet.change(&named.find_out(), &format!("{what} removed"), &format!("{what} was removed before"), call).await
}
