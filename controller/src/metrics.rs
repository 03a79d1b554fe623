//! The controller's metrics: all names in one place, those that `leader` counts among them. What is a state of now is
//! published once a second from here; whoever runs the process chooses the recorder.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{RouteName, TopicName};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use tokio::time::{MissedTickBehavior, interval};

use crate::api::view::{Condition, Observed};
use crate::api::{Leading, Seat};
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
/// Steps of plans that were applied, by reason.
pub const MOVES_TOTAL: &str = "replisome_moves_total";
/// How long a plan took.
pub const PLAN_SECONDS: &str = "replisome_plan_seconds";

/// How often what is true now is published.
const INTERVAL: Duration = Duration::from_secs(1);

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
    describe_gauge!(TOPIC_LAG_RECORDS, "Source records not yet at the target where that is known, on the leader");
    describe_counter!(MOVES_TOTAL, "Applied steps of plans by reason");
    describe_histogram!(PLAN_SECONDS, Unit::Seconds, "How long a plan took");
}

/// Publishes until it is dropped.
pub(crate) async fn publish(raft: RaftNode, seat: Seat) {
    let (log, standing) = (raft.log(), raft.standing());
    let mut lags = BTreeSet::new();
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
        Fleet::of(leading).publish(&mut lags);
    }
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// What only a leader knows, and of which all others publish nothing but zeros.
#[derive(Default)]
struct Fleet {
    sessions: BTreeMap<&'static str, u32>,
    partitions: BTreeMap<&'static str, u32>,
    lags: BTreeMap<(RouteName, TopicName), u64>,
    is_held: bool,
}

impl Fleet {
    fn of(leading: Option<Leading>) -> Self {
        let Some(Leading { handle, .. }) = leading else { return Self::default() };
        let observed = Observed::of(&handle);
        let state = handle.state();
        let mut fleet = Self { is_held: state.hold().is_some(), ..Self::default() };
        for session in state.sessions().keys() {
            let is_connected = observed.liveness.get(session).is_some_and(|heard| heard.connected);
            let word = match (is_connected, state.is_draining(*session)) {
                (false, _) => "disconnected",
                (true, true) => "draining",
                (true, false) => "connected",
            };
            *fleet.sessions.entry(word).or_default() += 1;
        }
        for row in observed.rows(&state) {
            *fleet.partitions.entry(row.condition.name()).or_default() += 1;
            if let Some(lag) = row.lag() {
                let topic = (row.id.route.clone(), row.id.topic.clone());
                *fleet.lags.entry(topic).or_default() += lag;
            }
        }
        fleet
    }

    /// Publishes it. Topics whose lag is no longer known go to 0, since a name once given can't be taken back.
    fn publish(self, known_lags: &mut BTreeSet<(RouteName, TopicName)>) {
        for state in SESSION_STATES {
            gauge!(SESSIONS, "state" => state).set(self.sessions.get(state).copied().unwrap_or_default());
        }
        for state in Condition::ALL.map(Condition::name) {
            gauge!(PARTITIONS, "state" => state).set(self.partitions.get(state).copied().unwrap_or_default());
        }
        gauge!(MOVES_HELD).set(flag(self.is_held));
        known_lags.extend(self.lags.keys().cloned());
        known_lags.retain(|topic| {
            let lag = self.lags.get(topic);
            let (route, name) = topic;
            gauge!(TOPIC_LAG_RECORDS, "route" => route.to_string(), "topic" => name.to_string())
                .set(lag.copied().unwrap_or_default() as f64);
            lag.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn a_lag_that_is_no_longer_known_goes_to_zero() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let topic = (RouteName::new("r").unwrap(), TopicName::new("t").unwrap());
        metrics::with_local_recorder(&recorder, || {
            let mut known = BTreeSet::new();
            let fleet = Fleet { lags: BTreeMap::from([(topic, 5)]), ..Fleet::default() };
            fleet.publish(&mut known);
            assert!(handle.render().contains(r#"replisome_topic_lag_records{route="r",topic="t"} 5"#));
            Fleet::default().publish(&mut known);
            assert!(handle.render().contains(r#"replisome_topic_lag_records{route="r",topic="t"} 0"#));
            assert!(known.is_empty());
        });
    }
}
