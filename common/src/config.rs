//! What a route is made of, as the table keeps it and a worker is told it. Client properties stay as the user wrote
//! them here: translating and checking them is the Kafka room's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, FleetId, PoolName, Revision, RouteName};
use crate::offsets::StartPosition;

/// Kafka client properties by name. Its `Debug` shows names only, since a value may be a secret.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientProperties(pub BTreeMap<String, String>);

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for ClientProperties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// A Kafka cluster and how to reach it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ClusterConfig {
    /// The name commands and messages use.
    pub name: ClusterName,
    /// How to reach it.
    pub properties: ClientProperties,
}

/// What a route promises about each record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Nothing is lost; after a crash the last second's records may arrive twice.
    AtLeastOnce,
}

/// Which source topics a route copies, as regular expressions that are matched whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TopicFilter {
    /// A topic that matches one of these is copied …
    pub include: Vec<String>,
    /// … unless it matches one of these.
    pub exclude: Vec<String>,
}

/// What an operator chose for a route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteSettings {
    /// The cluster that is read.
    pub source: ClusterName,
    /// The cluster that is written.
    pub target: ClusterName,
    /// The workers that copy it.
    pub pool: PoolName,
    /// The consumer group under which offsets are stored on the source.
    pub group: String,
    /// What is promised.
    pub delivery: Delivery,
    /// Topics copied without being named.
    pub filter: TopicFilter,
    /// Where partitions begin that were there when the route was added.
    pub start: StartPosition,
    /// Whether missing target topics are created and mirrored ones grown.
    pub manage_topics: bool,
    /// Whether stored offsets of another identity are accepted.
    pub accept_foreign_offsets: bool,
    /// How often offsets are stored.
    pub commit_interval: Duration,
}

/// A route as a worker is told it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RouteConfig {
    /// Its name.
    pub name: RouteName,
    /// The fleet it belongs to.
    pub fleet: FleetId,
    /// The revision that added it: a route removed and added again is another one.
    pub incarnation: Revision,
    /// The first incarnation whose stored offsets are its own: this one, or an earlier one of a route that was restored.
    pub offsets_since: Revision,
    /// The cluster that is read.
    pub source: ClusterConfig,
    /// The cluster that is written.
    pub target: ClusterConfig,
    /// The consumer group under which offsets are stored on the source.
    pub group: String,
    /// What is promised.
    pub delivery: Delivery,
    /// Whether stored offsets of another identity are accepted.
    pub accept_foreign_offsets: bool,
    /// How often offsets are stored.
    pub commit_interval: Duration,
}
