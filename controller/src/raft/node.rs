//! One node of the replicated log: opened, run, asked, stopped.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use proto::MESSAGE_BYTES_MAX;
use proto::v1::raft_server::RaftServer;
use proto::wire::{Tcp, Wire};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::belonging;
use super::data_dir::DataDir;
use super::disk::Disk;
use super::founding;
use super::heard::Heard;
use super::log_store::LogStore;
use super::medium::Medium;
use super::network::Network;
use super::proposer::RaftLog;
use super::service::PeerService;
use super::settings::{OpenError, RaftSettings, RaftTuning};
use super::standing::{Absence, Standing};
use super::state_machine::StateMachine;
use super::store_id::StoreId;
use super::table::Table;
use super::types::{Member, Metrics, Raft};
use super::watched::Health;
use crate::leader::command_log::{CommandLog, ProposeError};

/// How long a read waits for a quorum.
const LINEARIZE_PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits between two attempts, which fail at once while peers refuse.
const LINEARIZE_PAUSE: Duration = Duration::from_millis(20);
/// How long a stop waits for what is being written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// One node of the replicated log. Cheap to clone.
#[derive(Clone)]
pub struct RaftNode(pub(super) Arc<Inner>);

/// What the parts of a node share.
pub(super) struct Inner {
    pub settings: RaftSettings,
    pub own: Arc<StoreId>,
    pub raft: Raft,
    pub service: PeerService,
    /// Why this node belongs to no fleet, if it is so.
    pub absence: watch::Sender<Option<Absence>>,
    /// Taken by who changes the members: one at a time.
    pub changing: Mutex<()>,
    pub heard: Arc<Heard>,
    pub network: Network,
    pub standing: watch::Sender<Standing>,
    /// How long a leader acts that no quorum acknowledges.
    pub acts_for: Duration,
    log: Arc<RaftLog>,
    /// Openraft alone owns the data directory; here it is only seen whether it is closed.
    medium: Weak<dyn Medium>,
    pub disk: Weak<Disk>,
    pub health: Arc<Health>,
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
        Self::open_with(settings, RaftTuning::default()).await
    }

    pub(super) async fn open_with(settings: RaftSettings, tuning: RaftTuning) -> Result<Self, OpenError> {
        settings.validate()?;
        let (dir, node) = (settings.dir.clone(), settings.node);
        // Sled may also panic on what it can't read.
        let open = move || DataDir::open(&dir, node).and_then(|opened| opened.measure(&dir).map(|()| opened));
        let opened = spawn_blocking(open).await;
        let damaged = |what: String| OpenError::Damaged { dir: settings.dir.clone(), what };
        let opened = opened.unwrap_or_else(|panic| Err(damaged(panic.to_string())))?;
        Self::start(settings, opened, Arc::new(Tcp), tuning).await
    }

    /// The same on another ground than a real directory and TCP.
    ///
    /// # Errors
    /// What the medium holds is not this node's, or not whole.
    pub async fn open_on(
        settings: RaftSettings,
        medium: Arc<dyn Medium>,
        wire: Arc<dyn Wire>,
        tuning: RaftTuning,
    ) -> Result<Self, OpenError> {
        settings.validate()?;
        let opened = DataDir::on(medium, &settings.dir, settings.node)?;
        Self::start(settings, opened, wire, tuning).await
    }

    async fn start(
        settings: RaftSettings,
        DataDir { id, disk, file, held, health }: DataDir,
        wire: Arc<dyn Wire>,
        tuning: RaftTuning,
    ) -> Result<Self, OpenError> {
        let node = settings.node;
        let (dir, fsync_p99_ms) = (settings.dir.display(), health.sync_p99_ms());
        info!(controller = node, store = id.store, %dir, fsync_p99_ms, "data directory opened");

        let failed = |text: String| OpenError::Log { dir: settings.dir.clone(), text };
        let (own, disk, file, table) =
            (Arc::new(id), Arc::new(disk), Arc::new(file), Arc::new(Table::empty(tuning.checks_entries)));
        let (medium, log) = (Arc::downgrade(&disk.medium), Arc::downgrade(&disk));
        let machine =
            StateMachine::new(table.clone(), file.clone(), held).map_err(|error| failed(error.to_string()))?;
        let network = Network::new(own.clone(), wire);
        let acts_for = tuning.acts_for;
        let config = Arc::new(config(tuning).validate().map_err(|error| failed(error.to_string()))?);
        let raft = Raft::new(node, config, network.clone(), LogStore::new(disk, file), machine)
            .await
            .map_err(|error| failed(error.to_string()))?;
        // Once it answers, its metrics show the members it read: before, any sender would look right.
        raft.with_raft_state(|_| ()).await.map_err(|error| failed(error.to_string()))?;

        let heard = Arc::<Heard>::default();
        Ok(Self(Arc::new(Inner {
            service: PeerService::new(
                own.clone(),
                settings.advertise.clone(),
                raft.clone(),
                heard.clone(),
                health.clone(),
            ),
            log: Arc::new(RaftLog::start(raft.clone(), table)),
            absence: watch::Sender::default(),
            changing: Mutex::default(),
            standing: watch::Sender::default(),
            acts_for,
            medium,
            disk: log,
            health,
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

    /// Founds the fleet if that is this node's part, finishes changes of its members that another leader began, and keeps
    /// `standing` fresh. Runs until cancelled, or until the log stops.
    pub async fn run(&self, shutdown: CancellationToken) {
        let belong = async {
            founding::found(&self.0).await;
            belonging::watch(&self.0).await
        };
        let run = async {
            tokio::select! {
                () = self.0.keep_standing() => {}
                never = belong => match never {},
                never = self.0.settle_members() => match never {},
                never = self.0.bound_log() => match never {},
            }
        };
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

    /// This node's id.
    pub fn id(&self) -> u64 {
        self.0.own.node
    }

    /// Why its log has stopped, if it has, and what to do about it.
    pub fn failure(&self) -> Option<String> {
        let stopped = self.0.metrics().running_state.err()?;
        Some(self.0.health.failure().unwrap_or_else(|| format!("its log has stopped: {stopped}")))
    }

    /// Where its data directory is.
    pub fn dir(&self) -> &Path {
        &self.0.settings.dir
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
            while self.0.medium.strong_count() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(CLOSE_PATIENCE, closed).await.is_err() {
            error!("the data directory is still in use");
        }
    }
}

impl Inner {
    /// What openraft shows. A clone, since openraft stands still while its own is borrowed.
    pub fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow().clone()
    }
}

fn config(RaftTuning { snapshot_entries, keep_entries, election_ms, .. }: RaftTuning) -> Config {
    Config {
        cluster_name: "replisome".to_owned(),
        heartbeat_interval: 100,
        election_timeout_min: election_ms.start,
        election_timeout_max: election_ms.end,
        // A chunk's answer waits for the file to be written, with fsync.
        install_snapshot_timeout: 10_000,
        snapshot_max_chunk_size: 1024 * 1024,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_entries),
        max_in_snapshot_log_to_keep: keep_entries,
        ..Config::default()
    }
}
