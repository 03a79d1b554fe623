//! A leader and a worker in this process, joined as in a fleet: a table, a log of commands, a connection. The table's
//! log is local and forgotten at the end, since all that a mirror must remember is in Kafka.

use std::future::Future;
use std::sync::Arc;

use common::ids::{PoolName, WorkerId};
use common::net::{Closed, LeaderLink};
use common::weight::Weight;
use controller::leader::command_log::{CommandLog, LocalLog};
use controller::leader::net::{self, Dialer};
use controller::leader::{Leader, LeaderConfig, LeaderHandle};
use controller::state::command::FORMAT;
use controller::state::{Command, Envelope, TopicState};
use kafka::clients::Clients;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::host::ThisHost;
use worker::{Dial, RunError, WorkerConfig};

use super::args::MirrorArgs;
use super::config::MirrorConfig;
use super::watch::{PartitionView, View};
use crate::failure::Failure;

/// Who proposes the clusters and the route.
const ACTOR: &str = "mirror";

/// The running pair.
pub struct Process {
    leader: Leader,
    handle: LeaderHandle,
    worker: Option<JoinHandle<Result<(), RunError>>>,
    shutdown: CancellationToken,
}

impl Process {
    /// Starts both.
    pub async fn start<C: Clients>(config: &MirrorConfig, args: &MirrorArgs, clients: Arc<C>) -> Result<Self, Failure> {
        let log: Arc<dyn CommandLog> = Arc::new(LocalLog::new(config.fleet.clone()));
        // Before anything else is in the log, so that the route's incarnation, which stored offsets carry, is the same
        // at each start.
        for command in [
            Command::AddCluster(config.source.clone()),
            Command::AddCluster(config.target.clone()),
            Command::AddRoute { route: config.route.clone(), settings: config.settings.clone() },
        ] {
            let envelope = Envelope { format: FORMAT, request: None, actor: ACTOR.to_owned(), time_ms: 0, command };
            log.propose(envelope).await.map_err(broken)?;
        }
        let (dialer, net) = net::in_process();
        let leader_config = LeaderConfig { may_have_rival: true, ..LeaderConfig::default() };
        let leader = Leader::start(log, Box::new(net), clients.clone(), leader_config).await.map_err(broken)?;
        let handle = leader.handle();
        let shutdown = CancellationToken::new();
        let worker = WorkerConfig {
            id: WorkerId::new("mirror").map_err(broken)?,
            address: "in this process".to_owned(),
            lanes: usize::from(args.num_streams),
            memory_bytes: args.memory,
            weight: Weight::default(),
            pool: PoolName::default(),
        };
        let stop = shutdown.clone();
        let worker = tokio::spawn(async move {
            // What a mirror is ready for is seen in its leader's table.
            let readiness = watch::Sender::new(None);
            worker::run(worker, clients, Arc::new(ThisHost), InProcess(dialer), &readiness, stop).await
        });
        Ok(Self { leader, handle, worker: Some(worker), shutdown })
    }

    /// The mirror as its leader sees it now.
    pub fn view(&self) -> View {
        let mut view = View { looked: self.handle.topics_ready(), ..View::default() };
        view.trouble = self.handle.troubles().into_values().next().map(|error| error.to_string());
        let state = self.handle.state();
        for (partition, slot) in state.slots() {
            let reported = slot.life.owner().map(|owner| self.handle.reported(owner, partition));
            let (phase, progress) = reported.unwrap_or_default();
            view.partitions.insert(partition.source(), PartitionView { phase, progress });
        }
        for ((route, name), topic) in state.topics() {
            if let Some(TopicState::Waiting(reason)) = state.topic_state(route, name) {
                view.waiting.insert(name.clone(), reason);
            } else if let Some(reason) = &topic.beyond {
                view.beyond.insert(name.clone(), reason.clone());
            }
        }
        view
    }

    /// Waits until one of both can't go on. Cancel-safe.
    pub async fn broken(&mut self) -> Failure {
        let Some(worker) = &mut self.worker else { return std::future::pending().await };
        tokio::select! {
            ended = worker => {
                self.worker = None;
                match ended {
                    Ok(Ok(())) => broken("the worker ended"),
                    Ok(Err(error)) => broken(error),
                    Err(error) => broken(error),
                }
            }
            end = self.leader.ended() => broken(format_args!("the leader ended: {end:?}")),
        }
    }

    /// Has the worker finish what is in flight and store its offsets.
    pub fn drain(&self) {
        self.shutdown.cancel();
    }

    /// Waits until it has. Cancel-safe.
    pub async fn drained(&mut self) -> Result<(), Failure> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        let ended = worker.await;
        self.worker = None;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::failed(error.to_string())),
            Err(error) => Err(Failure::failed(format!("the worker broke while draining: {error}"))),
        }
    }

    /// Ends the leader.
    pub async fn end(self) {
        self.leader.stop().await;
    }
}

/// The worker's way to the leader.
struct InProcess(Dialer);

impl Dial for InProcess {
    fn dial(&mut self) -> impl Future<Output = Result<LeaderLink, Closed>> + Send {
        self.0.dial()
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("the mirror can't go on: {error}"))
}
