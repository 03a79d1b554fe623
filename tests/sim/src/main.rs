//! Simulated fleets. See `docs/design/simulation.md`.

mod batch;
mod brokers;
#[cfg(feature = "bugs")]
mod bugs;
mod checks;
mod dice;
mod disk;
mod faults;
mod hosts;
mod links;
mod orders;
mod pools;
mod report;
mod run;
mod site;
mod trace;
mod wire;
mod workload;
mod world;

use std::num::{NonZeroU64, NonZeroUsize};
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use mad_turmoil::time::SimClocksGuard;
use rand::SeedableRng;
use rand::rngs::StdRng;

use batch::Batch;
use run::Run;

/// Runs simulated fleets: real controllers and workers, a network, disks and Kafka clusters in memory, and all kinds of
/// faults, drawn from a seed.
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 all is well; 1 an invariant was violated, a seed did not repeat itself, a kind of \
fault never bit, or too few seeds count; 2 wrong command line."
)]
struct Args {
    /// The seed, or the first one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, one after the other, each in a process of its own; without it one, in this process
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// How many seeds to run at a time; without it as many as there are cores
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Runs one of N seeds twice; both must be the same, event by event
    #[arg(long, value_name = "N", requires = "seeds")]
    twice_each: Option<NonZeroU64>,
    /// Ends with the first violation
    #[arg(long, requires = "seeds")]
    stop: bool,
    /// Plants bugs one after the other and says after how many seeds each is found: all, or those whose names begin so
    #[cfg(feature = "bugs")]
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["seeds", "seed"])]
    bugs: Option<String>,
    /// Prints all that happens to stderr
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
    /// Prints what came of it as JSON
    #[arg(long, conflicts_with = "seeds")]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let jobs = args.jobs.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    #[cfg(feature = "bugs")]
    if let Some(prefix) = &args.bugs {
        return bugs::run(prefix, jobs);
    }
    if let Some(seeds) = args.seeds {
        let Args { seed: first, twice_each, stop: stops, .. } = args;
        return Batch { first, seeds, jobs, twice_each, stops, bug: None }.run();
    }
    let _clocks = SimClocksGuard::init();
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(args.seed));
    let report = Run::new(args.seed, args.trace).finish();
    match args.json {
        true => println!("{}", serde_json::to_string(&report).expect("a report is plain")),
        false => println!("{report}"),
    }
    if report.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
