//! Simulated fleets. See `docs/design/simulation.md`.

mod brokers;
mod checks;
mod dice;
mod disk;
mod faults;
mod hosts;
mod links;
mod orders;
mod report;
mod run;
mod site;
mod trace;
mod wire;
mod workload;
mod world;

use clap::Parser;
use mad_turmoil::time::SimClocksGuard;
use rand::SeedableRng;
use rand::rngs::StdRng;

#[derive(Parser)]
struct Args {
    /// The seed to run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints the trace
    #[arg(long)]
    trace: bool,
}

fn main() {
    let args = Args::parse();
    let _clocks = SimClocksGuard::init();
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(args.seed));
    let report = run::Run::new(args.seed, args.trace).finish();
    println!("{}", serde_json::to_string(&report).expect("a report is plain"));
}
