//! `replisome demo`: the product in under a minute, with nothing but this binary.
//!
//! ```text
//! scene: two embedded clusters ─ producer ─> west ── fleet: 3 controllers, 3 workers ──> east ─> arrivals: who watches
//!                                                    (processes of this binary)
//! script: add a route, add a topic, kill -9 a worker, kill -9 the leader, drain ─> audit ─> verdict: each claim, judged
//! stage: asks the fleet and draws the page meanwhile           guard: ends all processes, removes all files
//! ```
//!
//! Owns: the embedded clusters (on this one thread), the processes and a directory of temporary files; all end with it,
//! however it ends. Never does: copy a record itself, or know more of a fleet than its command line tells and what it
//! leaves in Kafka.

mod arrivals;
mod audit;
mod children;
mod fleet;
mod guard;
mod page;
mod producer;
mod rates;
mod scene;
mod screen;
mod script;
mod stage;
mod verdict;

use std::time::Duration;

use crate::daemon::signals::{Signals, unless_signal};
use crate::failure::Failure;
use screen::{Line, Style};
use stage::Stage;

/// What `replisome demo` takes.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// Be the process that cleans up after a demo; a demo starts it by itself
    #[arg(long, hide = true)]
    guard: bool,
}

/// Runs the demo; a claim that is untrue is a failure.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("can't start: {error}")))?;
    let outcome = runtime.block_on(async {
        if args.guard {
            return guard::stand();
        }
        let mut signals = Signals::listen()?;
        let interrupted = |_| Err(Failure::failed("interrupted; nothing is left behind"));
        unless_signal(show(), &mut signals).await.unwrap_or_else(interrupted)
    });
    // A command of the fleet that is still being waited for was killed with the others.
    runtime.shutdown_background();
    outcome
}

/// The whole show. Whatever is left of it goes when this ends, or is dropped.
async fn show() -> Result<(), Failure> {
    let stage = Stage::set()?;
    let found = tokio::select! {
        found = script::play(&stage) => found,
        failure = stage.watch() => Err(failure),
    };
    stage.leave();
    let found = found?;
    stage.print(&Line::new(Style::Plain, ""))?;
    for line in verdict::table(&found.audit) {
        stage.print(&line)?;
    }
    stage.print(&Line::new(Style::Plain, ""))?;
    let claims = verdict::claims(&found);
    for claim in &claims {
        stage.print(&claim.line())?;
    }
    conclude(claims.iter().filter(|claim| !claim.holds).count(), stage)
}

/// The last line, once nothing runs any more.
fn conclude(untrue: usize, stage: Stage) -> Result<(), Failure> {
    let elapsed = stage.elapsed();
    drop(stage);
    if untrue > 0 {
        return Err(Failure::failed(format!("{untrue} of these claims are untrue{}", busy())));
    }
    crate::output::result(format_args!(
        "\nall of it is true; {} s, and neither a process nor a file is left",
        round(elapsed)
    ))
}

/// What must be known of a machine on which nothing runs in time.
fn busy() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // The demo itself keeps less than two cores busy.
    if load < 2.0 + 2.0 * cores as f64 {
        return String::new();
    }
    format!("; other work keeps this machine busy (load {load:.0}, {cores} cores): try again when it is idle")
}

fn round(duration: Duration) -> u64 {
    duration.as_secs_f64().round() as u64
}
