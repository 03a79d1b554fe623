//! Whether two names lead to one Kafka cluster.

use common::config::ClusterConfig;
use common::ids::ClusterName;
use kafka::error::Error;

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
    let look = |cluster: ClusterConfig| probes.ask(cluster, PATIENCE, |admin| admin.cluster_id());
    match tokio::join!(look(source), look(target)) {
        (Ok(ours), Ok(theirs)) if ours.is_some() && ours == theirs => Comparison::One,
        (Ok(_), Ok(_)) => Comparison::Two,
        (source, target) => {
            let failed = [(names.0, source.err()), (names.1, target.err())];
            Comparison::NoAnswer(failed.into_iter().filter_map(|(name, error)| Some((name, error?))).collect())
        }
    }
}
