//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub seed: u64,
    /// The hash of all that happened.
    pub hash: String,
    /// What was found wrong: the invariant's number, and everything.
    pub violation: Option<(String, String)>,
    /// Why the run does not count, if it does not.
    pub rejected: Option<String>,
    /// Simulated seconds.
    pub seconds: f64,
    /// How often each kind of fault made a difference.
    pub bites: BTreeMap<String, u64>,
    /// How many terms had a leader.
    pub elections: u64,
    /// How often a partition went from one owner to another.
    pub moves: u64,
    /// How many concurrent calls were answered.
    pub calls: u64,
    /// How many records arrived.
    pub records: u64,
    /// How many arrived once more.
    pub duplicates: u64,
    /// How often the table changed.
    pub revisions: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, hash, seconds, elections, moves, calls, records, duplicates, revisions, .. } = self;
        write!(
            f,
            "seed {seed}: {seconds:.1} simulated s, {elections} elections, {moves} changes of owner, {revisions} of the \
             table, {calls} calls, {records} records, {duplicates} of them twice, hash {hash}\n  bit: {:?}",
            self.bites
        )?;
        if let Some(why) = &self.rejected {
            write!(f, "\n  rejected: {why}")?;
        }
        if let Some((_, what)) = &self.violation {
            write!(f, "\n  {what}")?;
        }
        write!(f, "\n  cargo run -p replisome-sim -- --seed {seed} --trace")
    }
}
