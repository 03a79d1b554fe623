//! What a leader tells a worker and what a worker reports: whole desired sets down, observed state up. Nothing here is
//! an order to be obeyed once; every message can be lost, repeated or late without harm, because it carries the
//! numbers by which an older one is recognised.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::RouteConfig;
use crate::ids::{
    ControllerEpoch, Epoch, FleetId, FleetIncarnation, PoolName, Revision, RoutePartition, SessionId, TopicId,
    TopicName, TopicPartition, WorkerId,
};
use crate::offsets::{NextOffset, StartPosition};
use crate::reason::Reason;
use crate::weight::Weight;

/// The right to copy one partition, under one epoch.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// What is granted.
    pub partition: RoutePartition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// The topic to write.
    pub target_topic: TopicName,
    /// Which source topic is meant.
    pub source_topic_id: TopicId,
    /// Which target topic is meant.
    pub target_topic_id: TopicId,
    /// Where to begin if no offset was ever stored.
    pub start: StartPosition,
    /// Where to begin if none is stored any more: how far it had been stored when the leader noted it last.
    pub noted_offset: Option<NextOffset>,
    /// Whether a stored offset of another identity is accepted, for this grant alone.
    pub accept_foreign_offset: bool,
}

impl Grant {
    /// Where it is written to.
    pub fn target(&self) -> TopicPartition {
        TopicPartition::new(self.target_topic.clone(), self.partition.partition)
    }
}

/// How new a snapshot is: compared field by field, the fleet incarnation first.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Grows when controllers are restored from a backup.
    pub incarnation: FleetIncarnation,
    /// Grows at each leadership.
    pub controller_epoch: ControllerEpoch,
    /// Grows at each change of the table.
    pub revision: Revision,
}

/// All that one session is to run: the whole set, never a difference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// For whom.
    pub session: SessionId,
    /// The fleet it belongs to: a worker obeys one, and registers anew with another.
    pub fleet: FleetId,
    /// How new it is.
    pub version: Version,
    /// The routes its grants speak of.
    pub routes: Vec<RouteConfig>,
    /// What to run. A partition that runs and is not here is to be released.
    pub grants: Vec<Grant>,
}

/// What a running partition is doing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// Finding its start and storing it under its own epoch. Nothing is copied yet.
    Claiming,
    /// Copying.
    Copying,
    /// Standing still; `Reason::heals` says whether it goes on by itself.
    Held(Box<Reason>),
    /// Finishing what is in flight, to be released.
    Draining,
}

impl Phase {
    /// Standing still for this reason.
    pub fn held(reason: Reason) -> Self {
        Self::Held(Box::new(reason))
    }
}

/// A partition a worker runs, as its inventory names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Which.
    pub partition: RoutePartition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What it is doing.
    pub phase: Phase,
}

/// How far a partition is. Lives in memory; of all this the replicated table has the stored offset alone, and later.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// Which.
    pub partition: RoutePartition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// First source offset not yet at the target.
    pub next_offset: Option<NextOffset>,
    /// First source offset not yet at the target as durably stored.
    pub stored_offset: Option<NextOffset>,
    /// The source's last stable offset when last asked.
    pub source_end: Option<NextOffset>,
    /// The source's high watermark when last asked: what lies past `source_end` waits behind an open transaction.
    pub source_high_watermark: Option<NextOffset>,
    /// How old the last copied record was when the lag was last seen above zero; zero without lag.
    pub lag_time: Duration,
    /// Records copied under this epoch by this worker.
    pub records: u64,
    /// Bytes of keys, values and headers copied under this epoch by this worker.
    pub bytes: u64,
}

impl Progress {
    /// Source records not yet at the target, where both ends are known.
    pub fn lag(&self) -> Option<u64> {
        Some(self.next_offset?.lag_to(self.source_end?))
    }
}

/// From a worker to its leader. The first message of a connection is `Hello`, the second `Inventory`.
#[derive(Clone, PartialEq, Debug)]
pub enum Up {
    /// Who speaks.
    Hello(Hello),
    /// All it runs: sent first, every 30 s, and whenever a partition starts, stops or changes its phase.
    Inventory(Inventory),
    /// It lives.
    Heartbeat(Heartbeat),
    /// Progress of the partitions whose progress changed.
    Progress(Vec<Progress>),
    /// It is shutting down: give it nothing more.
    Draining,
}

/// The version of the protocol between workers and controllers that this software speaks.
pub const PROTOCOL: u32 = 5;

/// The first message of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The version of the protocol that the worker speaks.
    pub protocol: u32,
    /// The worker.
    pub worker: WorkerId,
    /// This registration of it.
    pub session: SessionId,
    /// Where it runs, for people.
    pub address: String,
    /// Its software version, for people.
    pub software: String,
    /// How much work it takes, in proportion to others.
    pub weight: Weight,
    /// The routes that it copies: those of this pool.
    pub pool: PoolName,
    /// The fleet that it copies for; `None` if none has told it anything yet.
    pub fleet: Option<FleetId>,
}

/// All a session runs, and which revision it has applied. *Released* is derived from it: a partition is released once
/// a revision at or after its release is applied and the partition is not listed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// The newest snapshot that was applied.
    pub applied: Version,
    /// Everything that can still write.
    pub running: Vec<Running>,
    /// The latest releases that were not clean.
    pub unclean: Vec<UncleanRelease>,
}

/// How long a partition may take to finish what is in flight when it is released. What has not arrived by then is thrown
/// away, and the next owner reads it again.
pub const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A release that left something open: records were thrown away that may have arrived all the same, or how far it was
/// could not be stored. The next owner begins at what is stored and copies the rest again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UncleanRelease {
    /// Of which partition.
    pub partition: RoutePartition,
    /// Under which epoch it was held.
    pub epoch: Epoch,
}

/// A sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heartbeat {
    /// Grows with each heartbeat of a connection; the first is 1.
    pub number: u64,
    /// Resident memory of the worker's process in bytes; 0 where it is not known.
    pub rss_bytes: u64,
}

/// From a leader to a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Down {
    /// What to run now.
    Snapshot(Arc<Snapshot>),
    /// The lease was renewed.
    Renewed(Renewal),
    /// The session is not served; the connection ends with it.
    Refused(Refusal),
}

/// A lease was renewed. It counts from when the worker *sent* what renewed it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Renewal {
    /// The newest heartbeat that was heard; 0 before the first, when the hello did it.
    pub heartbeat: u64,
    /// How often the leader wants to hear from the worker.
    pub every: Duration,
    /// How often the leader wants to hear of progress.
    pub progress_every: Duration,
    /// How long the leader keeps a silent session's partitions.
    pub lease: Duration,
    /// Where the fleet's controllers are now, as `HOST:PORT`.
    pub controllers: Vec<String>,
}

/// Why a session is not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What to do about it.
    pub kind: RefusalKind,
    /// How long the leader keeps a silent session's partitions, and so a worker id that is in use.
    pub lease: Duration,
    /// For people.
    pub text: String,
}

/// What a refused worker is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalKind {
    /// Another process with this worker id is connected: try again for one lease, then give up.
    InUse,
    /// The session has ended: stop everything and register anew.
    SessionEnded,
    /// They can't work together: give up.
    Fatal,
    /// The worker copies for another fleet: go on with that, and try again.
    OtherFleet,
}
