//! Routes: added, removed, paused, resumed, listed.

use std::collections::BTreeMap;
use std::time::Duration;

use common::config::{ClusterConfig, Delivery, RouteSettings, TopicFilter};
use common::ids::{ClusterName, FleetId, PoolName, RouteName, TopicName};
use common::offsets::StartPosition;
use kafka::error::Error;
use proto::{Malformed, v1};

use super::super::errors::ApiError;
use super::super::view::{Observed, Sum};
use super::super::{Api, parse};
use super::clusters;
use super::same_cluster::{self, Comparison};
use crate::leader::topics::TopicMatcher;
use crate::state::{Command, Route, State};

/// How often offsets are stored.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// The troubles of routes, as the leader keeps them.
pub type Troubles = BTreeMap<RouteName, Error>;

/// Adds a route. Clusters that do not answer may come later; two that are one are refused, since a route between them
/// would copy its own copies.
pub async fn add(api: &Api, asked: v1::AddRouteRequest) -> Result<v1::ChangeReply, ApiError> {
    let context = parse::asked(asked.context.clone())?;
    let route: RouteName = parse::name(&asked.name)?;
    let (source, target): (ClusterName, ClusterName) = (parse::name(&asked.source)?, parse::name(&asked.target)?);
    if source == target {
        return Err(ApiError::Invalid(format!("route {route}: source and target are both cluster {source}")));
    }
    let leading = api.leading().await?;
    let (settings, source, target, is_served) = {
        let state = leading.handle.state();
        let clusters = (clusters::find(&state, &source)?, clusters::find(&state, &target)?);
        let settings = settings(&route, state.fleet(), asked)?;
        // Whoever names no pool is about to start workers, or has some.
        let is_served = settings.pool == PoolName::default() || state.served_pools().contains(&settings.pool);
        (settings, clusters.0, clusters.1, is_served)
    };
    let mut notes = compare(api, &route, source, target).await?;
    if !is_served {
        let pool = &settings.pool;
        notes.push(format!("no worker of pool {pool} takes work yet: nothing is copied until one does"));
    }
    api.change(context, Command::AddRoute { route, settings }, notes).await
}

/// What was asked for, as the table keeps it.
fn settings(route: &RouteName, fleet: &FleetId, asked: v1::AddRouteRequest) -> Result<RouteSettings, ApiError> {
    let delivery = match v1::Delivery::try_from(asked.delivery) {
        Ok(v1::Delivery::Unspecified | v1::Delivery::AtLeastOnce) => Delivery::AtLeastOnce,
        Err(_) => return Err(ApiError::Invalid("delivery: only at-least-once is there".into())),
    };
    let filter = TopicFilter { include: asked.include, exclude: asked.exclude };
    TopicMatcher::new(&filter).map_err(|error| bad_pattern(&filter, &error))?;
    Ok(RouteSettings {
        source: parse::name(&asked.source)?,
        target: parse::name(&asked.target)?,
        pool: parse::filter(&asked.pool)?.unwrap_or_default(),
        group: format!("replisome.{fleet}.{route}"),
        delivery,
        filter,
        start: start(asked.start)?.unwrap_or(StartPosition::Earliest),
        manage_topics: !asked.leave_topics,
        accept_foreign_offsets: asked.accept_foreign_offsets,
        commit_interval: COMMIT_INTERVAL,
    })
}

/// Reads where partitions begin, if that is said.
pub fn start(asked: Option<v1::StartPosition>) -> Result<Option<StartPosition>, Malformed> {
    asked.map(TryInto::try_into).transpose()
}

/// Names the first pattern that is none.
fn bad_pattern(filter: &TopicFilter, error: &regex::Error) -> ApiError {
    let alone = |pattern: &&String| {
        TopicMatcher::new(&TopicFilter { include: vec![(*pattern).clone()], exclude: Vec::new() }).is_err()
    };
    let bad = filter.include.iter().chain(&filter.exclude).find(alone);
    ApiError::Invalid(format!("pattern {:?} is no regular expression: {error}", bad.map_or("", String::as_str)))
}

