//! Routes: what operators want copied from where to where.

use std::collections::{BTreeMap, BTreeSet};

use common::config::RouteSettings;
use common::ids::{Epoch, Revision, RouteName, TopicName};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::retired::Retired;

/// One route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// What the operator chose.
    pub settings: RouteSettings,
    /// The revision that added it, or the one from which it was restored.
    pub incarnation: Revision,
    /// The first incarnation whose stored offsets are its own: this one, but of a restored route the one in the backup.
    pub offsets_since: Revision,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Whether every topic found by the first complete look at the source is in the table. What comes after that
    /// appeared later, so it starts at the earliest record.
    pub surveyed: bool,
    /// Topics an operator removed: the filter does not bring them back.
    pub removed_topics: BTreeSet<TopicName>,
    /// Which source topic writes each target topic: there is one.
    pub sources: BTreeMap<TopicName, TopicName>,
    /// How many slots it has.
    pub slots: usize,
    /// The greatest epoch of any slot that is gone: where new slots start from.
    pub epoch_floor: Epoch,
    /// Whether it goes as soon as its partitions are released.
    pub leaving: bool,
    /// Whether its offsets stay on the source when it goes.
    pub keep_offsets: bool,
}

impl Route {
    /// What it leaves behind when it goes.
    pub(super) fn retired(&self) -> Retired {
        let RouteSettings { source, group, .. } = &self.settings;
        Retired { incarnation: self.incarnation, source: source.clone(), group: group.clone() }
    }
}

impl State {
    /// Adds a route. The same again changes nothing.
    pub(super) fn add_route(
        &mut self,
        stamp: &Stamp,
        name: RouteName,
        settings: RouteSettings,
    ) -> Result<Effect, Rejection> {
        for cluster in [&settings.source, &settings.target] {
            if !self.clusters.contains_key(cluster) {
                return Err(Rejection::UnknownCluster(cluster.clone()));
            }
        }
        if settings.source == settings.target {
            return Err(Rejection::SameCluster(name));
        }
        match self.routes.get(&name) {
            Some(route) if route.leaving => return Err(Rejection::RouteLeaving(name)),
            Some(route) if route.settings == settings => return Ok(Effect::Exists),
            Some(_) => return Err(Rejection::RouteDiffers(name)),
            None => {}
        }
        if let Some(retired) = self.retired.get(&name) {
            return Err(retired.pending(&name));
        }
        let RouteSettings { source, target, pool, .. } = &settings;
        let text = format!("route {name} added from {source} to {target}, for the workers of pool {pool}");
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_route(&name));
        let route = Route {
            settings,
            incarnation: stamp.revision,
            offsets_since: stamp.revision,
            paused: false,
            surveyed: false,
            removed_topics: BTreeSet::new(),
            sources: BTreeMap::new(),
            slots: 0,
            epoch_floor: Epoch::default(),
            leaving: false,
            keep_offsets: false,
        };
        self.routes.insert(name, route);
        Ok(Effect::Done)
    }

    /// Lets a route go once its partitions are released. Until its offsets are deleted they can still be kept.
    pub(super) fn remove_route(
        &mut self,
        stamp: &Stamp,
        name: &RouteName,
        keep_offsets: bool,
    ) -> Result<Effect, Rejection> {
        let Some(route) = self.routes.get_mut(name) else {
            return self.remove_retired(stamp, name, keep_offsets);
        };
        if route.leaving && route.keep_offsets == keep_offsets {
            return Ok(Effect::Exists);
        }
        route.leaving = true;
        route.keep_offsets = keep_offsets;
        let text = format!("route {name} removed, its offsets are {}", if keep_offsets { "kept" } else { "deleted" });
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_route(name));
        let topics: Vec<TopicName> = self.topics_of(name).map(|(topic, _)| topic.clone()).collect();
        for topic in &topics {
            self.topic_mut(name, topic).leaving = true;
            self.drop_unwanted(name, topic);
        }
        self.drop_if_empty(name);
        Ok(Effect::Done)
    }

    /// Pauses or resumes a route.
    pub(super) fn set_route_paused(
        &mut self,
        stamp: &Stamp,
        name: &RouteName,
        paused: bool,
        reason: &str,
    ) -> Result<Effect, Rejection> {
        let route = self.routes.get_mut(name).ok_or_else(|| Rejection::UnknownRoute(name.clone()))?;
        if route.paused == paused {
            return Ok(Effect::Exists);
        }
        route.paused = paused;
        let text = if paused { format!("route {name} paused: {reason}") } else { format!("route {name} resumed") };
        self.events.record(stamp, NewEvent::new(EventKind::Pause, text).on_route(name));
        Ok(Effect::Done)
    }

    /// Notes that the first complete look at a route's source is in the table.
    pub(super) fn survey_route(&mut self, name: &RouteName, incarnation: Revision) -> Result<Effect, Rejection> {
        let route = self.routes.get_mut(name).filter(|route| route.incarnation == incarnation);
        let route = route.ok_or_else(|| Rejection::UnknownRoute(name.clone()))?;
        if route.surveyed {
            return Ok(Effect::Exists);
        }
        route.surveyed = true;
        self.pack();
        Ok(Effect::Done)
    }

    /// Drops a leaving route that has no topic left. Its offsets stay behind to be deleted, unless they are kept.
    pub(super) fn drop_if_empty(&mut self, name: &RouteName) {
        if !self.routes.get(name).is_some_and(|route| route.leaving) || self.topics_of(name).next().is_some() {
            return;
        }
        let route = self.routes.remove(name).expect("just looked up");
        if !route.keep_offsets {
            self.retired.insert(name.clone(), route.retired());
        }
    }
}
