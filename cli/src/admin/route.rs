//! `replisome route …`: which cluster is copied where, and what of it.

use clap::{Subcommand, ValueEnum};
use common::ids::{ClusterName, PoolName, RouteName};
use proto::v1::{
    AddRouteRequest, ListRoutesRequest, ListTopicsRequest, PauseRouteRequest, RemoveRouteRequest, ResumeRouteRequest,
    Route, StartPosition,
};
use serde::Serialize;

use super::print::{self, Row};
use super::topic::{TopicRow, topics};
use super::{Admin, Fleet, FleetArgs, start, units};
use crate::failure::Failure;
use crate::values::Switch;

/// Routes: from which cluster to which, and what of it is copied
#[derive(clap::Args)]
pub struct RouteCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Add a route between two clusters
    #[command(
        after_help = "Without --include nothing is copied until a topic is named with `replisome topic add`.\n\n  \
        replisome route add west-east --source west --target east --include 'orders.*' --exclude 'orders-test'"
    )]
    Add(AddArgs),
    /// List all routes
    #[command(visible_alias = "ls")]
    List,
    /// Show one route and its topics
    Describe {
        /// Its name
        name: RouteName,
    },
    /// Stop copying a route until it is resumed; offsets stay where they are
    Pause {
        /// Its name
        name: RouteName,
        /// Why, for those who look at events later
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Go on with a paused route where it stopped
    Resume {
        /// Its name
        name: RouteName,
    },
    /// Remove a route, its topics, and its stored offsets; target topics stay
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: RouteName,
        /// Leave its offsets on the source cluster
        #[arg(long)]
        keep_offsets: bool,
    },
}

#[derive(clap::Args)]
struct AddArgs {
    /// Its name within the fleet
    name: RouteName,

    /// The cluster that is read
    #[arg(long, value_name = "CLUSTER")]
    source: ClusterName,

    /// The cluster that is written
    #[arg(long, value_name = "CLUSTER")]
    target: ClusterName,

    /// Regular expression for topics to copy, matched whole. Can be repeated
    #[arg(long, value_name = "REGEX")]
    include: Vec<String>,

    /// Regular expression for topics to leave out all the same, matched whole. Can be repeated
    #[arg(long, value_name = "REGEX")]
    exclude: Vec<String>,

    /// What is promised: at-least-once means that nothing is lost, and that a crash repeats the last second's records
    #[arg(long, value_enum, value_name = "PROMISE", default_value = "at-least-once", hide_possible_values = true)]
    delivery: Delivery,

    /// Where the partitions begin that are there now: earliest, latest or a time such as 2026-01-31T08:00:00Z. What
    /// appears later is copied from its beginning
    #[arg(long, value_name = "START", default_value = "earliest", value_parser = start::parse)]
    start: StartPosition,

    /// Create missing target topics and grow copied ones as the source grows
    #[arg(long, value_name = "on|off", default_value = "on", hide_possible_values = true)]
    manage_topics: Switch,

    /// The pool of the workers that copy it
    #[arg(long, value_name = "POOL", default_value_t)]
    pool: PoolName,

    /// Accept stored offsets that speak of another topic (re-created since) or were stored by another fleet
    #[arg(long = "continue")]
    accept_foreign_offsets: bool,
}

/// What a route promises.
#[derive(Clone, Copy, ValueEnum)]
enum Delivery {
    /// Nothing is lost; after a crash the last second's records may arrive twice.
    AtLeastOnce,
}

impl RouteCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Add(args) => self.fleet.run(async |fleet| add(fleet, args).await),
            Verb::List => self.fleet.run(list),
            Verb::Describe { name } => self.fleet.run(async |fleet| describe(fleet, &name).await),
            Verb::Pause { name, reason } => self.fleet.run(async |fleet| pause(fleet, &name, &reason).await),
            Verb::Resume { name } => self.fleet.run(async |fleet| resume(fleet, &name).await),
            Verb::Remove { name, keep_offsets } => {
                self.fleet.run(async |fleet| remove(fleet, &name, keep_offsets).await)
            }
        }
    }
}

/// A route as scripts read it.
#[derive(Serialize)]
pub struct RouteRow {
    name: String,
    source: String,
    target: String,
    delivery: &'static str,
    state: String,
    topics: u32,
    partitions: u32,
    lag: Option<u64>,
    trouble: Option<String>,
    pool: String,
    group: String,
    include: Vec<String>,
    exclude: Vec<String>,
    start: String,
    manage_topics: bool,
    incarnation: u64,
}