/// Whether the two clusters are really two, as far as they answer.
async fn compare(
    api: &Api,
    route: &RouteName,
    source: ClusterConfig,
    target: ClusterConfig,
) -> Result<Vec<String>, ApiError> {
    let names = (source.name.clone(), target.name.clone());
    match same_cluster::compare(&api.probes, source, target).await {
        Comparison::Two => Ok(Vec::new()),
        Comparison::One => Err(ApiError::Conflict(format!(
            "route {route}: clusters {} and {} are one Kafka cluster under two names; a route between them would copy \
             its own copies",
            names.0, names.1
        ))),
        Comparison::NoAnswer(unanswered) => {
            let note = |(cluster, error)| {
                format!("cluster {cluster} can't be reached from this controller yet, so it was not checked: {error}")
            };
            Ok(unanswered.into_iter().map(note).collect())
        }
    }
}

/// Removes a route.
pub async fn remove(api: &Api, asked: v1::RemoveRouteRequest) -> Result<v1::ChangeReply, ApiError> {
    let command = Command::RemoveRoute { route: parse::name(&asked.name)?, keep_offsets: asked.keep_offsets };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Stops a route until it is resumed.
pub async fn pause(api: &Api, asked: v1::PauseRouteRequest) -> Result<v1::ChangeReply, ApiError> {
    let command =
        Command::PauseRoute { route: parse::name(&asked.name)?, reason: parse::text("reason", asked.reason)? };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Ends a pause.
pub async fn resume(api: &Api, asked: v1::ResumeRouteRequest) -> Result<v1::ChangeReply, ApiError> {
    let route = parse::name(&asked.name)?;
    api.change(parse::asked(asked.context)?, Command::ResumeRoute { route }, Vec::new()).await
}

/// Lists routes.
pub async fn list(api: &Api, asked: v1::ListRoutesRequest) -> Result<v1::ListRoutesReply, ApiError> {
    let only: Option<RouteName> = parse::filter(&asked.name)?;
    api.look(move |leading| {
        let (observed, troubles) = (Observed::of(&leading.handle), leading.handle.troubles());
        let state = leading.handle.state();
        if let Some(only) = &only {
            find(&state, only)?;
        }
        let mut routes = all(&state, &observed.sums(&state, |_| ()), &troubles);
        routes.retain(|route| only.as_ref().is_none_or(|only| route.name == only.as_str()));
        Ok(v1::ListRoutesReply { routes })
    })
    .await?
}

/// A route of the table.
pub fn find<'a>(state: &'a State, name: &RouteName) -> Result<&'a Route, ApiError> {
    state.routes().get(name).ok_or_else(|| ApiError::NotFound(format!("there is no route {name}")))
}

/// All routes, by name.
pub fn all(state: &State, sums: &BTreeMap<(RouteName, TopicName), Sum>, troubles: &Troubles) -> Vec<v1::Route> {
    let mut by_route = BTreeMap::<&RouteName, (u32, Sum)>::new();
    for ((route, _), sum) in sums {
        let (topics, total) = by_route.entry(route).or_default();
        *topics += 1;
        total.add(sum.partitions, sum.lag);
    }
    let row = |(name, route): (&RouteName, &Route)| {
        let (topics, sum) = by_route.get(name).copied().unwrap_or_default();
        row(name, route, topics, sum, troubles.get(name))
    };
    state.routes().iter().map(row).collect()
}

fn row(name: &RouteName, route: &Route, topics: u32, sum: Sum, trouble: Option<&Error>) -> v1::Route {
    let settings = route.settings.clone();
    let state = match trouble {
        _ if route.leaving => "leaving",
        _ if route.paused => "paused",
        Some(_) => "failing",
        None if !route.surveyed => "starting",
        None => "running",
    };
    v1::Route {
        name: name.to_string(),
        source: settings.source.into(),
        target: settings.target.into(),
        delivery: v1::Delivery::from(settings.delivery).into(),
        state: state.to_owned(),
        topics,
        partitions: sum.partitions,
        lag: sum.lag,
        trouble: trouble.map(Error::to_string).unwrap_or_default(),
        pool: settings.pool.into(),
        group: settings.group,
        include: settings.filter.include,
        exclude: settings.filter.exclude,
        start: Some(settings.start.into()),
        leave_topics: !settings.manage_topics,
        incarnation: route.incarnation.0,
    }
}
