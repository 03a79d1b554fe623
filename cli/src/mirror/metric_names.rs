//! The metrics a mirror serves, described for whoever scrapes them. The worker counts, under its own names; why a topic
//! waits, which in a fleet the leading controller tells, is published here under the same name.

use std::collections::BTreeSet;

use common::ids::{RouteName, TopicName};
use controller::metrics::TOPIC_WAITING;
use metrics::{describe_gauge, gauge};

use super::watch::View;
use crate::daemon::worker_metrics;

/// Tells the recorder what each name means.
pub fn describe() {
    worker_metrics::describe();
    describe_gauge!(TOPIC_WAITING, "1 while the topic, or the partitions its target lacks, wait for the reason");
}

/// Publishes why topics wait, and takes back what no longer holds.
#[derive(Default)]
pub struct WaitingGauges {
    published: BTreeSet<(TopicName, &'static str)>,
}

impl WaitingGauges {
    /// Publishes the view.
    pub fn publish(&mut self, route: &RouteName, view: &View) {
        let reasons = view.waiting.iter().chain(&view.beyond);
        let waiting: BTreeSet<_> = reasons.map(|(topic, reason)| (topic.clone(), reason.kind())).collect();
        let set = |(topic, reason): &(TopicName, &'static str), value: f64| {
            let labels = [("route", route.to_string()), ("topic", topic.to_string()), ("reason", (*reason).to_owned())];
            gauge!(TOPIC_WAITING, &labels).set(value);
        };
        self.published.difference(&waiting).for_each(|gone| set(gone, 0.0));
        waiting.iter().for_each(|now| set(now, 1.0));
        self.published = waiting;
    }
}
