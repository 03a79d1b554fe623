//! Making clients. What a lane, a leader or a command needs of Kafka, it gets from here, so that a test can hand in a
//! cluster in memory.

use std::sync::Arc;

use common::blocking::Blocking;
use common::config::ClusterConfig;

use crate::admin::ClusterAdmin;
use crate::error::Error;
use crate::offsets::OffsetStore;
use crate::sink::{Sink, SinkBounds};
use crate::source::{Source, SourceBounds};

/// A maker of clients. Making one checks the properties and connects in the background: an unreachable cluster is
/// found out by the first call. Calls of administrators and offset stores wait.
pub trait Clients: Blocking + 'static {
    /// What `source` makes.
    type Source: Source + 'static;
    /// What `sink` makes.
    type Sink: Sink + 'static;

    /// A reader of the cluster.
    fn source(&self, cluster: &ClusterConfig, bounds: SourceBounds) -> Result<Self::Source, Error>;

    /// A writer to the cluster.
    fn sink(&self, cluster: &ClusterConfig, bounds: SinkBounds) -> Result<Self::Sink, Error>;

    /// An administrator of the cluster.
    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error>;

    /// The offsets of a group on the cluster.
    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error>;
}
