//! What is written to the source while the fleet copies.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{Partition, TopicPartition};
use kafka::record::{Header, Record};

use crate::brokers::Brokers;
use crate::dice::Dice;
use crate::world::lock;

/// The routes, and the topics that each copies.
pub const ROUTES: [(&str, &str); 2] = [("east", "t.*"), ("west", "u.*")];
/// Routes without topics, which callers pause and resume at the same time.
pub const FLAGS: [&str; 3] = ["flag0", "flag1", "flag2"];
/// How often something may be written.
const WRITES_EVERY: Duration = Duration::from_millis(50);
/// When the source's topics change, after the beginning.
const GROWS_AT: Duration = Duration::from_secs(14);

/// The producers of a run.
pub struct Workload {
    brokers: Arc<Brokers>,
    dice: Dice,
    topics: Vec<(String, u32)>,
    due: Duration,
    has_grown: bool,
    /// How many of a thousand partitions are written at a time.
    pub rate: u64,
}

impl Workload {
    /// Topics, and nothing in them.
    pub fn new(brokers: &Arc<Brokers>) -> Self {
        let mut dice = brokers.world.dice("workload");
        let topics: Vec<(String, u32)> =
            ["t0", "t1", "u0"].map(|name| (name.to_owned(), u32::try_from(dice.between(2, 4)).expect("small"))).into();
        for (name, partitions) in &topics {
            brokers.source.create_topic(name, *partitions);
        }
        Self { brokers: brokers.clone(), dice, topics, due: Duration::ZERO, has_grown: false, rate: 80 }
    }

    /// Writes what is due.
    pub fn advance(&mut self) {
        let now = self.brokers.world.now();
        if now < self.due {
            return;
        }
        self.due = now + WRITES_EVERY;
        if now >= GROWS_AT && !self.has_grown {
            self.grow();
        }
        for (topic, partitions) in self.topics.clone() {
            for partition in 0..partitions {
                if self.dice.hits(self.rate) {
                    let records = self.dice.between(1, 6);
                    (0..records).for_each(|_| self.append(&topic, partition));
                }
            }
        }
    }

    /// A topic grows, and another one is there.
    fn grow(&mut self) {
        self.has_grown = true;
        let (name, partitions) = &mut self.topics[0];
        *partitions += 1;
        self.brokers.source.grow_topic(name, *partitions);
        self.brokers.source.create_topic("t2", 2);
        self.topics.push(("t2".to_owned(), 2));
        self.brokers.world.note("workload", "t0 grows, t2 is created");
    }

    fn append(&mut self, topic: &str, partition: u32) {
        let (source, dice) = (&self.brokers.source, &mut self.dice);
        let place = TopicPartition::new(topic.parse().expect("a legal name"), Partition(partition));
        let mut copies = lock(&self.brokers.copies);
        if dice.hits(20) {
            source.append_control(topic, partition);
            copies.skipped(&place, source.end(topic, partition).0);
        }
        let value = format!("{topic} {partition} {}", copies.written(&place));
        let key = dice.hits(700).then(|| value.as_bytes().to_vec());
        let headers = [Header { name: b"of", value: Some(b"the simulation") }, Header { name: b"null", value: None }];
        let headers = if dice.hits(300) { &headers[..] } else { &[] };
        let timestamp_ms = i64::try_from(self.brokers.world.now().as_millis()).ok();
        let (key, value) = (key.as_deref(), Some(value.as_bytes()));
        let record = Record { offset: 0, leader_epoch: None, timestamp_ms, key, value, headers };
        let offset = source.append(topic, partition, &record);
        let stored = source.records_from(topic, partition, offset).pop().expect("it was just appended");
        copies.appended(&place, stored);
    }
}
