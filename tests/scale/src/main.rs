//! How the controllers carry a large fleet: `make bench-control`. See `docs/design/scale.md`.
//!
//! ```text
//!  table in memory:  commands -> State -> plan of a death, of a join; apply; encode, decode         (pure)
//!  fleet:            node processes (real log on disk, real gRPC, Kafka in memory)
//!                       <- sessions (the worker's own way to the leader; nothing is copied) <- what happens to them
//! ```
//!
//! Owns the load and the clock. Never does: take a shortcut into a node it measures.

mod fleet;
mod measure;
mod node;
mod operator;
mod report;
mod session;
mod shape;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::shape::Shape;

/// As `replisome` has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(about = "Measures how the controllers carry a large fleet, and fails if a gate is missed")]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// How many workers
    #[arg(long, default_value_t = 1_000)]
    workers: usize,
    /// How many partitions
    #[arg(long, default_value_t = 100_000)]
    partitions: usize,
    /// How many partitions the table in memory is measured with besides, without gates; 0: not at all
    #[arg(long, default_value_t = 1_000_000)]
    also: usize,
    /// How many controllers: 1, 3 or 5
    #[arg(long, default_value_t = 3)]
    controllers: usize,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Part {
    /// One controller of the measured fleet
    #[command(hide = true)]
    Node(node::Args),
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(Part::Node(node)) = args.part {
        node::run(node)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shape = Shape { workers: args.workers, partitions: args.partitions };
    let mut report = Report::default();
    // The processes come first: memory that this one has given back would not count.
    let trouble = fleet::measure(shape, args.controllers, &mut report).err();
    table::measure(shape, &mut report)?;
    if args.also > 0 {
        table::measure(Shape { partitions: args.also, ..shape }, &mut report.without_gates())?;
    }
    if args.json {
        println!("{}", report.json()?)
    } else {
        println!("{report}")
    }
    if let Some(trouble) = &trouble {
        eprintln!("the fleet could not be measured to the end: {trouble:#}");
    }
    Ok(if trouble.is_none() && report.is_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
