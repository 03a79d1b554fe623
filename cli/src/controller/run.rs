//! `replisome controller run`.

use std::path::PathBuf;
use std::sync::Arc;

use ::controller::leader::LeaderConfig;
use ::controller::metrics;
use ::controller::node::{self, ControllerConfig};
use kafka::librdkafka::LibrdkafkaClients;
use tokio_util::sync::CancellationToken;

use super::raft_settings;
use crate::config_file::ControllerFile;
use crate::daemon::{self, ProcessArgs, http};
use crate::failure::Failure;

/// The flags of `controller run`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Every key of the file can be given as an environment variable as well, which wins: node-id as \
REPLISOME_NODE_ID, timing.lease as REPLISOME_TIMING_LEASE. SIGTERM and Ctrl-C hand the leadership over; a second one \
ends at once.\n\nExit codes: 0 stopped by a signal; 1 failed (a port, the disk, the data directory); 2 wrong command line or file"
)]
pub struct RunArgs {
    /// Its configuration, such as controller.toml; not needed if the environment gives all
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Runs a controller until a signal.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let file = ControllerFile::load(args.config.as_deref(), args.process.insecure)?;
    daemon::run(&args.process, &file.notes.clone(), async |stop| serve(file, stop).await)
}

async fn serve(file: ControllerFile, stop: CancellationToken) -> Result<(), Failure> {
    let defaults = LeaderConfig::default();
    let leader = LeaderConfig {
        heartbeat: file.heartbeat.unwrap_or(defaults.heartbeat),
        lease: file.lease.unwrap_or(defaults.lease),
        reconnect_grace: file.reconnect_grace.unwrap_or(defaults.reconnect_grace),
        mass_loss_hold: file.mass_loss_hold.unwrap_or(defaults.mass_loss_hold),
        load_cool_down: file.load_cool_down.unwrap_or(defaults.load_cool_down),
        ..defaults
    };
    let config = ControllerConfig { raft: raft_settings(&file), listen: file.listen.to_string(), leader };
    let (readiness, _until_the_end) = http::open(file.http_listen, metrics::describe).await?;
    node::run(config, Arc::new(LibrdkafkaClients), &readiness, stop).await.map_err(Failure::failed)
}
