//! What one look at a route's topics needs of the table, as a value that a blocking thread can take along.

use std::collections::{BTreeMap, BTreeSet};

use common::config::{ClusterConfig, RouteSettings};
use common::ids::{Revision, RouteName, TopicName};

use crate::state::{State, Topic};

/// What waits for a look.
pub(crate) type Wishes = BTreeSet<(TopicName, Option<Revision>)>;

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
    /// Which source topic writes each target topic.
    pub sources: BTreeMap<TopicName, TopicName>,
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
            sources: route.sources.clone(),
            source: cluster(&route.settings.source)?,
            target: cluster(&route.settings.target)?,
            topics: state.topics_of(name).map(|(name, topic)| (name.clone(), topic.clone())).collect(),
            settings: route.settings.clone(),
        })
    }

    /// What of a route waits for a look: topics that nothing is known of yet, and those where an operator accepts others
    /// under their names, with the change that said so.
    pub fn wishes(state: &State, route: &RouteName) -> Wishes {
        let wish = |(name, topic): (&TopicName, &Topic)| {
            let is_unseen = topic.facts.is_none() && topic.waiting.is_none();
            let accepting = topic.accepting.as_ref().map(|accepting| accepting.asked);
            (!topic.leaving && (is_unseen || accepting.is_some())).then(|| (name.clone(), accepting))
        };
        state.topics_of(route).filter_map(wish).collect()
    }
}
