//! Waiting for what a fleet says of itself. Owns the questions; every wait ends with the nodes' last words when it is in
//! vain.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{Fleet, PATIENCE, Place, Table};
use crate::admin::Admin;
use crate::wait;

impl Fleet {
    /// Waits until a controller leads, and gives its index in [`Fleet::controllers`].
    #[track_caller]
    pub fn leader(&self) -> usize {
        let found = wait::until_or_none(PATIENCE, || self.leader_now());
        found.unwrap_or_else(|| panic!("no leader after {PATIENCE:?}\n{}", self.tail()))
    }

    /// The index of the controller that leads now.
    pub fn leader_now(&self) -> Option<usize> {
        let roles = self.json_or_none(&["controller", "list", "--timeout", "6s"])?;
        let mut leaders = roles.as_array()?.iter().filter(|node| node["role"] == "leader");
        let (one, other) = (leaders.next()?, leaders.next());
        // Two claim it until the older one has heard of the newer.
        if other.is_some() { None } else { Some(one["id"].as_u64()? as usize - 1) }
    }

    /// The assignment table.
    #[track_caller]
    pub fn table(&self) -> Table {
        Table::from_json(&self.json(&["assignment", "list"]))
    }

    /// Waits until the assignment table is as wanted.
    #[track_caller]
    pub fn wait_for_table(&self, what: &str, deadline: Duration, wanted: impl Fn(&Table) -> bool) -> Table {
        let mut last = Table::default();
        let found = wait::until_or_none(deadline, || {
            last = Table::from_json(&self.json_or_none(&["assignment", "list"])?);
            wanted(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("waited {deadline:?} in vain until {what}: {last:#?}\n{}", self.tail()))
    }

    /// Waits until the table has this many rows and each is being copied.
    #[track_caller]
    pub fn wait_until_copying(&self, rows: usize) -> Table {
        self.wait_for_table(&format!("{rows} partitions are copied"), PATIENCE, |table| table.is_copying(rows))
    }

    /// Waits until the counts of rows of the workers that have any are these.
    #[track_caller]
    pub fn wait_for_counts(&self, counts: &[(&str, usize)]) -> Table {
        let wanted: BTreeMap<String, usize> = counts.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect();
        let rows = wanted.values().sum();
        self.wait_for_table(&format!("rows are spread as {wanted:?}"), PATIENCE, |table| {
            table.counts() == wanted && table.is_copying(rows)
        })
    }

    /// Waits until a worker is in this state.
    #[track_caller]
    pub fn wait_for_worker(&self, id: &str, state: &str) {
        let mut last = Value::Null;
        let found = wait::until_or_none(PATIENCE, || {
            last = self.json_or_none(&["worker", "list"])?;
            let is_wanted = |worker: &Value| worker["id"] == id && worker["state"] == state;
            last.as_array()?.iter().any(is_wanted).then_some(())
        });
        assert!(found.is_some(), "worker {id} is not {state} after {PATIENCE:?}: {last}\n{}", self.tail());
    }

    /// Waits until every controller has applied the same, and gives the index of that.
    #[track_caller]
    pub fn wait_until_alike(&self) -> u64 {
        let mut last = Value::Null;
        let found = wait::until_or_none(PATIENCE, || {
            last = self.json_or_none(&["controller", "list"])?;
            let nodes = last.as_array()?;
            let first = nodes.first()?["applied"].as_u64()?;
            let all = nodes.len() == self.controllers.len() && nodes.iter().all(|node| node["applied"] == first);
            (all && nodes.iter().all(|node| node["role"] != "unreachable")).then_some(first)
        });
        found.unwrap_or_else(|| panic!("controllers differ after {PATIENCE:?}: {last}\n{}", self.tail()))
    }

    /// Waits until a topic is in this state, with this word as its reason if one is given.
    #[track_caller]
    pub fn wait_for_topic(&self, route: &str, topic: &str, state: &str, reason: Option<&str>) -> Value {
        let mut last = Value::Null;
        let found = wait::until_or_none(PATIENCE, || {
            last = self.json_or_none(&["topic", "list"])?;
            let own = |found: &&Value| found["route"] == route && found["topic"] == topic;
            let row = last.as_array()?.iter().find(own)?;
            let is_wanted = row["state"] == state && reason.is_none_or(|word| row["reason"]["kind"] == word);
            is_wanted.then(|| row.clone())
        });
        found.unwrap_or_else(|| panic!("topic {topic} is not {state} {reason:?}: {last}\n{}", self.tail()))
    }

    /// Waits until all that these topics hold now is at the target, by what the workers say.
    #[track_caller]
    pub fn wait_until_caught_up(&self, source: &str, topics: &[&str]) {
        let ends: BTreeMap<Place, i64> = Admin::new(source).ends(topics);
        self.wait_for_table("what the source holds is copied", PATIENCE, |table| {
            ends.iter().all(|(place, end)| {
                table.rows.get(place).and_then(|row| row.next_offset).is_some_and(|next| next >= *end)
            })
        });
    }
}
