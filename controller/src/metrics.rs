//! The controller's metrics: all names in one place, those that `leader` counts among them. What is a state of now is
//! published once a second from here; whoever runs the process chooses the recorder.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{RouteName, TopicName, WorkerId};
use common::shown::Shown;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::api::Seat;
use crate::api::view::{Condition, Observed};
use crate::leader::LeaderHandle;
use crate::raft::RaftNode;

/// The number of the last change of the table.
pub const REVISION: &str = "replisome_controller_revision";
/// How often a leadership began.
pub const EPOCH: &str = "replisome_controller_epoch";
/// The term of the log.
pub const TERM: &str = "replisome_controller_term";
/// The last index of the log that is applied here.
pub const APPLIED: &str = "replisome_controller_applied_index";
/// 1 on the controller that leads, else 0.
pub const IS_LEADER: &str = "replisome_controller_is_leader";
/// 1 while the controller sees a leader with a quorum, else 0.
pub const HAS_QUORUM: &str = "replisome_controller_has_quorum";
/// Sessions by state; on the leader only.
pub const SESSIONS: &str = "replisome_controller_sessions";
/// 1 while missing workers keep their partitions since many were lost at once; on the leader only.
pub const MOVES_HELD: &str = "replisome_controller_moves_held";
/// Partitions by state; on the leader only.
pub const PARTITIONS: &str = "replisome_controller_partitions";
/// Source records not yet at the target, by topic; on the leader only.
pub const TOPIC_LAG_RECORDS: &str = "replisome_topic_lag_records";
/// 1 while a topic, or the partitions that its target lacks, wait for the reason; on the leader only.
pub const TOPIC_WAITING: &str = "replisome_topic_waiting";
/// Bytes a second that each worker's partitions bring; on the leader only.
pub const WORKER_BYTES_PER_SECOND: &str = "replisome_worker_bytes_per_second";
/// Steps of plans that were applied, by reason.
pub const MOVES_TOTAL: &str = "replisome_moves_total";
/// Workers that started anew while they were registered, by whether they got their own partitions back at once.
pub const QUICK_RETURNS_TOTAL: &str = "replisome_quick_returns_total";
/// Releases that left something open: see `UncleanRelease`.
pub const UNCLEAN_RELEASES_TOTAL: &str = "replisome_unclean_releases_total";
/// How long a plan took.
pub const PLAN_SECONDS: &str = "replisome_plan_seconds";
/// How long it took to make a write to the data directory durable.
pub const FSYNC_SECONDS: &str = "replisome_controller_fsync_seconds";

/// How many bytes more the data directory's disk can hold.
pub const DISK_FREE: &str = "replisome_controller_disk_free_bytes";

/// How often what is true now is published.
const INTERVAL: Duration = Duration::from_secs(1);
/// For how many times as long as it took partitions are not summed up anew: of a hundred thousand it takes a quarter of a second …
const REST: u32 = 60;
/// … and for how long at most.
const REST_MAX: Duration = Duration::from_secs(30);

/// The values of the label `state` of sessions.
const SESSION_STATES: [&str; 3] = ["connected", "disconnected", "draining"];

/// Tells the recorder what each name means.
pub fn describe() {
    describe_gauge!(REVISION, "Number of the last change of the table here");
    describe_gauge!(EPOCH, "How often a leadership began");
    describe_gauge!(TERM, "Term of the log as this controller knows it");
    describe_gauge!(APPLIED, "Last index of the log that is applied here");
    describe_gauge!(IS_LEADER, "1 on the controller that leads, else 0");
    describe_gauge!(HAS_QUORUM, "1 while this controller sees a leader with a quorum, else 0");
    describe_gauge!(SESSIONS, "Registered sessions of workers by state, on the leader; 0 elsewhere");
    describe_gauge!(MOVES_HELD, "1 while missing workers keep their partitions since many were lost at once, else 0");
    describe_gauge!(PARTITIONS, "Partitions by state, on the leader; 0 elsewhere");
    describe_gauge!(
        TOPIC_LAG_RECORDS,
        "Source records not yet at the target, of partitions that a worker copies, on the leader"
    );
    describe_gauge!(TOPIC_WAITING, "1 while the topic, or the partitions its target lacks, wait for the reason");
    describe_gauge!(WORKER_BYTES_PER_SECOND, "Bytes a second that a worker's partitions bring, on the leader");
    describe_counter!(MOVES_TOTAL, "Applied steps of plans by reason");
    describe_counter!(QUICK_RETURNS_TOTAL, "Workers that started anew, by whether they got their own partitions back");
    describe_counter!(UNCLEAN_RELEASES_TOTAL, "Partitions given back before all had arrived and was stored");
    describe_histogram!(PLAN_SECONDS, Unit::Seconds, "How long a plan took");
    describe_gauge!(DISK_FREE, Unit::Bytes, "Room that the data directory's disk has left");
    describe_histogram!(FSYNC_SECONDS, Unit::Seconds, "How long it took to make a write to the data directory durable");
}

