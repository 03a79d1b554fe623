//! Kafka clusters: named, forgotten, listed with whether each answers.

use std::collections::{BTreeMap, BTreeSet};

use common::config::ClusterConfig;
use common::ids::ClusterName;
use futures_util::future::join_all;
use kafka::properties::{self, Role};
use proto::{Malformed, v1};

use super::super::errors::ApiError;
use super::super::probes::PATIENCE;
use super::super::{Api, parse};
use crate::state::{Command, State};

/// Names a cluster. One that does not answer is named all the same: brokers may come later.
pub async fn add(api: &Api, asked: v1::AddClusterRequest) -> Result<v1::ChangeReply, ApiError> {
    let context = parse::asked(asked.context)?;
    let cluster: ClusterConfig = asked.cluster.ok_or_else(|| Malformed::missing("cluster"))?.try_into()?;
    let wrong = |error| ApiError::Invalid(format!("cluster {}: {error}", cluster.name));
    properties::check_for_table(&cluster.properties).map_err(wrong)?;
    // Whoever does not lead says so at once: the leader will ask the cluster.
    api.leading().await?;
    let mut notes = ignored(&cluster);
    if let Err(error) = api.probes.ask(cluster.clone(), PATIENCE, |admin| admin.cluster_id()).await {
        notes.push(format!("cluster {} can't be reached from this controller yet: {error}", cluster.name));
    }
    api.change(context, Command::AddCluster(cluster), notes).await
}

/// Forgets a cluster that no route uses.
pub async fn remove(api: &Api, asked: v1::RemoveClusterRequest) -> Result<v1::ChangeReply, ApiError> {
    let cluster = parse::name(&asked.name)?;
    api.change(parse::asked(asked.context)?, Command::RemoveCluster { cluster }, Vec::new()).await
}

/// Lists clusters, each asked just now.
pub async fn list(api: &Api, asked: v1::ListClustersRequest) -> Result<v1::ListClustersReply, ApiError> {
    let only: Option<ClusterName> = parse::filter(&asked.name)?;
    let leading = api.confirmed().await?;
    let (clusters, mut users) = {
        let state = leading.handle.state();
        let known = match &only {
            Some(name) => BTreeMap::from([(name.clone(), find(&state, name)?)]),
            None => state.clusters().clone(),
        };
        (known, users(&state))
    };
    let statuses = clusters.into_values().map(|cluster| {
        let routes = users.remove(&cluster.name).unwrap_or_default();
        describe(api, cluster, routes)
    });
    Ok(v1::ListClustersReply { clusters: join_all(statuses).await })
}

/// A cluster of the table.
pub fn find(state: &State, name: &ClusterName) -> Result<ClusterConfig, ApiError> {
    let missing = || ApiError::NotFound(format!("there is no cluster {name}"));
    state.clusters().get(name).cloned().ok_or_else(missing)
}

async fn describe(api: &Api, cluster: ClusterConfig, routes: Vec<String>) -> v1::ClusterStatus {
    let answer = api.probes.ask(cluster.clone(), PATIENCE, |admin| admin.cluster_id()).await;
    let (reachable, kafka_id, error) = match answer {
        Ok(id) => (true, id.unwrap_or_default(), String::new()),
        Err(error) => (false, String::new(), error.to_string()),
    };
    v1::ClusterStatus { cluster: Some(cluster.into()), reachable, kafka_id, error, routes }
}

/// The routes that use each cluster.
fn users(state: &State) -> BTreeMap<ClusterName, Vec<String>> {
    let mut users = BTreeMap::<ClusterName, Vec<String>>::new();
    for (name, route) in state.routes() {
        for cluster in [&route.settings.source, &route.settings.target] {
            users.entry(cluster.clone()).or_default().push(name.to_string());
        }
    }
    users
}

/// What of the properties changes nothing. A reference that can't be followed here is found out by the probe.
fn ignored(cluster: &ClusterConfig) -> Vec<String> {
    let roles = [Role::Consumer, Role::Producer, Role::Admin];
    let translated = roles.into_iter().filter_map(|role| properties::translate(cluster, role).ok());
    translated.flat_map(|translated| translated.notes).collect::<BTreeSet<_>>().into_iter().collect()
}
