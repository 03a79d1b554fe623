//! Making clients of clusters in memory, by the cluster's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::blocking::Blocking;
use common::config::ClusterConfig;
use common::ids::ClusterName;

use crate::admin::ClusterAdmin;
use crate::clients::Clients;
use crate::error::{Error, ErrorKind};
use crate::memory::admin::MemoryAdmin;
use crate::memory::cluster::MemoryCluster;
use crate::memory::offsets::MemoryOffsets;
use crate::memory::sink::MemorySink;
use crate::memory::source::MemorySource;
use crate::offsets::OffsetStore;
use crate::sink::SinkBounds;
use crate::source::SourceBounds;

/// Clients of clusters in memory. A cluster's properties are not looked at, only its name.
#[derive(Clone, Debug, Default)]
pub struct MemoryClients(BTreeMap<ClusterName, MemoryCluster>);

impl MemoryClients {
    /// Clients of these clusters.
    pub fn new(clusters: impl IntoIterator<Item = (ClusterName, MemoryCluster)>) -> Self {
        Self(clusters.into_iter().collect())
    }

    fn cluster(&self, config: &ClusterConfig) -> Result<MemoryCluster, Error> {
        let missing = || Error::new(ErrorKind::Config, format_args!("no cluster {} in memory", config.name));
        self.0.get(&config.name).cloned().ok_or_else(missing)
    }
}

impl Blocking for MemoryClients {}

impl Clients for MemoryClients {
    type Source = MemorySource;
    type Sink = MemorySink;

    fn source(&self, cluster: &ClusterConfig, _bounds: SourceBounds) -> Result<MemorySource, Error> {
        Ok(MemorySource::new(self.cluster(cluster)?))
    }

    fn sink(&self, cluster: &ClusterConfig, bounds: SinkBounds) -> Result<MemorySink, Error> {
        Ok(MemorySink::new(self.cluster(cluster)?, bounds))
    }

    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error> {
        Ok(Arc::new(MemoryAdmin::new(self.cluster(cluster)?)))
    }

    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error> {
        Ok(Box::new(MemoryOffsets::new(self.cluster(cluster)?, group)))
    }
}
