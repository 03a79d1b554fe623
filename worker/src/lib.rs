//! A worker: copies the partitions that the leader gives it, and nothing else.
//!
//! ```text
//!  leader  <--- session --->  supervisor  --- start, stop --->  engine: lanes, keeper  <--->  Kafka
//!           snapshots down,    what is wanted                     copies, claims, stores
//!           inventories up     against what runs
//! ```
//!
//! Owns: one session at a time, the way from a snapshot to running lanes, the copy loop. Never does: join a consumer
//! group, choose its partitions, keep state on disk. Stopping: the session says that it drains, every partition
//! finishes what is in flight and stores its offset, the threads end, `run` returns.

pub mod crash_point;
pub mod dial;
pub mod engine;
pub mod host;
pub mod metrics;
pub mod moment;
mod say;
pub mod session;
pub mod supervisor;
pub mod tether;

use std::sync::Arc;

use common::assignment::{Hello, PROTOCOL};
use common::ids::{PoolName, SessionId, WorkerId};
use common::weight::Weight;
use kafka::clients::Clients;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use crate::dial::Dial;
use crate::engine::records::RecordEngine;
use crate::host::Host;
use crate::moment::Moment;
pub use crate::session::RunError;
use crate::session::{End, Session};
use crate::supervisor::Supervisor;
use crate::tether::Tether;

/// What a worker is.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its name, stable over restarts.
    pub id: WorkerId,
    /// Where it runs, for people.
    pub address: String,
    /// The most threads that copy, for each route.
    pub lanes: usize,
    /// What all lanes of a route may hold together, in librdkafka's queues and in flight, in bytes.
    pub memory_bytes: usize,
    /// How much work it takes, in proportion to the fleet's other workers.
    pub weight: Weight,
    /// The routes that it copies: those of this pool.
    pub pool: PoolName,
}

/// Runs a worker until `shutdown`, then releases what it runs: what is in flight is finished and stored. `readiness`
/// says what is missing until it is ready; `None` while a leader renews its lease.
///
/// # Errors
/// The leader refused the worker, another process is it, a thread panicked, or not everything could be released in time.
pub async fn run<C: Clients>(
    config: WorkerConfig,
    clients: Arc<C>,
    host: Arc<dyn Host>,
    mut dial: impl Dial,
    readiness: &watch::Sender<Option<String>>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    loop {
        let session = SessionId::generate();
        let tether = Arc::new(Tether::new(Moment::now()));
        let (tied, lanes) = (tether.clone(), config.lanes);
        let engine = RecordEngine::new(clients.clone(), session, tied, host.clone(), lanes, config.memory_bytes);
        let engine = Arc::new(engine);
        let hello = Hello {
            protocol: PROTOCOL,
            worker: config.id.clone(),
            session,
            address: config.address.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            weight: config.weight,
            pool: config.pool.clone(),
            fleet: None,
        };
        let supervisor = Supervisor::new(engine.clone(), session);
        let session = Session {
            hello,
            engine: engine.as_ref(),
            supervisor,
            host: host.as_ref(),
            tether: &tether,
            readiness,
            shutdown: shutdown.clone(),
        };
        let end = tokio::select! {
            end = session.keep(&mut dial) => end?,
            never = metrics::publish(engine.as_ref()) => match never {},
        };
        match end {
            End::Shutdown => return Ok(()),
            End::Expired => {}
        }
    }
}
