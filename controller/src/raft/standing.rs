//! Where a node stands: whether it leads, who does, what is in its way.

/// Where a node stands.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The term that this node leads in: only while a quorum acknowledged it within the last second.
    pub leads: Option<u64>,
    /// The leader that this node knows: its id and address.
    pub leader: Option<(u64, String)>,
    /// Whether this node has the fleet's first entry.
    pub initialized: bool,
    /// Whether the fleet can decide, as far as this node sees: it leads with a quorum, or heard from the leader of its
    /// term within the last seconds.
    pub has_quorum: bool,
    /// What an operator must do before this node can take part; `None` if nothing.
    pub trouble: Option<String>,
}

/// A member of the fleet, as it answered.
#[derive(Clone, PartialEq, Eq, Debug)]
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
}
