//! `replisome worker run`: one worker, from its configuration to its exit code.
//!
//! ```text
//! config_file -> port for metrics -> worker::run -- signal --> it finishes what is in flight, stores its offsets, ends
//! ```
//!
//! Owns: nothing but the start and the end. Never does: anything a worker does.

use std::path::PathBuf;
use std::sync::Arc;

use ::worker::dial::Controllers;
use ::worker::host::ThisHost;
use ::worker::{RunError, WorkerConfig};
use kafka::librdkafka::LibrdkafkaClients;
use tokio_util::sync::CancellationToken;

use crate::admin::host;
use crate::config_file::WorkerFile;
use crate::daemon::{self, ProcessArgs, http, worker_metrics};
use crate::failure::Failure;

/// The flags of `worker run`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Every key of the file can be given as an environment variable as well, which wins: id as \
REPLISOME_ID, http-listen as REPLISOME_HTTP_LISTEN. SIGTERM and Ctrl-C finish what is in flight, store offsets and give \
the partitions back; a second one ends at once.\n\nExit codes: 0 stopped by a signal; 1 failed; 2 wrong command line or \
file; 4 another process runs as this worker.")]
pub struct RunArgs {
    /// Its configuration, such as worker.toml; not needed if the environment gives all
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Runs a worker until a signal.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let file = WorkerFile::load(args.config.as_deref(), args.process.insecure)?;
    daemon::run(&args.process, &file.notes.clone(), async |stop| serve(file, stop).await)
}

async fn serve(file: WorkerFile, stop: CancellationToken) -> Result<(), Failure> {
    let (readiness, _until_the_end) = http::open(file.http_listen, worker_metrics::describe).await?;
    let config = WorkerConfig {
        id: file.id,
        address: format!("{}, process {}", host(), std::process::id()),
        lanes: file.lanes,
        memory_bytes: file.memory_bytes,
        weight: file.weight,
        pool: file.pool,
    };
    let dial = Controllers::new(file.controllers);
    let (clients, host) = (Arc::new(LibrdkafkaClients), Arc::new(ThisHost));
    ::worker::run(config, clients, host, dial, &readiness, stop).await.map_err(|error| match error {
        RunError::InUse(text) => Failure::conflict(text),
        error => Failure::failed(error),
    })
}
