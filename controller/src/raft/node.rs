//! One node of the replicated log: opened, run, asked, stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use proto::MESSAGE_BYTES_MAX;
use proto::v1::ProbeReply;
use proto::v1::raft_server::RaftServer;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::data_dir::{DataDir, LOST};
use super::disk::{Disk, damaged};
use super::founding;
use super::heard::Heard;
use super::log_store::LogStore;
use super::network::Network;
use super::proposer::RaftLog;
use super::service::PeerService;
use super::settings::{OpenError, RaftSettings, Tuning};
use super::standing::{ControllerView, Standing, judge};
use super::state_machine::StateMachine;
use super::store_id::StoreId;
use super::table::Table;
use super::types::{Member, Metrics, Raft};
use crate::leader::command_log::{CommandLog, ProposeError};

/// How often the standing is judged anew while openraft shows nothing.
const STANDING_INTERVAL: Duration = Duration::from_millis(100);
/// How long a read waits for a quorum.
const LINEARIZE_PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits between two attempts, which fail at once while peers refuse.
const LINEARIZE_PAUSE: Duration = Duration::from_millis(20);
/// How long a stop waits for what is being written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// One node of the replicated log. Cheap to clone.
#[derive(Clone)]
pub struct RaftNode(Arc<Inner>);

/// What the parts of a node share.
pub(super) struct Inner {
    pub settings: RaftSettings,
    pub own: Arc<StoreId>,
    pub raft: Raft,
    pub service: PeerService,
    /// What is in the way of the fleet's beginning.
    pub founding: watch::Sender<Option<String>>,
    log: Arc<RaftLog>,
    heard: Arc<Heard>,
    network: Network,
    standing: watch::Sender<Standing>,
    /// Openraft alone owns the disk; here it is only seen whether it is closed.
    disk: Weak<Disk>,
}

impl fmt::Debug for RaftNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftNode").field("own", &self.0.own).finish_non_exhaustive()
    }
}

impl RaftNode {
    /// Opens the data directory, or makes it, and starts the node. Needs no peer.
    ///
    /// # Errors
    /// With the directory and what to do about it.
    pub async fn open(settings: RaftSettings) -> Result<Self, OpenError> {
        Self::open_with(settings, Tuning::default()).await
    }

    pub(super) async fn open_with(settings: RaftSettings, tuning: Tuning) -> Result<Self, OpenError> {
        settings.validate()?;
        let (dir, node) = (settings.dir.clone(), settings.node);
        // Sled may also panic on what it can't read.
        let opened = spawn_blocking(move || DataDir::open(&dir, node)).await;
        let DataDir { id, disk, file, held } =
            opened.unwrap_or_else(|panic| Err(damaged(&settings.dir, &panic.to_string())))?;
        info!(controller = node, store = id.store, dir = %settings.dir.display(), "data directory opened");

        let failed = |text: String| OpenError::Log { dir: settings.dir.clone(), text };
        let (own, disk, table) = (Arc::new(id), Arc::new(disk), Arc::new(Table::empty()));
        let watched = Arc::downgrade(&disk);
        let machine =
            StateMachine::new(table.clone(), Arc::new(file), held).map_err(|error| failed(error.to_string()))?;
        let network = Network::new(own.clone());
        let config = Arc::new(config(tuning).validate().map_err(|error| failed(error.to_string()))?);
        let raft = Raft::new(node, config, network.clone(), LogStore::new(disk), machine)
            .await
            .map_err(|error| failed(error.to_string()))?;
        // Once it answers, its metrics show the members it read: before, any sender would look right.
        raft.with_raft_state(|_| ()).await.map_err(|error| failed(error.to_string()))?;

        let heard = Arc::<Heard>::default();
        Ok(Self(Arc::new(Inner {
            service: PeerService::new(own.clone(), raft.clone(), heard.clone()),
            log: Arc::new(RaftLog::start(raft.clone(), table)),
            founding: watch::Sender::default(),
            standing: watch::Sender::default(),
            disk: watched,
            settings,
            own,
            raft,
            heard,
            network,
        })))
    }

