//! What can be done to the table, and the envelope it travels in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use common::config::{ClusterConfig, RouteSettings};
use common::ids::{
    ClusterName, Epoch, Partition, PoolName, Revision, RouteName, RoutePartition, SessionId, TopicName, WorkerId,
};
use common::offsets::StartPosition;
use common::reason::Reason;
use common::weight::Weight;
use serde::{Deserialize, Serialize};

use super::claims::{ClaimBegin, ClaimEnd};
use super::events::NewEvent;
use super::offsets::NotedOffset;
use super::topics::{PartitionFacts, TopicFacts};

/// The version of the envelope that this software writes.
pub const FORMAT: u16 = 1;

/// Names one request of an operator, so that repeating it is safe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub ulid::Ulid);

/// A command with where it comes from. Time is data here: `apply` never looks at a clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The version of this form.
    pub format: u16,
    /// Set for what a person asked for. The leader's own commands are safe to repeat by their own checks.
    pub request: Option<RequestId>,
    /// Who asked, for people.
    pub actor: String,
    /// When, in milliseconds since the Unix epoch; for display only.
    pub time_ms: i64,
    /// What.
    pub command: Command,
}

/// A change of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// The barrier each new leader commits first: bumps the controller epoch.
    BeginLeadership,
    /// Names a Kafka cluster.
    AddCluster(ClusterConfig),
    /// Forgets a Kafka cluster that nothing needs any more.
    RemoveCluster {
        /// Which.
        cluster: ClusterName,
    },
    /// Adds a route.
    AddRoute {
        /// Its name.
        route: RouteName,
        /// What the operator chose.
        settings: RouteSettings,
    },
    /// Removes a route with its topics, once each partition is released, then its offsets on the source. Of a route
    /// whose offsets are waiting to be deleted it can only say that they stay after all.
    RemoveRoute {
        /// Which.
        route: RouteName,
        /// Whether its offsets stay on the source.
        keep_offsets: bool,
    },
    /// The consumer group of a removed route is gone from the source.
    OffsetsDeleted {
        /// Which.
        route: RouteName,
        /// Its incarnation.
        incarnation: Revision,
    },
    /// Stops all partitions of a route until it is resumed.
    PauseRoute {
        /// Which.
        route: RouteName,
        /// Why, for people.
        reason: String,
    },
    /// Ends a pause of a route.
    ResumeRoute {
        /// Which.
        route: RouteName,
    },
    /// Adds a topic by name, whether the route's filter matches it or not.
    AddTopic {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
        /// The target topic.
        target: TopicName,
        /// Where its partitions begin, if not by the route's rule.
        start: Option<StartPosition>,
    },
    /// Removes a topic, once each partition is released, and keeps the route's filter from finding it again.
    RemoveTopic {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
    },
    /// Stops a topic, or one partition of it, until it is resumed.
    PauseTopic {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
        /// The one partition that is meant, or all.
        partition: Option<Partition>,
        /// Why, for people.
        reason: String,
    },
    /// Ends a pause of a topic, or of one partition.
    ResumeTopic {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
        /// The one partition that is meant, or all.
        partition: Option<Partition>,
        /// Whether the next grant of each accepts a stored offset of another identity. Those that run are released for
        /// it.
        accept_foreign_offsets: bool,
    },
    /// Gives a partition to another worker.
    MovePartition {
        /// Which.
        partition: RoutePartition,
        /// Whom to.
        to: WorkerId,
    },
    /// Has a partition be with one worker, whenever that takes work, until it is unpinned.
    PinPartition {
        /// Which.
        partition: RoutePartition,
        /// Whom to.
        to: WorkerId,
    },
    /// Ends that.
    UnpinPartition {
        /// Which.
        partition: RoutePartition,
    },
    /// What a look at Kafka found, topic by topic.
    ReportTopics(Vec<TopicReport>),
    /// Every topic that a first complete look at the source found is in the table: what comes now appeared later.
    SurveyRoute {
        /// The route.
        route: RouteName,
        /// The incarnation that was looked at.
        incarnation: Revision,
    },
    /// A worker is there.
    RegisterSession {
        /// The session it made for itself.
        session: SessionId,
        /// Its stable id.
        worker: WorkerId,
        /// Where it runs, for people.
        address: String,
        /// Its software version, for people.
        software: String,
        /// How much work it takes, in proportion to others.
        weight: Weight,
        /// The pool that it is in.
        pool: PoolName,
        /// The worker's earlier session, which ends in the same entry.
        replaces: Option<SessionId>,
    },
    /// A session gets nothing more and gives back what it has: its process is shutting down.
    DrainSession {
        /// Which.
        session: SessionId,
    },
    /// A worker gets nothing more and gives back what it has, over its restarts too.
    DrainWorker {
        /// Which.
        worker: WorkerId,
    },
    /// Ends that.
    UndrainWorker {
        /// Which.
        worker: WorkerId,
    },
    /// Moves partitions until each session has its even share.
    Rebalance {
        /// How many at the most, if not as many as it takes.
        moves_max: Option<u32>,
    },
    /// Has nothing move for balance or to where it is pinned.
    Freeze,
    /// Ends that.
    Unfreeze,
    /// Forgets a worker that is not there, and the pins to it.
    RemoveWorker {
        /// Which.
        worker: WorkerId,
    },
    /// Nothing more moves for balance as things are.
    Settle {
        /// The sessions that have their even share.
        sessions: Vec<SessionId>,
        /// The rebalance that is over, by the change that began it.
        run: Option<Revision>,
    },
    /// A session is gone. Its partitions are unassigned and go to others in the same entry.
    ExpireSession {
        /// Which.
        session: SessionId,
        /// Why, for people.
        reason: String,
        /// Planned on the table as it is after the expiry.
        moves: Vec<Move>,
    },
    /// Many sessions of a pool were lost at once: its missing ones keep what they have.
    HoldMoves {
        /// The pool.
        pool: PoolName,
        /// How many were lost within one lease …
        lost: usize,
        /// … of how many that were registered before.
        registered: usize,
        /// How long it is to last.
        lasts: Duration,
    },
    /// Ends that.
    EndHold {
        /// The pool that is meant, or all.
        pool: Option<PoolName>,
        /// Why, for people.
        reason: String,
    },
    /// Single steps of a plan.
    Moves(Vec<Move>),
    /// Partitions that change places for load.
    Exchange(Vec<Exchange>),
    /// Partitions of which nothing can still be written by the session they were released from.
    Released(Vec<Release>),
    /// The leader is about to claim partitions that lost their owner and are to have no other.
    BeginClaims(Vec<ClaimBegin>),
    /// It has claimed them.
    EndClaims(Vec<ClaimEnd>),
    /// A claim found a greater pair stored than it was granted: the grant is taken back, the next one goes above.
    RaiseEpoch {
        /// Which.
        partition: RoutePartition,
        /// The epoch that was granted.
        granted: Epoch,
        /// The epoch that was found.
        stored: Epoch,
    },
    /// How far partitions are stored, so that they go on there should Kafka forget it.
    NoteOffsets(Vec<NotedOffset>),
    /// What workers or the leader saw and people must be able to find.
    RecordEvents(Vec<NewEvent>),
}

