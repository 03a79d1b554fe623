//! What one look at a route's topics needs of the table, as a value that a blocking thread can take along.

use std::collections::{BTreeMap, BTreeSet};

use common::config::{ClusterConfig, RouteSettings};
use common::ids::{Revision, RouteName, TopicName};

use crate::state::{State, Topic};

/// One route as it stands in the table.
#[derive(Clone, Debug)]
pub(crate) struct RouteView {
    pub route: RouteName,
    pub incarnation: Revision,
    /// The revision of the table this is a part of.
    pub revision: Revision,
    pub settings: RouteSettings,
    pub surveyed: bool,
    pub removed_topics: BTreeSet<TopicName>,
    pub source: ClusterConfig,
    pub target: ClusterConfig,
    pub topics: BTreeMap<TopicName, Topic>,
}

impl RouteView {
    /// The route, if it is still there and still the same incarnation.
    pub fn of(state: &State, name: &RouteName, incarnation: Revision) -> Option<Self> {
        let route = state.routes().get(name).filter(|route| route.incarnation == incarnation && !route.leaving)?;
        let cluster = |name| state.clusters().get(name).cloned();
        Some(Self {
            route: name.clone(),
            incarnation,
            revision: state.revision(),
            surveyed: route.surveyed,
            removed_topics: route.removed_topics.clone(),
            source: cluster(&route.settings.source)?,
            target: cluster(&route.settings.target)?,
            topics: state.topics_of(name).map(|(name, topic)| (name.clone(), topic.clone())).collect(),
            settings: route.settings.clone(),
        })
    }

    /// Whether the table has a topic that nothing is known of yet.
    pub fn has_unseen_topic(state: &State, route: &RouteName) -> bool {
        let unseen = |topic: &Topic| topic.facts.is_none() && topic.waiting.is_none() && !topic.leaving;
        state.topics_of(route).any(|(_, topic)| unseen(topic))
    }
}
