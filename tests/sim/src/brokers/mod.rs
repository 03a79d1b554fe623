//! The Kafka clusters of a run, and how each process sees them.
//!
//! ```text
//! product --Clients--> View (one a process) --> the cluster in memory
//!                        |  cut off, slow, faults of commits
//!                        +--> checks: each read, store, claim and arrival, with who did it
//! ```

mod admin;
mod clients;
mod offsets;
mod sink;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::ids::{Partition, TopicPartition};
use kafka::error::{Error, ErrorKind};
use kafka::memory::{Faults, MemoryCluster};
use kafka::offsets::GroupOffset;

use crate::checks::copies::{Copies, rank};
use crate::dice::Dice;
use crate::world::{World, lock};

pub use clients::View;

/// The name of the cluster that is read.
pub const SOURCE: &str = "source";
/// The name of the cluster that is written.
pub const TARGET: &str = "target";

/// One process: a host, and how many processes the host had before.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Process {
    pub host: String,
    pub number: u32,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.host, self.number)
    }
}

/// The clusters of a run.
pub struct Brokers {
    pub world: Arc<World>,
    pub source: MemoryCluster,
    pub target: MemoryCluster,
    /// What is copied, and by whom.
    pub copies: Mutex<Copies>,
    trouble: Mutex<Trouble>,
    /// What the owner before the latest stored last, and in which group.
    earlier: Mutex<BTreeMap<TopicPartition, (String, GroupOffset)>>,
}

/// What does not work.
struct Trouble {
    /// Hosts that can't reach a cluster, and the kind of fault.
    cuts: BTreeMap<(String, String), &'static str>,
    /// Target partitions whose leader answers nothing.
    stalled: BTreeSet<TopicPartition>,
    /// How many of a thousand commits fail.
    commits: u64,
    /// When commits that are late arrive.
    late_at: Option<Duration>,
    dice: Dice,
}

impl Brokers {
    /// Two empty clusters.
    pub fn new(world: &Arc<World>) -> Self {
        let (source, target) = (MemoryCluster::new(SOURCE), MemoryCluster::new(TARGET));
        let (cuts, stalled, dice) = (BTreeMap::new(), BTreeSet::new(), world.dice("brokers"));
        let trouble = Mutex::new(Trouble { cuts, stalled, commits: 0, late_at: None, dice });
        let (copies, earlier) = (Mutex::new(Copies::new(world)), Mutex::default());
        let brokers = Self { world: world.clone(), source, target, copies, trouble, earlier };
        brokers.target.set_faults(brokers.roughness());
        brokers
    }

    /// What the target is always like.
    pub fn roughness(&self) -> Faults {
        let seed = lock(&self.trouble).dice.draw();
        Faults { refused: 0, commit_lost: 0, commit_unknown: 0, ..Faults::rough(seed) }
    }

    /// A host can't reach a cluster from now on, by a fault of this kind; or it can again.
    pub fn set_cut(&self, host: &str, cluster: &str, kind: Option<&'static str>) {
        let (cut, cuts) = ((host.to_owned(), cluster.to_owned()), &mut lock(&self.trouble).cuts);
        match kind {
            Some(kind) => cuts.insert(cut, kind),
            None => cuts.remove(&cut),
        };
        lock(&self.copies).set_unwell(host, self.world.now());
    }

    /// The leader of a target partition answers nothing from now on.
    pub fn stall(&self, topic: &str, partition: u32) {
        lock(&self.trouble).stalled.insert(place(topic, partition));
        self.target.stall_partition(topic, partition);
    }

    /// It answers again.
    pub fn unstall(&self, topic: &str, partition: u32) {
        lock(&self.trouble).stalled.remove(&place(topic, partition));
        self.target.unstall_partition(topic, partition);
    }

    /// Whether the leader of a target partition answers nothing.
    fn is_stalled(&self, place: &TopicPartition) -> bool {
        lock(&self.trouble).stalled.contains(place)
    }

    /// How many of a thousand commits fail from now on.
    pub fn set_commit_faults(&self, rate: u64) {
        lock(&self.trouble).commits = rate;
    }

    /// Whatever held partitions up is gone: limits that are looked at anew let refused records through.
    pub fn heal(&self) {
        for topic in ["t0", "t1", "t2", "u0"].into_iter().filter(|topic| self.target.topic_id(topic).is_some()) {
            self.target.set_config(topic, "max.message.bytes", "2000000");
        }
    }

    /// Has late commits arrive that are due.
    pub fn advance(&self) {
        let mut trouble = lock(&self.trouble);
        if trouble.late_at.is_some_and(|at| at <= self.world.now()) {
            trouble.late_at = None;
            let stored = self.source.store_late_commits();
            self.world.note("brokers", format_args!("{stored} late offsets arrive"));
        }
    }

    /// Somebody stored over an earlier owner's offset.
    fn stored_over(&self, group: &str, place: &TopicPartition, earlier: &GroupOffset) {
        lock(&self.earlier).insert(place.clone(), (group.to_owned(), earlier.clone()));
    }

    /// What earlier owners stored last arrives once more, as if it had been on its way all the time.
    pub fn store_late(&self) {
        for (place, (group, offset)) in lock(&self.earlier).iter() {
            let (topic, partition) = (place.topic.as_str(), place.partition.0);
            let stored = self.source.group_offset(group, topic, partition);
            if stored.is_some_and(|stored| rank(&stored) > rank(offset)) {
                self.world.note("brokers", format_args!("{place} {} arrives late", offset.next_offset));
                self.source.set_group_offset(group, topic, partition, offset.clone());
                self.world.bit("late-store");
            }
        }
    }

    /// Fails if the host can't reach the cluster.
    fn reach(&self, host: &str, cluster: &str) -> Result<(), Error> {
        let Some(kind) = lock(&self.trouble).cuts.get(&(host.to_owned(), cluster.to_owned())).copied() else {
            return Ok(());
        };
        self.world.bit(kind);
        lock(&self.copies).set_unwell(host, self.world.now());
        Err(Error::new(ErrorKind::Unreachable, format_args!("{host} can't reach {cluster} (simulated)")))
    }
}

fn place(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic.parse().expect("a legal name"), Partition(partition))
}
