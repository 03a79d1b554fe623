//! Where a node stands: whether it leads, who does, what is in its way.

use std::time::Duration;

use common::bug::{self, Bug};
use openraft::ServerState;

use super::types::Metrics;

/// Where a node stands.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The term that this node leads in: only while a quorum acknowledged it within the last second.
    pub leads: Option<u64>,
    /// The leader, with its address: this node if it leads, or the one whose heartbeat came within the last second.
    pub leader: Option<(u64, String)>,
    /// Whether this node's table has the fleet's first entry.
    pub initialized: bool,
    /// Whether the fleet can decide, as far as this node sees: it knows a leader as above.
    pub has_quorum: bool,
    /// What keeps this node from taking part, and what to do about it; `None` if nothing.
    pub trouble: Option<String>,
    /// Where a member is, if this node was removed: whoever comes here should ask there.
    pub referral: Option<String>,
}

/// Why a node belongs to no fleet.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Absence {
    /// For people, with what to do about it.
    pub why: String,
    /// Where a member is that told it.
    pub referral: Option<String>,
}

/// A member of the fleet, as it answered.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ControllerView {
    /// Its node id.
    pub id: u64,
    /// Where its peers reach it.
    pub address: String,
    /// `leader`, `follower`, `candidate`, `learner` or `unreachable`.
    pub role: String,
    /// Its term; 0 if unreachable.
    pub term: u64,
    /// The last log index it has applied; 0 if unreachable.
    pub applied: u64,
    /// Its software version; empty if unreachable.
    pub software: String,
    /// Whether it has a vote; a learner has none.
    pub votes: bool,
    /// What will stop it, or slow the fleet, unless somebody sees to it; empty if nothing.
    pub warning: String,
    /// Why it takes no part, and what to do about it; empty if it does.
    pub trouble: String,
}

/// What openraft takes itself for.
pub(super) fn role(metrics: &Metrics) -> &'static str {
    match metrics.state {
        ServerState::Leader => "leader",
        ServerState::Follower => "follower",
        ServerState::Candidate => "candidate",
        ServerState::Learner => "learner",
        ServerState::Shutdown => "unreachable",
    }
}

/// Judges by what openraft showed, how long ago that was, how long a leader acts unacknowledged, and the leader that was heard
/// lately. The age counts because `millis_since_quorum_ack` stands still when openraft does, for instance in a slow write.
pub(super) fn judge(
    metrics: &Metrics,
    (age, acts_for): (Duration, Duration),
    heard: Option<u64>,
    absence: Option<Absence>,
) -> Standing {
    let stopped = metrics.running_state.as_ref().err();
    let confirmed =
        lapses_after(metrics, acts_for).is_some_and(|lapses| age < lapses) || bug::is(Bug::LeaseWithoutQuorum);
    let leads =
        (stopped.is_none() && metrics.state == ServerState::Leader && confirmed).then_some(metrics.current_term);
    let leader =
        if leads.is_some() { Some(metrics.id) } else { heard.filter(|id| metrics.current_leader == Some(*id)) };
    let address = |id| metrics.membership_config.membership().get_node(&id).map(|member| member.address.clone());
    let leader = leader.and_then(|id| Some((id, address(id)?)));
    let (trouble, referral) = absence.map(|Absence { why, referral }| (why, referral)).unzip();
    Standing {
        leads,
        has_quorum: leader.is_some(),
        leader,
        initialized: metrics.last_applied.is_some(),
        trouble: stopped.map(|fatal| format!("the log has stopped, restart the controller: {fatal}")).or(trouble),
        referral: referral.flatten(),
    }
}

/// How long after openraft showed this a leader that is acknowledged no more acts no more; `None` if no quorum ever
/// acknowledged it.
pub(super) fn lapses_after(metrics: &Metrics, acts_for: Duration) -> Option<Duration> {
    metrics.millis_since_quorum_ack.map(|millis| acts_for.saturating_sub(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::raft::types::{Member, StoredMembership};

    fn leader() -> Metrics {
        let member = |n: u64| (n, Member { address: format!("host{n}:1"), store: format!("s{n}") });
        let members = openraft::Membership::new(vec![[1, 2, 3].into()], BTreeMap::from([1, 2, 3].map(member)));
        let mut metrics = Metrics::new_initial(1);
        metrics.state = ServerState::Leader;
        metrics.current_term = 4;
        metrics.current_leader = Some(1);
        metrics.millis_since_quorum_ack = Some(300);
        metrics.membership_config = StoredMembership::new(None, members).into();
        metrics
    }

    #[test]
    fn a_leader_whose_quorum_is_silent_leads_no_more_even_if_openraft_shows_nothing_new() {
        let metrics = leader();
        let acts_for = Duration::from_millis(950);
        let at = |age| judge(&metrics, (Duration::from_millis(age), acts_for), None, None);
        assert_eq!(at(600).leads, Some(4));
        assert_eq!(at(600).leader, Some((1, "host1:1".to_owned())));
        let lapses = lapses_after(&metrics, acts_for).unwrap().as_millis() as u64;
        assert_eq!((at(lapses - 1).leads, at(lapses)), (Some(4), Standing::default()));
    }

    #[test]
    fn a_leader_that_was_not_heard_lately_is_none() {
        let metrics = Metrics { id: 2, state: ServerState::Follower, millis_since_quorum_ack: None, ..leader() };
        assert_eq!(judge(&metrics, Default::default(), None, None).leader, None);
        assert_eq!(judge(&metrics, Default::default(), Some(3), None).leader, None);
        let heard = judge(&metrics, Default::default(), Some(1), None);
        assert_eq!((heard.leads, heard.has_quorum, heard.leader), (None, true, Some((1, "host1:1".to_owned()))));
    }

    #[test]
    fn a_log_that_stopped_leads_nothing_and_says_so() {
        let metrics = Metrics { running_state: Err(openraft::error::Fatal::Panicked), ..leader() };
        let standing = judge(&metrics, Default::default(), None, None);
        assert_eq!(standing.leads, None);
        assert!(standing.trouble.expect("trouble").contains("restart"));
    }
}
