//! The clients a leader has of a route's two clusters.

use std::sync::Arc;

use common::blocking::Blocking;
use common::config::ClusterConfig;
use kafka::admin::ClusterAdmin;
use kafka::clients::Clients;
use kafka::error::Error;
use kafka::offsets::OffsetStore;

use super::view::RouteView;

/// What a leader wants of Kafka: any `Clients` will do. Calls of what it makes wait.
pub trait ClusterAccess: Blocking + 'static {
    /// An administrator of a cluster.
    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error>;

    /// The offsets of a group on a cluster.
    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error>;
}

impl<C: Clients> ClusterAccess for C {
    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error> {
        Clients::admin(self, cluster)
    }

    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error> {
        Clients::offsets(self, cluster, group)
    }
}

/// The clients of one route.
pub(crate) struct RouteClients {
    pub source: Arc<dyn ClusterAdmin>,
    pub target: Arc<dyn ClusterAdmin>,
    pub offsets: Box<dyn OffsetStore>,
}

impl RouteClients {
    /// Connects in the background; an unreachable cluster is found out by the first call.
    pub fn new(access: &dyn ClusterAccess, view: &RouteView) -> Result<Self, Error> {
        Ok(Self {
            source: access.admin(&view.source)?,
            target: access.admin(&view.target)?,
            offsets: access.offsets(&view.source, &view.settings.group)?,
        })
    }
}