impl Command {
    /// Whether anything may have to be done once it is applied. Noted offsets are for a grant that comes some day.
    pub fn is_news(&self) -> bool {
        !matches!(self, Self::NoteOffsets(_))
    }
}

/// One step of a plan, with the number that shows whether it is still true when it is applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    /// What moves.
    pub partition: RoutePartition,
    /// The slot's epoch when this was planned. If it is another one by now, the move is stale.
    pub planned_on: Epoch,
    /// Where to.
    pub step: Step,
    /// What made it necessary.
    pub cause: Cause,
}

/// A move is always a release, then an assignment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Ask the owner to finish and give the partition back.
    Release {
        /// The owner.
        from: SessionId,
    },
    /// Grant an unassigned partition under the next epoch.
    Assign {
        /// The new owner.
        to: SessionId,
    },
}

/// Why a partition moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It had no owner yet.
    New,
    /// Its owner gave it back.
    Released,
    /// Its owner was lost.
    SessionLost,
    /// Its owner was lost, and that one's worker is back.
    Returned,
    /// Its owner is draining.
    Drain,
    /// Another worker has less to do.
    Balance,
    /// Another worker copies less.
    Load,
    /// An operator paused it.
    Paused,
    /// It is being removed.
    Removed,
    /// An operator asked for it.
    Operator,
    /// An operator pinned it to a worker that takes work.
    Pinned,
}

