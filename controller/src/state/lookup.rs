//! Looking through the table: the topics of a route, the slots of a route and of a topic, each in the table's order. All three
//! maps are ordered by route first and topic second, so what belongs together is one range.

use common::ids::{Partition, RouteName, RoutePartition, TopicName};

use super::State;
use super::slots::Slot;
use super::topics::Topic;

impl State {
    /// The topics of one route, by source name.
    pub fn topics_of(&self, route: &RouteName) -> impl Iterator<Item = (&TopicName, &Topic)> {
        let of_route = move |entry: &(&(RouteName, TopicName), &Topic)| entry.0.0 == *route;
        self.topics.range((route.clone(), first_topic())..).take_while(of_route).map(|((_, name), topic)| (name, topic))
    }

    /// Every slot with its topic, in the table's order.
    pub fn slots_with_topics(&self) -> impl Iterator<Item = (&RoutePartition, &Slot, &Topic)> {
        self.routes.keys().flat_map(|route| self.slots_with_topics_of(route))
    }

    /// The slots of one route with their topics, in the table's order.
    pub fn slots_with_topics_of(&self, route: &RouteName) -> impl Iterator<Item = (&RoutePartition, &Slot, &Topic)> {
        let mut topics = self.topics_of(route);
        let mut current = topics.next();
        self.slots_of_route(route).map(move |(id, slot)| {
            loop {
                // Both are in one order.
                let (name, topic) = current.expect("C4: a slot's topic is known");
                if *name == id.topic {
                    return (id, slot, topic);
                }
                current = topics.next();
            }
        })
    }

    /// The slots of one route, in the table's order.
    pub fn slots_of_route(&self, route: &RouteName) -> impl Iterator<Item = (&RoutePartition, &Slot)> {
        let first = RoutePartition { route: route.clone(), topic: first_topic(), partition: Partition(0) };
        let of_route = move |entry: &(&RoutePartition, &Slot)| entry.0.route == *route;
        self.slots.range(first..).take_while(of_route)
    }

    /// The slots of one topic, by partition.
    pub fn slots_of(&self, route: &RouteName, topic: &TopicName) -> impl Iterator<Item = (&RoutePartition, &Slot)> {
        let at = |partition| RoutePartition { route: route.clone(), topic: topic.clone(), partition };
        self.slots.range(at(Partition(0))..=at(Partition(u32::MAX)))
    }
}

/// The name that sorts first: "-" does among the characters a name can have.
fn first_topic() -> TopicName {
    TopicName::new("-").expect("legal")
}
