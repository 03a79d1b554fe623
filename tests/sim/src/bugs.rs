//! How many seeds it takes until each planted bug is found: what the simulation is worth.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::bug::Bug;

use crate::batch::Batch;

/// Each bug is looked for so often, from another seed on.
const STARTS: [u64; 5] = [1, 1_001, 2_001, 3_001, 4_001];
/// How many seeds a bug may take.
const SEEDS_MAX: u64 = 100;

/// How a bug was found, from each start.
struct Hunt {
    bug: Bug,
    /// The invariant that it violates, and after how many seeds.
    finds: Vec<(String, u64)>,
}

/// Looks for each bug whose name begins so, prints a table, and fails if one is not always found.
pub fn run(prefix: &str, jobs: usize) -> ExitCode {
    let bugs: Vec<Bug> = Bug::ALL.iter().filter(|bug| bug.name().starts_with(prefix)).copied().collect();
    let next = AtomicUsize::new(0);
    let hunt = || {
        let mut hunts = Vec::new();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            hunts.push(Hunt::of(*bug));
        }
        hunts
    };
    let mut hunts: Vec<Hunt> = thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(hunt)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a hunt does not panic")).collect()
    });
    hunts.sort_by_key(|hunt| bugs.iter().position(|bug| *bug == hunt.bug));
    println!("| bug | seeds needed | median | found as |\n| --- | --- | --- | --- |");
    hunts.iter().for_each(|hunt| println!("{}", hunt.row()));
    if hunts.iter().all(Hunt::is_always_found) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Hunt {
    fn of(bug: Bug) -> Self {
        let find = |first| {
            let batch = Batch { first, seeds: SEEDS_MAX, jobs: 1, twice_each: None, stops: true, bug: Some(bug) };
            batch.first_violation().map(|(seed, invariant)| (invariant, seed - first + 1))
        };
        let hunt = Self { bug, finds: STARTS.into_iter().filter_map(find).collect() };
        eprintln!("{}", hunt.row());
        hunt
    }

    fn is_always_found(&self) -> bool {
        self.finds.len() == STARTS.len()
    }

    fn row(&self) -> String {
        let mut seeds: Vec<u64> = self.finds.iter().map(|(_, seeds)| *seeds).collect();
        let list = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        seeds.sort_unstable();
        let median = seeds.get(STARTS.len() / 2).filter(|_| self.is_always_found());
        let median = median.map_or_else(|| "not always found".to_owned(), u64::to_string);
        let mut invariants = BTreeMap::<&str, usize>::new();
        self.finds.iter().for_each(|(invariant, _)| *invariants.entry(invariant).or_default() += 1);
        let invariants: Vec<String> = invariants.iter().map(|(name, times)| format!("{name} {times}×")).collect();
        format!("| {} | {list} | {median} | {} |", self.bug.name(), invariants.join(", "))
    }
}
