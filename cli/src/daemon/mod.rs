//! What the verbs share that run until they are told to stop: signals, the port for metrics and health, logs, the
//! runtime.
//!
//! Owns: how such a process starts and how it is asked to end. Never does: know what it is for.

pub mod http;
pub mod signals;
pub mod worker_metrics;

use clap::builder::BoolishValueParser;
use common::telemetry;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::output;
use crate::values::LogFormatArg;
use signals::Signals;

/// What a controller and a worker log: of libraries only what is wrong. What openraft takes for an error, such as a vote
/// that a dead peer does not answer, the controller says itself, once.
const LOG_FILTER: &str = "info,openraft=off,sled=warn,h2=warn,hyper=warn,tonic=warn,tower=warn,librdkafka=warn";

/// What controllers and workers take alike.
#[derive(clap::Args, Clone, Debug)]
pub struct ProcessArgs {
    /// Listen where other machines reach it, although connections are neither encrypted nor authenticated
    #[arg(long, env = "REPLISOME_INSECURE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub insecure: bool,

    /// How log lines are written; RUST_LOG chooses what is logged
    #[arg(
        long,
        value_name = "text|json",
        default_value = "text",
        env = "REPLISOME_LOG_FORMAT",
        hide_env_values = true,
        hide_possible_values = true
    )]
    pub log_format: LogFormatArg,
}

/// Runs a process of a fleet until its work ends. The first signal asks it to, by the token; the second ends it.
pub fn run(
    args: &ProcessArgs,
    notes: &[String],
    work: impl AsyncFnOnce(CancellationToken) -> Result<(), Failure>,
) -> Result<(), Failure> {
    telemetry::start(args.log_format.into(), LOG_FILTER);
    for note in notes {
        output::note(format!("note: {note}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("can't start: {error}")))?;
    let outcome = runtime.block_on(async {
        let (mut signals, stop) = (Signals::listen()?, CancellationToken::new());
        let mut work = std::pin::pin!(work(stop.clone()));
        tokio::select! {
            outcome = &mut work => return outcome,
            name = signals.next() => tracing::info!(signal = name, "stopping; once more ends at once"),
        }
        stop.cancel();
        tokio::select! {
            outcome = &mut work => outcome,
            name = signals.next() => Err(Failure::failed(format!("{name} again: ended at once"))),
        }
    });
    // A request to a cluster that does not answer must not keep the process.
    runtime.shutdown_background();
    outcome
}
