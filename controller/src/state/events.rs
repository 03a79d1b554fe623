//! What happened, for people: bounded, and each kind apart, so that a thousand moves never push out one gap.

use std::collections::{BTreeMap, VecDeque};

use common::ids::{Partition, Revision, RouteName, RoutePartition, TopicName};
use common::reason::Reason;
use serde::{Deserialize, Serialize};

/// How many events of one kind are kept. Older ones are forgotten.
pub const EVENTS_PER_KIND_MAX: usize = 2_000;

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Records that were or will never be copied: lost at the source, skipped, re-created.
    Gap,
    /// A topic was created, grown, or a setting of it not carried over.
    Topic,
    /// Something stands still, or goes on.
    Pause,
    /// A partition got or lost its owner.
    Move,
    /// A session came or went.
    Session,
    /// A writer was shut out.
    Fence,
    /// A command of an operator.
    Admin,
}

/// An event before it stands in the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewEvent {
    /// What it is about.
    pub kind: EventKind,
    /// The route it concerns, if one.
    pub route: Option<RouteName>,
    /// The topic it concerns, if one.
    pub topic: Option<TopicName>,
    /// The partition it concerns, if one.
    pub partition: Option<Partition>,
    /// What happened, for people.
    pub text: String,
    /// The same for machines, where there is more to say.
    pub detail: Option<Reason>,
}

/// An event as it stands in the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The change that recorded it.
    pub revision: Revision,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Who caused it.
    pub actor: String,
    /// What happened.
    pub event: NewEvent,
}

/// Where a change comes from: what each event of it is stamped with.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The number of the change.
    pub revision: Revision,
    /// Its time.
    pub time_ms: i64,
    /// Who asked for it.
    pub actor: String,
}

/// The event table.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Events {
    by_kind: BTreeMap<EventKind, VecDeque<Event>>,
}

impl Events {
    /// Records an event and forgets the oldest of its kind beyond the bound.
    pub fn record(&mut self, stamp: &Stamp, event: NewEvent) {
        let kept = self.by_kind.entry(event.kind).or_default();
        let Stamp { revision, time_ms, actor } = stamp.clone();
        kept.push_back(Event { revision, time_ms, actor, event });
        while kept.len() > EVENTS_PER_KIND_MAX {
            kept.pop_front();
        }
    }

    /// All that are kept, oldest first.
    pub fn list(&self) -> Vec<&Event> {
        let mut all: Vec<&Event> = self.by_kind.values().flatten().collect();
        all.sort_by_key(|event| event.revision);
        all
    }

    /// The greatest number of events of one kind.
    pub fn longest(&self) -> usize {
        self.by_kind.values().map(VecDeque::len).max().unwrap_or(0)
    }
}

impl NewEvent {
    /// An event about the fleet as a whole.
    pub fn new(kind: EventKind, text: impl Into<String>) -> Self {
        Self { kind, route: None, topic: None, partition: None, text: text.into(), detail: None }
    }

    /// The same, about a route.
    pub fn on_route(mut self, route: &RouteName) -> Self {
        self.route = Some(route.clone());
        self
    }

    /// The same, about a topic of a route.
    pub fn on_topic(mut self, route: &RouteName, topic: &TopicName) -> Self {
        self.topic = Some(topic.clone());
        self.on_route(route)
    }

    /// The same, about one partition.
    pub fn on_partition(mut self, partition: &RoutePartition) -> Self {
        self.partition = Some(partition.partition);
        self.on_topic(&partition.route, &partition.topic)
    }

    /// The same, with what machines want to know.
    pub fn because(mut self, detail: Reason) -> Self {
        self.detail = Some(detail);
        self
    }
}
