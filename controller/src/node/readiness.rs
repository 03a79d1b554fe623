//! Tells whoever asks, people and load balancers, whether this controller takes part in a fleet that can decide.

use std::convert::Infallible;

use proto::v1::admin_server::AdminServer;
use proto::v1::fleet_server::FleetServer;
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::api::Seat;
use crate::raft::{RaftNode, Standing};

/// Keeps `readiness` and the health service fresh. The services of operators and workers are healthy where the leader
/// is, so that a load balancer finds him.
pub async fn tell(
    raft: &RaftNode,
    seat: &Seat,
    readiness: &watch::Sender<Option<String>>,
    health: &HealthReporter,
) -> Infallible {
    let (mut standing, mut seats) = (raft.standing(), seat.changes());
    loop {
        let now = standing.borrow_and_update().clone();
        let is_seated = seats.borrow_and_update().is_some();
        let missing = missing(&now, is_seated);
        let status = |is_serving| if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status("", status(missing.is_none())).await;
        for service in [AdminServer::<()>::NAME, FleetServer::<()>::NAME] {
            health.set_service_status(service, status(is_seated)).await;
        }
        readiness.send_if_modified(|before| {
            let is_new = *before != missing;
            *before = missing;
            is_new
        });
        tokio::select! {
            Ok(()) = standing.changed() => {}
            Ok(()) = seats.changed() => {}
            else => std::future::pending().await,
        }
    }
}

/// What is missing; `None` if nothing.
fn missing(standing: &Standing, is_seated: bool) -> Option<String> {
    let is_led = standing.has_quorum && standing.leader.is_some();
    match &standing.trouble {
        Some(trouble) => Some(trouble.clone()),
        None if !standing.initialized => Some("the fleet is not founded yet".to_owned()),
        None if !is_led => Some("no leader with a quorum is known".to_owned()),
        None if standing.leads.is_some() && !is_seated => Some("its leadership is just beginning".to_owned()),
        None => None,
    }
}
