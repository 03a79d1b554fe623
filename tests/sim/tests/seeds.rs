//! A hundred fleets a run: none may break a rule, each kind of fault must bite, and a seed must repeat itself.
//!
//! The seeds follow one another from `REPLISOME_TEST_SEED`, 1 unless that is set.

use std::process::{Command, Stdio};

/// How many seeds are run.
const SEEDS: &str = "100";
/// One of so many seeds is run twice.
const TWICE_EACH: &str = "20";

#[test]
fn no_seed_breaks_a_rule_each_fault_bites_and_a_seed_repeats_itself() {
    let first = std::env::var("REPLISOME_TEST_SEED").unwrap_or_else(|_| "1".to_owned());
    let output = Command::new(env!("CARGO_BIN_EXE_replisome-sim"))
        .args(["--seed", &first, "--seeds", SEEDS, "--twice-each", TWICE_EACH])
        .stderr(Stdio::inherit())
        .output()
        .expect("the simulation runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("seeds from {first}: {said}");
    assert!(output.status.success(), "{said}");
}
