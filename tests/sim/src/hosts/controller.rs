//! A controller's host: `controller::node::Node` as it is, on a simulated network and a disk in memory.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use controller::leader::LeaderConfig;
use controller::leader::topics::ClusterAccess;
use controller::node::Node;
use controller::raft::{RaftNode, RaftSettings, RaftTuning};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::hosts::clock::Clock;
use crate::site::{Controller, PORT, Site};
use crate::wire::SimWire;

/// Runs the controller `number`, counted from 1, until its process dies.
pub async fn run(site: Arc<Site>, number: usize, clusters: Arc<dyn ClusterAccess>, mut dice: Dice) -> turmoil::Result {
    let name = &site.controllers[number - 1];
    let settings = RaftSettings {
        node: number as u64,
        dir: PathBuf::from(name),
        advertise: Site::address(name),
        initial_members: (1..).zip(site.addresses()).collect(),
    };
    let wire = SimWire::new(&site.links, name);
    let raft = RaftNode::open_on(settings, site.disk(name).open(), Arc::new(wire.clone()), tuning(&mut dice)).await?;
    let leader = LeaderConfig { offsets_interval: OFFSETS_INTERVAL, ..LeaderConfig::default() };
    let node = Node::new(wire.listen(PORT).await?, raft.clone(), clusters, leader);
    let clock = Clock::draw(&mut dice);
    site.world.note(name, format_args!("started, {clock:?}"));
    site.controller_started(name, Controller { raft, seat: node.seat() });
    let readiness = watch::Sender::new(None);
    let ended = clock.time(&site.world, node.run(&readiness, CancellationToken::new())).await;
    site.world.violated("PROCESS", "a controller runs until it dies", format!("{name}: {ended:?}"));
    Ok(())
}

/// Often enough that something is noted of whatever is paused for a while.
const OFFSETS_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest election timeout, and thereby the shortest lease of a voter: with one timeout to draw from both are one.
const ELECTION_MS_MIN: u64 = 500;
/// How long a leader acts unacknowledged, in the proportion to that lease that it has as shipped.
const ACTS_FOR: Duration = Duration::from_millis(ELECTION_MS_MIN - 25);

/// Logs that are short enough to be purged often, and one election timeout: openraft draws it once a start.
fn tuning(dice: &mut Dice) -> RaftTuning {
    let election = dice.between(ELECTION_MS_MIN, 999);
    let (election_ms, acts_for): (Range<u64>, _) = (election..election + 1, ACTS_FOR);
    RaftTuning {
        snapshot_entries: dice.between(20, 120),
        keep_entries: dice.between(0, 20),
        election_ms,
        acts_for,
        checks_entries: true,
    }
}