/// Partitions that change places, so that what two sessions copy is closer to even. Both are released, or none is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// Who copies too much.
    pub from: SessionId,
    /// Who copies less.
    pub to: SessionId,
    /// What goes from the one to the other.
    pub gives: Given,
    /// What comes back for it.
    pub gets: Option<Given>,
    /// What both copied, in bytes a second: for people.
    pub rates: (u64, u64),
}

/// A partition that changes its place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Given {
    /// Which.
    pub partition: RoutePartition,
    /// The slot's epoch when this was planned.
    pub planned_on: Epoch,
}

/// A release that is complete.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// Which.
    pub partition: RoutePartition,
    /// The epoch it was held under.
    pub epoch: Epoch,
    /// Whether all that its owner sent has arrived, and how far that is was stored.
    pub clean: bool,
}

/// What a look at Kafka found of one topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TopicReport {
    /// The route.
    pub route: RouteName,
    /// The incarnation that was looked at: a report about an earlier one is stale.
    pub incarnation: Revision,
    /// The revision of the table that the look went by: it knew no later wish.
    pub seen: Revision,
    /// The source topic.
    pub topic: TopicName,
    /// The target topic, for a topic that is new to the table.
    pub target: TopicName,
    /// What was found.
    pub finding: Finding,
}

/// The two things a look at a topic can find.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Finding {
    /// Both sides are there.
    Ready {
        /// What they are.
        facts: TopicFacts,
        /// What is known of each partition that is new to the table.
        new_partitions: BTreeMap<Partition, PartitionFacts>,
        /// Why the source's further partitions are not copied, if it has any.
        beyond: Option<Reason>,
    },
    /// The topic can't be copied yet. What runs goes on under its worker's own judgement; nothing is granted anew.
    Waiting(Reason),
}

impl Cause {
    /// Whether nothing but a wish makes it: such moves come in waves, and none while they are frozen.
    pub fn is_choice(&self) -> bool {
        matches!(self, Self::Balance | Self::Load | Self::Pinned)
    }

    /// A stable word, for metrics and scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Released => "released",
            Self::SessionLost => "session-lost",
            Self::Returned => "returned",
            Self::Drain => "drain",
            Self::Balance => "balance",
            Self::Load => "load",
            Self::Paused => "paused",
            Self::Removed => "removed",
            Self::Operator => "operator",
            Self::Pinned => "pinned",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "it had no owner yet",
            Self::Released => "its owner gave it back",
            Self::SessionLost => "its owner was lost",
            Self::Returned => "its worker started anew",
            Self::Drain => "its owner is draining",
            Self::Balance => "another worker has less to do",
            Self::Load => "another worker copies less",
            Self::Paused => "it is paused",
            Self::Removed => "it is being removed",
            Self::Operator => "an operator asked for it",
            Self::Pinned => "it is pinned",
        })
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, planned_on, step, cause } = self;
        match step {
            Step::Release { from } => write!(f, "release {partition} (epoch {planned_on}) from {from}: {cause}"),
            Step::Assign { to } => write!(f, "assign {partition} (epoch {}) to {to}: {cause}", planned_on.next()),
        }
    }
}
