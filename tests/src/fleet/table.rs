//! The assignment table at one moment, as `assignment list -o json` prints it, and what differs between two moments. Owns
//! reading it; never asks for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A source topic and one of its partitions; routes of one test never share a topic.
pub type Place = (String, i32);

/// Who has a partition, and under which epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The worker's id; empty if there is none.
    pub worker: String,
    /// Its session.
    pub session: String,
    /// The greatest epoch granted.
    pub epoch: u64,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its route.
    pub route: String,
    /// The topic it is written to.
    pub target_topic: String,
    /// `assigned`, `releasing`, `waiting`, ….
    pub state: String,
    /// Who has it.
    pub owner: Owner,
    /// First source offset not yet at the target.
    pub next_offset: Option<i64>,
    /// The same as durably stored.
    pub stored_offset: Option<i64>,
    /// Why it is not being copied; null if it is.
    pub reason: Value,
}

/// All rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// By place.
    pub rows: BTreeMap<Place, Row>,
}

/// A row whose owner or epoch changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// The owner before.
    pub before: Owner,
    /// The owner after; `None` when the row is gone.
    pub after: Option<Owner>,
}

impl Table {
    /// Reads the command's JSON.
    ///
    /// # Panics
    /// When a field that scripts rely on is missing.
    #[track_caller]
    pub fn from_json(json: &Value) -> Self {
        let rows = json.as_array().unwrap_or_else(|| panic!("no array: {json}"));
        Self { rows: rows.iter().map(|row| (place(row), Row::from_json(row))).collect() }
    }

    /// The rows of this worker.
    pub fn of(&self, worker: &str) -> BTreeSet<Place> {
        let own = self.rows.iter().filter(|(_, row)| row.owner.worker == worker);
        own.map(|(place, _)| place.clone()).collect()
    }

    /// How many rows each worker has.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for row in self.rows.values().filter(|row| !row.owner.worker.is_empty()) {
            *counts.entry(row.owner.worker.clone()).or_default() += 1;
        }
        counts
    }

    /// Whether it has this many rows, and each of them is being copied as far as its owner has told.
    pub fn is_copying(&self, rows: usize) -> bool {
        self.rows.len() == rows && self.rows.values().all(Row::is_copying)
    }

    /// The rows of this table that have another owner or epoch in `after`, or are gone. What is new there is no change.
    pub fn changes(&self, after: &Self) -> Vec<Change> {
        let change = |(place, row): (&Place, &Row)| {
            let after = after.rows.get(place).map(|row| row.owner.clone());
            (after.as_ref() != Some(&row.owner)).then(|| Change {
                place: place.clone(),
                before: row.owner.clone(),
                after,
            })
        };
        self.rows.iter().filter_map(change).collect()
    }

    /// Nobody's partition changed its owner or its epoch.
    #[track_caller]
    pub fn assert_unmoved(&self, after: &Self) {
        let changes = self.changes(after);
        assert!(changes.is_empty(), "{} rows changed: {changes:#?}", changes.len());
    }
}

impl Row {
    fn from_json(row: &Value) -> Self {
        Self {
            route: text(row, "route"),
            target_topic: text(row, "target_topic"),
            state: text(row, "state"),
            owner: Owner {
                worker: text(row, "worker"),
                session: text(row, "session"),
                epoch: whole(row, "epoch") as u64,
            },
            next_offset: field(row, "next_offset").as_i64(),
            stored_offset: field(row, "stored_offset").as_i64(),
            reason: field(row, "reason").clone(),
        }
    }

    /// Assigned, in no trouble, and its owner has told how far it is.
    pub fn is_copying(&self) -> bool {
        self.state == "assigned" && self.reason.is_null() && self.next_offset.is_some()
    }
}

impl Change {
    /// The partition was taken from one worker and given to another one, once.
    pub fn is_one_move(&self) -> bool {
        let Self { before, after: Some(after), .. } = self else { return false };
        before.worker != after.worker && !after.worker.is_empty() && after.epoch == before.epoch + 1
    }
}

#[track_caller]
fn place(row: &Value) -> Place {
    (text(row, "topic"), whole(row, "partition") as i32)
}

#[track_caller]
fn field<'a>(row: &'a Value, name: &str) -> &'a Value {
    row.get(name).unwrap_or_else(|| panic!("no field {name}: {row}"))
}

/// A text; null is the empty one.
#[track_caller]
fn text(row: &Value, name: &str) -> String {
    let value = field(row, name);
    if value.is_null() {
        return String::new();
    }
    value.as_str().unwrap_or_else(|| panic!("{name} is no text: {row}")).to_owned()
}

#[track_caller]
fn whole(row: &Value, name: &str) -> i64 {
    field(row, name).as_i64().unwrap_or_else(|| panic!("{name} is no whole number: {row}"))
}
