//! The protocol spoken by hand: a worker that forgets to answer, a leader that says what it should not, an operator that
//! writes faster than a command line. Owns connections; what is said on them is the test's.

mod leader;
mod operator;
mod worker;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use proto::v1;
use tokio::runtime::Runtime;

pub use leader::FakeLeader;
pub use operator::Operator;
pub use worker::{Attached, FakeWorker};

/// The version of the protocol that is spoken here.
pub const PROTOCOL: u32 = 5;
/// How long a connection to this machine may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// A fresh id, ordered by time.
pub fn ulid() -> String {
    ulid::Ulid::generate().to_string()
}

/// A partition of a route.
pub fn route_partition(route: &str, topic: &str, partition: u32) -> v1::RoutePartition {
    v1::RoutePartition { route: route.to_owned(), topic: topic.to_owned(), partition }
}

/// What a worker says of a grant that it copies.
pub fn copying(grant: &v1::Grant) -> v1::Running {
    let phase = v1::Phase::Copying.into();
    v1::Running { partition: grant.partition.clone(), epoch: grant.epoch, phase, reason: None }
}

/// The inventory of a worker that has applied this snapshot: exactly its grants run.
pub fn obedient(snapshot: &v1::Snapshot) -> v1::Inventory {
    v1::Inventory {
        applied: snapshot.version,
        running: snapshot.grants.iter().map(copying).collect(),
        ..v1::Inventory::default()
    }
}

/// The inventory of a worker that has heard nothing yet.
pub fn nothing() -> v1::Inventory {
    v1::Inventory { applied: Some(v1::Version::default()), ..v1::Inventory::default() }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("start a runtime")
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

async fn connect(address: &str) -> Result<tonic::transport::Channel, tonic::Status> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
    let connected = endpoint.connect_timeout(CONNECT_DEADLINE).connect().await;
    connected.map_err(|error| tonic::Status::unavailable(error.to_string()))
}
