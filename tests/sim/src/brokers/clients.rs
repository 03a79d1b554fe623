//! A process's clients of both clusters.

use std::sync::Arc;

use common::blocking::{Blocking, Call, Made};
use common::config::ClusterConfig;
use kafka::admin::ClusterAdmin;
use kafka::clients::Clients;
use kafka::error::Error;
use kafka::memory::MemoryClients;
use kafka::offsets::OffsetStore;
use kafka::sink::SinkBounds;
use kafka::source::SourceBounds;

use super::admin::ViewedAdmin;
use super::offsets::ViewedOffsets;
use super::sink::ViewedSink;
use super::source::ViewedSource;
use super::{Brokers, Process, SOURCE, TARGET};
use crate::dice::Dice;
use crate::world::lock;

/// What one process sees of the clusters.
#[derive(Clone)]
pub struct View {
    pub(super) brokers: Arc<Brokers>,
    pub(super) process: Process,
    clients: MemoryClients,
    dice: Arc<std::sync::Mutex<Dice>>,
}

impl View {
    /// The view of a process.
    pub fn new(brokers: &Arc<Brokers>, process: Process) -> Self {
        let named = |name: &str| name.parse().expect("a legal name");
        let clusters = [(named(SOURCE), brokers.source.clone()), (named(TARGET), brokers.target.clone())];
        let dice = Arc::new(std::sync::Mutex::new(brokers.world.dice(&format!("calls of {process}"))));
        Self { brokers: brokers.clone(), process, clients: MemoryClients::new(clusters), dice }
    }

    /// Fails if the process can't reach the cluster.
    pub(super) fn reach(&self, cluster: &str) -> Result<(), Error> {
        self.brokers.reach(&self.process.host, cluster)
    }
}

impl Blocking for View {
    /// After a while; what is looked at is what is there then.
    fn run(&self, call: Call) -> Made {
        let latency = lock(&self.dice).millis(1, 30);
        let made = tokio::spawn(async move {
            tokio::time::sleep(latency).await;
            call();
        });
        Box::pin(async {
            let _ = made.await;
        })
    }
}

impl Clients for View {
    type Source = ViewedSource;
    type Sink = ViewedSink;

    fn source(&self, cluster: &ClusterConfig, bounds: SourceBounds) -> Result<ViewedSource, Error> {
        Ok(ViewedSource::new(self.clone(), cluster.name.as_str(), self.clients.source(cluster, bounds)?))
    }

    fn sink(&self, cluster: &ClusterConfig, bounds: SinkBounds) -> Result<ViewedSink, Error> {
        Ok(ViewedSink::new(self.clone(), cluster.name.as_str(), self.clients.sink(cluster, bounds)?))
    }

    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error> {
        let (name, inner) = (cluster.name.to_string(), self.clients.admin(cluster)?);
        Ok(Arc::new(ViewedAdmin { view: self.clone(), cluster: name, inner }))
    }

    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error> {
        let (name, inner) = (cluster.name.to_string(), self.clients.offsets(cluster, group)?);
        Ok(Box::new(ViewedOffsets { view: self.clone(), cluster: name, group: group.to_owned(), inner }))
    }
}
