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
pub mod engine;
pub mod metrics;
mod say;
pub mod session;
pub mod supervisor;

use std::sync::Arc;

use common::assignment::Hello;
use common::ids::{SessionId, WorkerId};
use kafka::clients::Clients;
use tokio_util::sync::CancellationToken;

use crate::engine::records::RecordEngine;
pub use crate::session::{Dial, RunError};
use crate::supervisor::Supervisor;

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
}

/// Runs a worker until `shutdown`, then releases what it runs: what is in flight is finished and stored.
///
/// # Errors
/// The leader refused the session, a thread panicked, or not everything could be released in time.
pub async fn run<C: Clients>(
    config: WorkerConfig,
    clients: Arc<C>,
    dial: impl Dial,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let session = SessionId::generate();
    let engine = Arc::new(RecordEngine::new(clients, session, config.lanes, config.memory_bytes));
    let supervisor = Supervisor::new(engine.clone(), session);
    let hello =
        Hello { worker: config.id, session, address: config.address, software: env!("CARGO_PKG_VERSION").to_owned() };
    session::keep(hello, engine.as_ref(), supervisor, dial, shutdown).await
}
