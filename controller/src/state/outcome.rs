//! What became of a command.

use common::ids::{
    ClusterName, Epoch, Partition, PoolName, Revision, RouteName, RoutePartition, SessionId, TopicName, WorkerId,
};
use serde::{Deserialize, Serialize};

use super::command::RequestId;

/// A command was applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The change that did it: for a repeated request the first one.
    pub revision: Revision,
    /// What it did.
    pub effect: Effect,
}

/// What a command did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Effect {
    /// What was asked.
    Done,
    /// Nothing, since it was so already.
    Exists,
    /// A batch was applied item by item.
    Batch {
        /// How many items were applied.
        applied: usize,
        /// The items that were not, each with the reason.
        refused: Vec<Refused>,
    },
}

/// An item of a batch that was not applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// Its place in the batch.
    pub index: usize,
    /// Why.
    pub rejection: Rejection,
}

/// Why a command was not applied. Nothing was changed then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// A newer version wrote it.
    #[error("the command has format {0}, which this controller is too old to read")]
    Format(u16),
    /// A request is repeated as it was.
    #[error("request id {} was used for another command; a new command needs a new id", .0.0)]
    RequestReused(RequestId),
    /// There is no such cluster.
    #[error("there is no cluster {0}")]
    UnknownCluster(ClusterName),
    /// There is no such route, or it is another incarnation by now.
    #[error("there is no route {0}")]
    UnknownRoute(RouteName),
    /// There is no such topic on the route.
    #[error("there is no topic {topic} on route {route}")]
    UnknownTopic {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
    },
    /// The topic has no such partition.
    #[error("there is no partition {0}")]
    UnknownPartition(RoutePartition),
    /// No id of the source topic is known, so that the next one of its name could not be told from this one.
    #[error("the source topic of {0} has no known id")]
    NoTopicId(RoutePartition),
    /// There never was such a worker, or long ago.
    #[error("there is no worker {0}")]
    UnknownWorker(WorkerId),
    /// There is no such session.
    #[error("session {0} is not registered")]
    UnknownSession(SessionId),
    /// A cluster of this name has other properties.
    #[error(
        "cluster {0} exists with other properties; to change them remove its routes, with --keep-offsets, and it, and add all \
         again"
    )]
    ClusterDiffers(ClusterName),
    /// A route still needs the cluster.
    #[error(
        "cluster {cluster} is used by route {route}; remove that first: replisome route remove {route} --keep-offsets"
    )]
    ClusterInUse {
        /// The cluster.
        cluster: ClusterName,
        /// The route.
        route: RouteName,
    },
    /// A removed route's offsets are still to be deleted.
    #[error(
        "the offsets of removed route {route} are not deleted from cluster {cluster} yet; try again then, or leave them \
         there: replisome route remove {route} --keep-offsets"
    )]
    OffsetsPending {
        /// The route that was.
        route: RouteName,
        /// Its source.
        cluster: ClusterName,
    },
    /// A route of this name has other settings.
    #[error(
        "route {0} exists with other settings; to change them remove it and add it again, and it goes on where it stopped: \
         replisome route remove {0} --keep-offsets"
    )]
    RouteDiffers(RouteName),
    /// A topic of this name has other settings.
    #[error(
        "topic {topic} exists on route {route} with another target or start; to change them remove it first: replisome topic \
         remove --route {route} {topic}"
    )]
    TopicDiffers {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
    },
    /// A route that would copy a cluster onto itself.
    #[error("source and target of route {0} are the same cluster")]
    SameCluster(RouteName),
    /// The route is on its way out.
    #[error("route {0} is being removed; try again once its partitions are released")]
    RouteLeaving(RouteName),
    /// The topic is on its way out, or was removed by an operator.
    #[error(
        "topic {topic} was removed from route {route}; to copy it again: replisome topic add --route {route} {topic}"
    )]
    TopicRemoved {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
    },
    /// Another topic of the route writes the same target topic.
    #[error("target topic {target} is written by topic {other} already; give this one another --target")]
    TargetTaken {
        /// The target topic.
        target: TopicName,
        /// The source topic that writes it.
        other: TopicName,
    },
    /// A report that leaves out a partition.
    #[error("the report on topic {topic} of route {route} says nothing about partition {partition}")]
    IncompleteReport {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
        /// The first partition that is left out.
        partition: Partition,
    },
    /// Kafka never shrinks a topic.
    #[error("topic {topic} of route {route} has the same id and fewer partitions: {found}, not {known}")]
    Shrunk {
        /// The route.
        route: RouteName,
        /// The source topic.
        topic: TopicName,
        /// What the table has.
        known: u32,
        /// What was reported.
        found: u32,
    },
    /// The worker id has a session already.
    #[error("worker {worker} has session {session}")]
    WorkerInUse {
        /// The worker.
        worker: WorkerId,
        /// Its session.
        session: SessionId,
    },
    /// A session is registered once.
    #[error("session {0} has ended; register a new one")]
    SessionEnded(SessionId),
    /// Many workers are missing, and what they have stays with them.
    #[error(
        "session {0} is not given up while many workers are missing; to give all of them up now: replisome worker \
         release-hold"
    )]
    MovesHeld(SessionId),
    /// The session takes no more work.
    #[error("session {0} is draining")]
    SessionDraining(SessionId),
    /// The worker takes no more work.
    #[error("worker {0} is draining; if an operator drains it, end that: replisome worker undrain {0}")]
    WorkerDraining(WorkerId),
    /// The worker has a session.
    #[error(
        "worker {0} is there; stop its process first, which gives its partitions to others, or keep it from work: replisome \
         worker drain {0}"
    )]
    WorkerPresent(WorkerId),
    /// The worker has no session now.
    #[error("worker {0} is not there now; start it, or choose another one: replisome worker list")]
    WorkerAbsent(WorkerId),
    /// The worker copies other routes.
    #[error(
        "worker {worker} is in pool {of_worker}, route {route} in pool {of_route}; a worker copies the routes of its own \
         pool alone"
    )]
    OtherPool {
        /// The worker.
        worker: WorkerId,
        /// The pool it is in.
        of_worker: PoolName,
        /// The route.
        route: RouteName,
        /// The pool it is in.
        of_route: PoolName,
    },
    /// A pin says otherwise.
    #[error(
        "{partition} is pinned to worker {worker}, which takes work; unpin it first: replisome assignment unpin --route \
         {} --topic {} --partition {}",
        partition.route, partition.topic, partition.partition
    )]
    Pinned {
        /// The partition.
        partition: RoutePartition,
        /// The worker it is pinned to.
        worker: WorkerId,
    },
    /// The slot changed since the move was planned.
    #[error("{partition} has epoch {found}, the move was planned on {planned_on}")]
    StaleEpoch {
        /// The partition.
        partition: RoutePartition,
        /// What the move expected.
        planned_on: Epoch,
        /// What the slot has.
        found: Epoch,
    },
    /// The slot is not where the step starts from.
    #[error("{partition} is {found}")]
    WrongLife {
        /// The partition.
        partition: RoutePartition,
        /// What it is.
        found: String,
    },
    /// What moves by choice may not move any more.
    #[error("{partition} stays where it is: {why}")]
    Stays {
        /// The partition.
        partition: RoutePartition,
        /// Why.
        why: String,
    },
    /// Nothing moves for balance now.
    #[error("moves for balance are frozen; end that first: replisome rebalance unfreeze")]
    Frozen,
    /// One entry of the log can't hold it.
    #[error("the command has {bytes} bytes, more than the {bytes_max} of one entry of the log")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The partition is not to be copied now.
    #[error("{partition} is not to be assigned: {reason}")]
    NotWanted {
        /// The partition.
        partition: RoutePartition,
        /// Why.
        reason: String,
    },
}
