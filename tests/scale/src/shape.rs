//! The fleet that is measured: how large it is, and what its parts are called.

use common::ids::{ClusterName, RouteName, TopicName, WorkerId};

/// How many partitions a topic has.
pub const PARTITIONS_PER_TOPIC: usize = 100;

/// How large a fleet is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub workers: usize,
    pub partitions: usize,
}

impl Shape {
    /// Its topics and how many partitions each has.
    pub fn topics(self) -> impl Iterator<Item = (TopicName, u32)> {
        (0..self.partitions.div_ceil(PARTITIONS_PER_TOPIC)).map(move |number| {
            let left = self.partitions - number * PARTITIONS_PER_TOPIC;
            let partitions = u32::try_from(left.min(PARTITIONS_PER_TOPIC)).expect("at most a topic's");
            (TopicName::new(format!("orders-{number:05}")).expect("legal"), partitions)
        })
    }

    /// What a worker has at most, when all have the same.
    pub fn share(self) -> usize {
        self.partitions.div_ceil(self.workers)
    }
}

pub fn route() -> RouteName {
    RouteName::new("west-east").expect("legal")
}

pub fn source() -> ClusterName {
    ClusterName::new("west").expect("legal")
}

pub fn target() -> ClusterName {
    ClusterName::new("east").expect("legal")
}

pub fn worker(number: usize) -> WorkerId {
    WorkerId::new(format!("worker-{number:04}")).expect("legal")
}
