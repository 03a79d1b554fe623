//! Chaos: fleets of real processes on real Kafka, to which the same trouble is done round after round, and an independent
//! judgement of what became of the records and of the assignments.
//!
//! ```text
//! scenarios/*.toml ─ scenario ─> scene: brokers, fleet behind relays, a steady load, a watcher of both clusters
//!                                  ├─ step: act on victims ─> settled ─> caught up ─> silences, moves, repetitions
//!                                  ├─ history: the assignment table, looked at all the while
//!                                  └─ report: what each step came to over all rounds
//! ```
//!
//! Owns: choosing what to run, and the exit code: 0 all promises were kept, 1 one was broken, 2 wrong command line or file.
//! Never looks into the nodes: it knows what commands print, what Kafka holds, and nothing else.

mod act;
mod history;
mod report;
mod scenario;
mod scene;
mod step;
mod victims;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, thread};

use clap::Parser;

use report::Report;
use scenario::Scenario;

/// Does trouble to fleets of real processes on real Kafka, and judges what came of it.
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 every promise was kept; 1 one was broken; 2 wrong command line or scenario file."
)]
struct Args {
    /// Names of scenarios, or their files; `all` for every one
    #[arg(default_value = "short")]
    scenarios: Vec<String>,
    /// How many rounds each has, in place of what its file says
    #[arg(long)]
    rounds: Option<usize>,
    /// Where the choice of victims starts from, in place of what its file says
    #[arg(long)]
    seed: Option<u64>,
    /// Prints the results as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let scenarios = match chosen(&args) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("replisome-chaos: {error}");
            return ExitCode::from(2);
        }
    };
    let mut reports: Vec<Report> = Vec::new();
    let mut broken = Vec::new();
    for scenario in scenarios {
        let name = scenario.name.clone();
        eprintln!("=== {name}: {}", scenario.about);
        // Whatever promise is broken ends its scenario with a panic that says which; the others go on.
        match thread::spawn(move || scene::run(&scenario)).join() {
            Ok(report) => {
                if !args.json {
                    println!("{report}");
                }
                reports.push(report);
            }
            Err(_) => broken.push(name),
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reports).expect("a report is plain"));
    }
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("broken: {}; what happened is told above", broken.join(", "));
    ExitCode::FAILURE
}

fn chosen(args: &Args) -> Result<Vec<Scenario>, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = Vec::new();
    for name in &args.scenarios {
        if name == "all" {
            let entries = fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            files.extend(entries.flatten().map(|entry| entry.path()));
            files.sort();
        } else if name.ends_with(".toml") {
            files.push(name.into());
        } else {
            files.push(directory.join(format!("{name}.toml")));
        }
    }
    let scenarios = files.iter().map(|file| {
        let mut scenario = Scenario::read(file)?;
        scenario.rounds = args.rounds.unwrap_or(scenario.rounds);
        scenario.seed = args.seed.unwrap_or(scenario.seed);
        Ok(scenario)
    });
    scenarios.collect()
}
