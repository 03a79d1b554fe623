//! The Kafka clusters a fleet knows.

use common::config::ClusterConfig;
use common::ids::ClusterName;

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::routes::Route;

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

    /// Forgets a cluster that neither a route nor what a route left behind needs.
    pub(super) fn remove_cluster(&mut self, stamp: &Stamp, name: &ClusterName) -> Result<Effect, Rejection> {
        if !self.clusters.contains_key(name) {
            return Err(Rejection::UnknownCluster(name.clone()));
        }
        let uses = |route: &Route| [&route.settings.source, &route.settings.target].contains(&name);
        if let Some((route, _)) = self.routes.iter().find(|(_, route)| uses(route)) {
            return Err(Rejection::ClusterInUse { cluster: name.clone(), route: route.clone() });
        }
        if let Some((route, retired)) = self.retired.iter().find(|(_, retired)| retired.source == *name) {
            return Err(retired.pending(route));
        }
        self.clusters.remove(name);
        self.events.record(stamp, NewEvent::new(EventKind::Admin, format!("cluster {name} removed")));
        Ok(Effect::Done)
    }
}