impl From<Route> for RouteRow {
    fn from(route: Route) -> Self {
        let delivery = match route.delivery() {
            proto::v1::Delivery::AtLeastOnce | proto::v1::Delivery::Unspecified => "at-least-once",
        };
        Self {
            name: route.name,
            source: route.source,
            target: route.target,
            delivery,
            state: route.state,
            topics: route.topics,
            partitions: route.partitions,
            lag: route.lag,
            trouble: units::given(route.trouble),
            pool: route.pool,
            group: route.group,
            include: route.include,
            exclude: route.exclude,
            start: start::shown(route.start.as_ref()),
            manage_topics: !route.leave_topics,
            incarnation: route.incarnation,
        }
    }
}

impl Row for RouteRow {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "SOURCE", "TARGET", "POOL", "STATE", "TOPICS>", "PARTITIONS>", "LAG>", "TROUBLE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.source.clone(),
            self.target.clone(),
            self.pool.clone(),
            self.state.clone(),
            self.topics.to_string(),
            self.partitions.to_string(),
            units::count(self.lag),
            self.trouble.clone().unwrap_or_default(),
        ]
    }
}

/// A route with its topics.
#[derive(Serialize)]
struct RouteDetails {
    #[serde(flatten)]
    route: RouteRow,
    topic_list: Vec<TopicRow>,
}

async fn add(fleet: Fleet, args: AddArgs) -> Result<(), Failure> {
    let name = args.name.to_string();
    let request = AddRouteRequest {
        context: None,
        name: name.clone(),
        source: args.source.into(),
        target: args.target.into(),
        include: args.include,
        exclude: args.exclude,
        delivery: match args.delivery {
            Delivery::AtLeastOnce => proto::v1::Delivery::AtLeastOnce.into(),
        },
        start: Some(args.start),
        leave_topics: args.manage_topics == Switch::Off,
        accept_foreign_offsets: args.accept_foreign_offsets,
        pool: args.pool.into(),
    };
    let call = async |mut admin: Admin, context| {
        admin.add_route(AddRouteRequest { context: Some(context), ..request.clone() }).await
    };
    let exists = format!("route {name} exists already; nothing was changed");
    fleet.change(&format!("replisome route describe {name}"), &format!("route {name} added"), &exists, call).await
}

async fn routes(fleet: &Fleet, name: &str) -> Result<Vec<RouteRow>, Failure> {
    let request = ListRoutesRequest { name: name.to_owned() };
    let reply = fleet.client.read(async |mut admin| admin.list_routes(request.clone()).await).await?;
    Ok(reply.routes.into_iter().map(RouteRow::from).collect())
}

async fn list(fleet: Fleet) -> Result<(), Failure> {
    let empty = "no routes; add one with: replisome route add NAME --source CLUSTER --target CLUSTER";
    print::list(fleet.format, &routes(&fleet, "").await?, empty)
}

async fn describe(fleet: Fleet, name: &RouteName) -> Result<(), Failure> {
    let route = print::only(routes(&fleet, name.as_str()).await?, &format!("route {name}"))?;
    let request = ListTopicsRequest { route: name.to_string(), topic: String::new() };
    let details = RouteDetails { route, topic_list: topics(&fleet, request).await? };
    print::object(fleet.format, &details, || {
        let RouteDetails { route, topic_list } = &details;
        let page = print::page(&[
            ("Name", route.name.clone()),
            ("Source", route.source.clone()),
            ("Target", route.target.clone()),
            ("State", route.state.clone()),
            ("Trouble", route.trouble.clone().unwrap_or_default()),
            ("Delivery", route.delivery.to_owned()),
            ("Start", route.start.clone()),
            ("Pool", route.pool.clone()),
            ("Group", route.group.clone()),
            ("Include", units::names(&route.include)),
            ("Exclude", units::names(&route.exclude)),
            ("Manage topics", if route.manage_topics { "on" } else { "off" }.to_owned()),
            ("Lag", units::count(route.lag)),
            ("Topics", route.topics.to_string()),
            ("Partitions", route.partitions.to_string()),
        ]);
        print::page_above(page, topic_list)
    })
}

async fn pause(fleet: Fleet, name: &RouteName, reason: &str) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let (name, reason) = (name.to_string(), reason.to_owned());
        admin.pause_route(PauseRouteRequest { context: Some(context), name, reason }).await
    };
    let exists = format!("route {name} is paused already; nothing was changed");
    fleet.change(&format!("replisome route describe {name}"), &format!("route {name} paused"), &exists, call).await
}

async fn resume(fleet: Fleet, name: &RouteName) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.resume_route(ResumeRouteRequest { context: Some(context), name: name.to_string() }).await
    };
    let exists = format!("route {name} is not paused; nothing was changed");
    fleet.change(&format!("replisome route describe {name}"), &format!("route {name} resumed"), &exists, call).await
}

async fn remove(fleet: Fleet, name: &RouteName, keep_offsets: bool) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        let name = name.to_string();
        admin.remove_route(RemoveRouteRequest { context: Some(context), name, keep_offsets }).await
    };
    let gone = format!("route {name} was removed before");
    fleet.change("replisome route list", &format!("route {name} removed"), &gone, call).await
}
