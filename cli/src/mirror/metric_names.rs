//! The metrics a mirror serves, described for whoever scrapes them. The worker counts, under its own names; why a
//! partition stands still, or a topic waits, is published here.

use std::collections::BTreeSet;

use common::ids::{RouteName, TopicName, TopicPartition};
use metrics::{describe_gauge, gauge};

use super::watch::View;
use crate::daemon::worker_metrics;

/// 1 while a partition stands still for the reason.
pub const HELD: &str = "replisome_partition_held";

/// 1 while a topic waits as a whole for the reason, or the partitions that its target lacks do.
pub const WAITING: &str = "replisome_topic_waiting";

/// Tells the recorder what each name means.
pub fn describe() {
    worker_metrics::describe();
    describe_gauge!(HELD, "1 while the partition stands still for the reason");
    describe_gauge!(WAITING, "1 while the topic, or the partitions its target lacks, wait for the reason");
}

/// Publishes why partitions stand still, and takes back what no longer holds.
#[derive(Default)]
pub struct HeldGauges {
    published: BTreeSet<(TopicPartition, &'static str)>,
    waiting: BTreeSet<(TopicName, &'static str)>,
}

impl HeldGauges {
    /// Publishes the view.
    pub fn publish(&mut self, route: &RouteName, view: &View) {
        let held: BTreeSet<_> = view
            .partitions
            .iter()
            .filter_map(|(partition, state)| Some((partition.clone(), state.held()?.kind())))
            .collect();
        let set = |(partition, reason): &(TopicPartition, &'static str), value: f64| {
            let labels = [
                ("route", route.to_string()),
                ("topic", partition.topic.to_string()),
                ("partition", partition.partition.to_string()),
                ("reason", (*reason).to_owned()),
            ];
            gauge!(HELD, &labels).set(value);
        };
        self.published.difference(&held).for_each(|gone| set(gone, 0.0));
        held.iter().for_each(|now| set(now, 1.0));
        self.published = held;
        self.publish_waiting(route, view);
    }

    /// Publishes why topics wait.
    fn publish_waiting(&mut self, route: &RouteName, view: &View) {
        let reasons = view.waiting.iter().chain(&view.beyond);
        let waiting: BTreeSet<_> = reasons.map(|(topic, reason)| (topic.clone(), reason.kind())).collect();
        let set = |(topic, reason): &(TopicName, &'static str), value: f64| {
            let labels = [("route", route.to_string()), ("topic", topic.to_string()), ("reason", (*reason).to_owned())];
            gauge!(WAITING, &labels).set(value);
        };
        self.waiting.difference(&waiting).for_each(|gone| set(gone, 0.0));
        waiting.iter().for_each(|now| set(now, 1.0));
        self.waiting = waiting;
    }
}
