//! What came of a run, as one line of JSON.

use std::collections::BTreeMap;

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
    pub elections: usize,
    pub moves: u64,
    pub records: usize,
    pub duplicates: u64,
    pub revisions: u64,
}
