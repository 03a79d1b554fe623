//! The metrics a mirror serves, described for whoever scrapes them. The worker counts, under its own names; why a topic
//! waits, which in a fleet the leading controller tells, is published here under the same name.

use ::metrics::describe_gauge;
use common::ids::RouteName;
use common::shown::Shown;
use controller::metrics::{self, TOPIC_WAITING, Waiting};

use super::watch::View;
use crate::daemon::worker_metrics;

/// Tells the recorder what each name means.
pub fn describe() {
    worker_metrics::describe();
    describe_gauge!(TOPIC_WAITING, "1 while the topic, or the partitions its target lacks, wait for the reason");
}

/// Publishes why topics wait.
pub fn show_waiting(route: &RouteName, view: &View, shown: &mut Shown<Waiting>) {
    let reasons = view.waiting.iter().chain(&view.beyond);
    metrics::show_waiting(reasons.map(|(topic, reason)| (route.clone(), topic.clone(), reason.kind())), shown);
}
