//! `replisome cluster …`: the Kafka clusters a fleet knows.

use std::collections::BTreeMap;

use clap::Subcommand;
use common::ids::ClusterName;
use proto::v1::{AddClusterRequest, Cluster, ClusterStatus, ListClustersRequest, RemoveClusterRequest};
use serde::Serialize;

use super::print::{self, Row};
use super::properties::PropertyArgs;
use super::{Admin, Fleet, FleetArgs, units};
use crate::failure::Failure;

/// Kafka clusters: add, list, describe, remove
#[derive(clap::Args)]
pub struct ClusterCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Name a Kafka cluster, with the properties its clients need
    #[command(after_help = "Secrets are given as ${file:PATH} or ${env:NAME}, and read where they are used: on \
        controllers and workers.\n\n  replisome cluster add west --bootstrap broker-1:9092,broker-2:9092\n  replisome \
        cluster add east --properties east.properties --property 'sasl.password=${file:/etc/replisome/east}'")]
    Add {
        /// Its name within the fleet
        name: ClusterName,
        #[command(flatten)]
        properties: PropertyArgs,
    },
    /// List all clusters, and whether each answers
    #[command(visible_alias = "ls")]
    List,
    /// Show one cluster: its properties, and the routes that use it
    Describe {
        /// Its name
        name: ClusterName,
    },
    /// Forget a cluster that no route uses
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: ClusterName,
    },
}

impl ClusterCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Add { name, properties } => {
                let (properties, notes) = properties.read()?;
                self.fleet.run(async |fleet| add(fleet, &name, properties, notes).await)
            }
            Verb::List => self.fleet.run(list),
            Verb::Describe { name } => self.fleet.run(async |fleet| describe(fleet, &name).await),
            Verb::Remove { name } => self.fleet.run(async |fleet| remove(fleet, &name).await),
        }
    }
}

/// A cluster as scripts read it.
#[derive(Serialize)]
pub struct ClusterRow {
    name: String,
    bootstrap: String,
    reachable: bool,
    kafka_id: Option<String>,
    error: Option<String>,
    routes: Vec<String>,
    properties: BTreeMap<String, String>,
}

impl From<ClusterStatus> for ClusterRow {
    fn from(status: ClusterStatus) -> Self {
        let Cluster { name, properties } = status.cluster.unwrap_or_default();
        let bootstrap = properties.get("bootstrap.servers").or_else(|| properties.get("metadata.broker.list"));
        Self {
            name,
            bootstrap: bootstrap.cloned().unwrap_or_default(),
            reachable: status.reachable,
            kafka_id: units::given(status.kafka_id),
            error: units::given(status.error),
            routes: status.routes,
            properties: properties.into_iter().collect(),
        }
    }
}

impl Row for ClusterRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "BOOTSTRAP", "REACHABLE", "ROUTES", "ERROR"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.bootstrap.clone(),
            yes_or_no(self.reachable),
            units::names(&self.routes),
            self.error.clone().unwrap_or_default(),
        ]
    }
}

async fn add(
    fleet: Fleet,
    name: &ClusterName,
    properties: BTreeMap<String, String>,
    notes: Vec<String>,
) -> Result<(), Failure> {
    let cluster = Cluster { name: name.to_string(), properties: properties.into_iter().collect() };
    let find_out = format!("replisome cluster describe {name}");
    let call = async |mut admin: Admin, context| {
        let request = AddClusterRequest { context: Some(context), cluster: Some(cluster.clone()) };
        admin.add_cluster(request).await
    };
    let mut reply = fleet.client.change(&find_out, call).await?;
    reply.notes.splice(0..0, notes);
    let exists = format!("cluster {name} exists already; nothing was changed");
    print::change(fleet.format, &reply, &format!("cluster {name} added"), &exists)
}

async fn clusters(fleet: &Fleet, name: &str) -> Result<Vec<ClusterRow>, Failure> {
    let request = ListClustersRequest { name: name.to_owned() };
    let reply = fleet.client.read(async |mut admin| admin.list_clusters(request.clone()).await).await?;
    Ok(reply.clusters.into_iter().map(ClusterRow::from).collect())
}

async fn list(fleet: Fleet) -> Result<(), Failure> {
    let rows = clusters(&fleet, "").await?;
    print::list(fleet.format, &rows, "no clusters; add one with: replisome cluster add NAME --bootstrap HOST:PORT")
}

async fn describe(fleet: Fleet, name: &ClusterName) -> Result<(), Failure> {
    let row = print::only(clusters(&fleet, name.as_str()).await?, &format!("cluster {name}"))?;
    print::object(fleet.format, &row, || {
        let properties: Vec<String> = row.properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
        print::page(&[
            ("Name", row.name.clone()),
            ("Reachable", yes_or_no(row.reachable)),
            ("Error", row.error.clone().unwrap_or_default()),
            ("Kafka's id", row.kafka_id.clone().unwrap_or_default()),
            ("Routes", units::names(&row.routes)),
            ("Properties", properties.join("\n")),
        ])
    })
}

async fn remove(fleet: Fleet, name: &ClusterName) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.remove_cluster(RemoveClusterRequest { context: Some(context), name: name.to_string() }).await
    };
    let gone = format!("cluster {name} was removed before");
    fleet.change("replisome cluster list", &format!("cluster {name} removed"), &gone, call).await
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}
