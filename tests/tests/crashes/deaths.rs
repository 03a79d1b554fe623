//! What stood where when a mirror died. Owns the bound on repeats: what had arrived and was not stored.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::contents::Hashes;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::wait;

/// The deaths of the mirrors of one topic and group, in their order.
pub struct Deaths {
    topic: &'static str,
    group: &'static str,
    partitions: i32,
    moments: Vec<Moment>,
}

struct Moment {
    what: String,
    stored: BTreeMap<i32, i64>,
    ends: BTreeMap<i32, i64>,
}

/// The end of each partition; 0 for all when there is no such topic.
pub fn ends(admin: &Admin, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
    let exists = admin.partitions(topic) > 0;
    let end = |partition| if exists { admin.offsets(topic, partition, true).1 } else { 0 };
    (0..partitions).map(|partition| (partition, end(partition))).collect()
}

impl Deaths {
    pub fn new(topic: &'static str, group: &'static str, partitions: i32) -> Self {
        Self { topic, group, partitions, moments: Vec::new() }
    }

    /// Looks at both clusters right after a death, once what the dead process had sent is in the log.
    pub fn record(&mut self, what: &str) {
        let (source, target) = shared();
        let admin = Admin::new(target.bootstrap());
        let mut last = BTreeMap::new();
        let ends = wait::until("nothing of the dead mirror is on its way", Duration::from_secs(30), || {
            let now = ends(&admin, self.topic, self.partitions);
            (std::mem::replace(&mut last, now.clone()) == now).then_some(now)
        });
        let stored = Admin::new(source.bootstrap()).committed(self.group, self.topic);
        let stored = stored.into_iter().map(|(partition, committed)| (partition, committed.offset)).collect();
        self.moments.push(Moment { what: what.to_owned(), stored, ends });
    }

    /// Between one death and the next (or the end), no partition got more repeats than records that had arrived by
    /// the death and were not stored. Counts on source offsets without holes: then the number of different records that
    /// have arrived is the next one's offset.
    pub fn assert_no_more_repeats_than_not_stored(&self, target: &Hashes) {
        let mut repeats_of: Vec<usize> = vec![0; self.moments.len()];
        let mut bound_of: Vec<usize> = vec![0; self.moments.len()];
        for (partition, hashes) in target {
            let mut seen = HashSet::new();
            let mut from = 0;
            let mut bound = 0;
            let ends = self.moments.iter().map(|moment| moment.ends[partition] as usize).chain([hashes.len()]);
            for (number, end) in ends.enumerate() {
                let repeats = hashes[from..end].iter().filter(|hash| !seen.insert(**hash)).count();
                let before = number.checked_sub(1).map(|before| &self.moments[before]);
                let what = before.map_or("the start", |moment| &moment.what);
                assert!(repeats <= bound, "partition {partition} after {what}: {repeats} repeats, {bound} not stored");
                if let Some(before) = number.checked_sub(1) {
                    repeats_of[before] += repeats;
                    bound_of[before] += bound;
                }
                let moment = self.moments.get(number);
                let stored = moment.and_then(|moment| moment.stored.get(partition)).copied().unwrap_or(0) as usize;
                assert!(stored <= seen.len(), "partition {partition}: {stored} stored, {} arrived", seen.len());
                (from, bound) = (end, seen.len() - stored);
            }
        }
        for (number, moment) in self.moments.iter().enumerate() {
            let arrived: i64 = moment.ends.values().sum();
            let (repeats, bound) = (repeats_of[number], bound_of[number]);
            eprintln!("  {}: {arrived} at the target, {bound} of them not stored, {repeats} came again", moment.what);
        }
    }
}
