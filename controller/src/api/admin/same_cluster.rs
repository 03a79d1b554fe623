//! Whether two names lead to one Kafka cluster.

use common::config::ClusterConfig;
use common::ids::ClusterName;
use kafka::error::Error;
use kafka::same_cluster::Picture;

use super::super::probes::{PATIENCE, Probes};

/// What the clusters say of themselves, compared.
pub enum Comparison {
    /// They are two.
    Two,
    /// They are one.
    One,
    /// These did not answer.
    NoAnswer(Vec<(ClusterName, Error)>),
}

/// Asks both at once.
pub async fn compare(probes: &Probes, source: ClusterConfig, target: ClusterConfig) -> Comparison {
    let names = (source.name.clone(), target.name.clone());
    let look = |cluster: ClusterConfig| {
        let bootstrap = cluster.properties.0.get("bootstrap.servers").cloned().unwrap_or_default();
        probes.ask(cluster, PATIENCE, move |admin| Picture::of(admin, &bootstrap))
    };
    match tokio::join!(look(source), look(target)) {
        (Ok(source), Ok(target)) if source.is_same(&target) => Comparison::One,
        (Ok(_), Ok(_)) => Comparison::Two,
        (source, target) => {
            let failed = [(names.0, source.err()), (names.1, target.err())];
            Comparison::NoAnswer(failed.into_iter().filter_map(|(name, error)| Some((name, error?))).collect())
        }
    }
}
