//! One controller of the measured fleet, as a process of its own: `controller::node` as it is, over Kafka in memory.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use controller::leader::LeaderConfig;
use controller::node::ControllerConfig;
use controller::raft::RaftSettings;
use kafka::memory::{MemoryClients, MemoryCluster};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::shape::{self, Shape};

/// What it is told.
#[derive(clap::Args)]
pub struct Args {
    /// Its number, from 1
    #[arg(long)]
    number: usize,
    /// Where all controllers are
    #[arg(long, value_delimiter = ',')]
    addresses: Vec<String>,
    /// Its data directory
    #[arg(long)]
    dir: PathBuf,
    /// How many partitions there are in Kafka
    #[arg(long)]
    partitions: usize,
}

/// Runs it until it is killed. Says so once Kafka is there: what memory it has by then is not the controller's.
pub fn run(args: Args) -> Result<()> {
    let (source, target) = (MemoryCluster::new("west"), MemoryCluster::new("east"));
    for (topic, partitions) in (Shape { workers: 1, partitions: args.partitions }).topics() {
        source.create_topic(&topic.to_string(), partitions);
        target.create_topic(&topic.to_string(), partitions);
    }
    writeln!(stdout(), "ready")?;
    let clients = MemoryClients::new([(shape::source(), source), (shape::target(), target)]);
    let address = args.addresses[args.number - 1].clone();
    let config = ControllerConfig {
        raft: RaftSettings {
            node: args.number as u64,
            dir: args.dir,
            advertise: address.clone(),
            initial_members: (1..).zip(args.addresses).collect(),
        },
        listen: address,
        leader: LeaderConfig::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let readiness = watch::Sender::new(None);
    runtime.block_on(controller::node::run(config, Arc::new(clients), &readiness, CancellationToken::new()))?;
    Ok(())
}
