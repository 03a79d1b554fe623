//! The Kafka clusters a fleet knows.

use common::config::ClusterConfig;

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};

impl State {
    /// Names a cluster. The same again changes nothing.
    pub(super) fn add_cluster(&mut self, stamp: &Stamp, cluster: ClusterConfig) -> Result<Effect, Rejection> {
        match self.clusters.get(&cluster.name) {
            Some(known) if *known == cluster => return Ok(Effect::Exists),
            Some(_) => return Err(Rejection::ClusterDiffers(cluster.name)),
            None => {}
        }
        self.events.record(stamp, NewEvent::new(EventKind::Admin, format!("cluster {} added", cluster.name)));
        self.clusters.insert(cluster.name.clone(), cluster);
        Ok(Effect::Done)
    }
}