    /// What peers call.
    pub fn service(&self) -> RaftServer<PeerService> {
        RaftServer::new(self.0.service.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Founds the fleet if that is this node's part, and keeps `standing` fresh. Runs until cancelled.
    pub async fn run(&self, shutdown: CancellationToken) {
        let run = async { tokio::join!(self.0.keep_standing(), founding::found(&self.0)) };
        shutdown.run_until_cancelled(run).await;
        self.0.standing.send_replace(Standing::default());
    }

    /// The log that commands go through, and the table.
    pub fn log(&self) -> Arc<dyn CommandLog> {
        self.0.log.clone()
    }

    /// Where this node stands. Kept fresh by `run`.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// Ok once every change that was acknowledged before the call is in the local table.
    ///
    /// # Errors
    /// `NotLeader` if this node does not lead, can't reach a quorum within a second, or has not committed anything in
    /// its term since it started: a leader that was restarted within its term does not know how far it had committed.
    pub async fn linearize(&self) -> Result<(), ProposeError> {
        let Inner { raft, log, .. } = &*self.0;
        let confirmed = async {
            loop {
                match raft.ensure_linearizable().await {
                    Ok(read) => return read,
                    // It waits for one heartbeat only, which a busy machine may miss.
                    Err(error) if error.forward_to_leader::<Member>().is_none() && error.fatal().is_none() => {
                        sleep(LINEARIZE_PAUSE).await;
                    }
                    Err(_) => return None,
                }
            }
        };
        match timeout(LINEARIZE_PATIENCE, confirmed).await {
            // What may be read goes at least up to the first entry of the leader's own term.
            Ok(Some(read)) if read.leader_id.term == log.written_term() => Ok(()),
            _ => Err(ProposeError::NotLeader),
        }
    }

    /// All members with what each answered within a second. Works without a leader.
    pub async fn controllers(&self) -> Vec<ControllerView> {
        let metrics = self.0.metrics();
        let members = metrics.membership_config.nodes();
        let mut members: BTreeMap<u64, String> = members.map(|(id, member)| (*id, member.address.clone())).collect();
        if members.is_empty() {
            members.clone_from(&self.0.settings.initial_members);
        }
        let mut answers = self.0.ask(&members).await;
        let view = |(id, address)| match answers.remove(&id) {
            Some(Ok(ProbeReply { node, role, term, applied, software, .. })) if node == id => {
                ControllerView { id, address, role, term, applied, software }
            }
            _ => ControllerView {
                id,
                address,
                role: "unreachable".into(),
                term: 0,
                applied: 0,
                software: String::new(),
            },
        };
        members.into_iter().map(view).collect()
    }

    /// This node's term, and the last log index that it has applied.
    pub fn position(&self) -> (u64, u64) {
        let metrics = self.0.metrics();
        (metrics.current_term, metrics.last_applied.map_or(0, |last| last.index))
    }

    /// The id of its data directory.
    #[cfg(test)]
    pub(super) fn store(&self) -> &str {
        &self.0.own.store
    }

    /// The index of its last entry.
    #[cfg(test)]
    pub(super) fn last_index(&self) -> u64 {
        self.0.metrics().last_log_index.unwrap_or(0)
    }

    /// The index of the last entry that it removed because a snapshot holds it.
    #[cfg(test)]
    pub(super) fn purged(&self) -> u64 {
        self.0.metrics().purged.map_or(0, |purged| purged.index)
    }

    /// Stops the node and closes its data directory.
    pub async fn stop(self) {
        if let Err(error) = self.0.raft.shutdown().await {
            error!(%error, "the log ended badly");
        }
        // Replication that is under way ends with its request.
        let closed = async {
            while self.0.disk.strong_count() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(CLOSE_PATIENCE, closed).await.is_err() {
            error!("the data directory is still in use");
        }
    }
}

impl Inner {
    /// Asks members who is there, all at once; itself too.
    pub async fn ask(&self, members: &BTreeMap<u64, String>) -> BTreeMap<u64, Result<ProbeReply, String>> {
        let mut asked = JoinSet::new();
        for (id, address) in members.clone() {
            let (service, network, own) = (self.service.clone(), self.network.clone(), self.own.node);
            asked.spawn(async move {
                let reply = if id == own { service.who().await } else { network.probe(&address).await };
                (id, reply.map_err(|status| status.message().to_owned()))
            });
        }
        asked.join_all().await.into_iter().collect()
    }

    /// What openraft shows. A clone, since openraft stands still while its own is borrowed.
    fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow().clone()
    }

    async fn keep_standing(&self) {
        let mut shown = self.raft.metrics();
        let mut taken = Instant::now();
        let mut tick = interval(STANDING_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let metrics = shown.borrow_and_update().clone();
            let standing = judge(&metrics, taken.elapsed(), self.heard.recent_leader(), self.trouble());
            self.announce(standing);
            tokio::select! {
                changed = shown.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    taken = Instant::now();
                }
                _ = tick.tick() => {}
            }
        }
    }

    fn announce(&self, standing: Standing) {
        self.standing.send_if_modified(|known| {
            if known.leads != standing.leads {
                match standing.leads {
                    Some(term) => info!(controller = self.own.node, term, "leads"),
                    None => info!(controller = self.own.node, "leads no more"),
                }
            }
            if known.trouble != standing.trouble
                && let Some(trouble) = &standing.trouble
            {
                error!(controller = self.own.node, trouble, "this controller can't take part");
            }
            let changed = *known != standing;
            *known = standing;
            changed
        });
    }

    /// What keeps this node from taking part.
    fn trouble(&self) -> Option<String> {
        let mistaken = self.heard.recent_mistake().map(|store| {
            format!(
                "the fleet knows controller {} with another data directory: store {store}, this one is {}. It was lost \
                 or exchanged, and must not vote under its old node id. Put the old directory back; {LOST}",
                self.own.node, self.own.store
            )
        });
        mistaken.or_else(|| self.founding.borrow().clone())
    }
}

fn config(Tuning { snapshot_entries, keep_entries }: Tuning) -> Config {
    Config {
        cluster_name: "replisome".to_owned(),
        heartbeat_interval: 100,
        election_timeout_min: 500,
        election_timeout_max: 1_000,
        // A chunk's answer waits for the file to be written, with fsync.
        install_snapshot_timeout: 10_000,
        snapshot_max_chunk_size: 1024 * 1024,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_entries),
        max_in_snapshot_log_to_keep: keep_entries,
        ..Config::default()
    }
}
