//! A hundred fleets a run: none may break a rule, and a seed must repeat itself.
//!
//! The seeds follow one another from `REPLISOME_TEST_SEED`, 1 unless that is set.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

/// How many seeds are run.
const SEEDS: u64 = 100;
/// How many of them must count: the others had too little trouble, too few moves or records.
const COUNTED_MIN: usize = 80;
/// Every so many seeds one is run again.
const AGAIN_EVERY: u64 = 20;

fn report(seed: u64) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_replisome-sim"))
        .args(["--seed", &seed.to_string()])
        .output()
        .expect("the simulation runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let how = format!("repeat it with: cargo run -p replisome-sim -- --seed {seed} --trace");
    serde_json::from_str(&said).unwrap_or_else(|error| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        panic!("seed {seed} ended without a report ({error}): {said}{errors}\n{how}")
    })
}

#[test]
fn no_seed_breaks_a_rule_each_fault_bites_and_a_seed_repeats_itself() {
    let first = std::env::var("REPLISOME_TEST_SEED").map_or(1, |seed| seed.parse().expect("a whole number"));
    let next = AtomicU64::new(first);
    let run = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + SEEDS {
                return reports;
            }
            let found = report(seed);
            if seed.is_multiple_of(AGAIN_EVERY) {
                assert_eq!(found, report(seed), "seed {seed} does not repeat itself");
            }
            reports.push(found);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let reports: Vec<Value> = thread::scope(|scope| {
        let runs: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        runs.into_iter().flat_map(|run| run.join().expect("what it found is printed above")).collect()
    });

    let wrong: Vec<String> = reports.iter().filter(|report| !report["violation"].is_null()).map(told).collect();
    assert!(wrong.is_empty(), "{} of {SEEDS} seeds break a rule:\n{}", wrong.len(), wrong.join("\n"));
    let counted: Vec<&Value> = reports.iter().filter(|report| report["rejected"].is_null()).collect();
    let mut bites = BTreeMap::<&str, u64>::new();
    for (kind, count) in counted.iter().filter_map(|report| report["bites"].as_object()).flatten() {
        *bites.entry(kind).or_default() += count.as_u64().unwrap_or(0);
    }
    let sum = |field: &str| counted.iter().filter_map(|report| report[field].as_f64()).sum::<f64>();
    println!(
        "{} of {SEEDS} seeds count: {:.1} simulated hours, {} elections, {} moves, {} records, {} twice",
        counted.len(),
        sum("seconds") / 3_600.0,
        sum("elections"),
        sum("moves"),
        sum("records"),
        sum("duplicates"),
    );
    println!("what bit, and how often: {bites:?}");
    assert!(counted.len() >= COUNTED_MIN, "{} of {SEEDS} seeds count: {reports:#?}", counted.len());
}

fn told(report: &Value) -> String {
    let seed = &report["seed"];
    format!("seed {seed}: {}\n  cargo run -p replisome-sim -- --seed {seed} --trace", report["violation"][1])
}