/// Publishes until it is dropped.
pub(crate) async fn publish(raft: RaftNode, seat: Seat) {
    let (log, standing) = (raft.log(), raft.standing());
    let (mut known, mut rests_until) = (Known::default(), Instant::now());
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (revision, epoch) = {
            let state = log.read();
            (state.revision().0, state.controller_epoch().0)
        };
        let ((term, applied), leading) = (raft.position(), seat.leading());
        gauge!(TERM).set(term as f64);
        gauge!(APPLIED).set(applied as f64);
        gauge!(REVISION).set(revision as f64);
        gauge!(EPOCH).set(epoch as f64);
        gauge!(IS_LEADER).set(flag(leading.is_some()));
        gauge!(HAS_QUORUM).set(flag(standing.borrow().has_quorum));
        let handle = leading.map(|leading| leading.handle);
        handle.as_ref().map(Sessions::of).unwrap_or_default().publish();
        let begun = Instant::now();
        let sums = match handle {
            Some(_) if begun < rests_until => continue,
            Some(handle) => handle.clone().table_work().run(move || Sums::of(&handle)).await,
            None => Sums::default(),
        };
        rests_until = Instant::now() + (begun.elapsed() * REST).min(REST_MAX);
        sums.publish(&mut known);
    }
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// What a leader knows of its sessions; all others publish nothing but zeros.
#[derive(Default)]
struct Sessions {
    by_state: BTreeMap<&'static str, u32>,
    is_held: bool,
}

/// What a leader sums up over all partitions.
#[derive(Default)]
struct Sums {
    partitions: BTreeMap<&'static str, u32>,
    lags: BTreeMap<(RouteName, TopicName), u64>,
    waiting: BTreeSet<Waiting>,
    rates: BTreeMap<WorkerId, u64>,
}

/// A topic, and the kind of the reason that it waits for.
pub type Waiting = (RouteName, TopicName, &'static str);

/// What was published under names of its own.
#[derive(Default)]
struct Known {
    lags: Shown<(RouteName, TopicName)>,
    waiting: Shown<Waiting>,
    rates: Shown<WorkerId>,
}

/// Publishes why topics wait.
pub fn show_waiting(now: impl IntoIterator<Item = Waiting>, shown: &mut Shown<Waiting>) {
    shown.show(now.into_iter().map(|waiting| (waiting, 1.0)), |(route, topic, reason), value| {
        gauge!(TOPIC_WAITING, "route" => route.to_string(), "topic" => topic.to_string(), "reason" => *reason)
            .set(value);
    });
}

impl Sessions {
    fn of(handle: &LeaderHandle) -> Self {
        let liveness = handle.liveness();
        let state = handle.state();
        let mut sessions = Self { is_held: !state.holds().is_empty(), ..Self::default() };
        for session in state.sessions().keys() {
            let is_connected = liveness.get(session).is_some_and(|heard| heard.connected);
            let word = match (is_connected, state.is_draining(*session)) {
                (false, _) => "disconnected",
                (true, true) => "draining",
                (true, false) => "connected",
            };
            *sessions.by_state.entry(word).or_default() += 1;
        }
        sessions
    }

    fn publish(self) {
        for state in SESSION_STATES {
            gauge!(SESSIONS, "state" => state).set(self.by_state.get(state).copied().unwrap_or_default());
        }
        gauge!(MOVES_HELD).set(flag(self.is_held));
    }
}

impl Sums {
    fn of(handle: &LeaderHandle) -> Self {
        let (observed, mut sums) = (Observed::of(handle), Self::default());
        let state = handle.state();
        let rates = observed.rates_of_sessions(&state).into_iter();
        sums.rates = rates.map(|(session, rate)| (state.sessions()[&session].worker.clone(), rate)).collect();
        let waiting = state.waiting_topics();
        sums.waiting = waiting.map(|(route, name, reason)| (route.clone(), name.clone(), reason.kind())).collect();
        for row in observed.rows(&state) {
            *sums.partitions.entry(row.condition.name()).or_default() += 1;
            if let Some(lag) = row.lag() {
                let topic = (row.id.route.clone(), row.id.topic.clone());
                *sums.lags.entry(topic).or_default() += lag;
            }
        }
        sums
    }

    /// Publishes it. What is no longer known goes to 0.
    fn publish(self, known: &mut Known) {
        for state in Condition::ALL.map(Condition::name) {
            gauge!(PARTITIONS, "state" => state).set(self.partitions.get(state).copied().unwrap_or_default());
        }
        known.rates.show(self.rates.into_iter().map(|(worker, rate)| (worker, rate as f64)), |worker, rate| {
            gauge!(WORKER_BYTES_PER_SECOND, "worker" => worker.to_string()).set(rate);
        });
        show_waiting(self.waiting, &mut known.waiting);
        known.lags.show(self.lags.into_iter().map(|(topic, lag)| (topic, lag as f64)), |(route, topic), lag| {
            gauge!(TOPIC_LAG_RECORDS, "route" => route.to_string(), "topic" => topic.to_string()).set(lag);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn what_is_no_longer_known_goes_to_zero() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let topic = (RouteName::new("r").unwrap(), TopicName::new("t").unwrap());
        metrics::with_local_recorder(&recorder, || {
            let mut known = Known::default();
            let (lags, rates) = (BTreeMap::from([(topic, 5)]), BTreeMap::from([(WorkerId::new("w1").unwrap(), 7)]));
            let sums = Sums { lags, rates, ..Sums::default() };
            sums.publish(&mut known);
            assert!(handle.render().contains(r#"replisome_topic_lag_records{route="r",topic="t"} 5"#));
            assert!(handle.render().contains(r#"replisome_worker_bytes_per_second{worker="w1"} 7"#));
            Sums::default().publish(&mut known);
            assert!(handle.render().contains(r#"replisome_topic_lag_records{route="r",topic="t"} 0"#));
            assert!(handle.render().contains(r#"replisome_worker_bytes_per_second{worker="w1"} 0"#));
            assert!(known.lags.is_empty() && known.rates.is_empty());
        });
    }
}
