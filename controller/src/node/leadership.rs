//! Leads whenever the log says that this node does: one leader a term, stopped at once when the term is over or no
//! quorum confirms it any more.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::Seat;
use crate::leader::net::in_process;
use crate::leader::topics::ClusterAccess;
use crate::leader::{Leader, LeaderConfig};
use crate::raft::{RaftNode, Standing};

/// The pause before a leadership that ended by itself is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Leads whenever it can, until `shutdown`. Nobody has the seat when this returns.
pub async fn run(
    raft: &RaftNode,
    seat: &Seat,
    clusters: Arc<dyn ClusterAccess>,
    config: LeaderConfig,
    shutdown: CancellationToken,
) {
    let mut standing = raft.standing();
    while let Some(Some(term)) = shutdown.run_until_cancelled(next_term(&mut standing)).await {
        let over = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = end_of(term, &mut standing) => {}
            }
        };
        lead(term, raft, seat, clusters.clone(), config, over).await;
    }
}

/// The term that this node leads in, once it does; `None` if there will be none.
async fn next_term(standing: &mut watch::Receiver<Standing>) -> Option<u64> {
    standing.wait_for(|standing| standing.leads.is_some()).await.ok()?.leads
}

/// Returns once this node no longer leads in `term`.
async fn end_of(term: u64, standing: &mut watch::Receiver<Standing>) {
    // An error means that the log is closed: no term goes on then.
    let _ = standing.wait_for(|standing| standing.leads != Some(term)).await;
}

/// Leads in one term, until it is over.
async fn lead(
    term: u64,
    raft: &RaftNode,
    seat: &Seat,
    clusters: Arc<dyn ClusterAccess>,
    config: LeaderConfig,
    over: impl Future<Output = ()>,
) {
    tokio::pin!(over);
    let (dialer, net) = in_process();
    let started = tokio::select! {
        started = Leader::start(raft.log(), Box::new(net), clusters, config) => started,
        () = &mut over => return,
    };
    let mut leader = match started {
        Ok(leader) => leader,
        Err(error) => {
            warn!(term, %error, "the leadership did not begin");
            return pause(over).await;
        }
    };
    seat.take(term, leader.handle(), dialer);
    info!(term, "this controller leads");
    let ended = tokio::select! {
        end = leader.ended() => Some(end),
        () = &mut over => None,
    };
    seat.leave();
    leader.stop().await;
    match ended {
        Some(end) => {
            warn!(term, ?end, "the leadership ended by itself");
            pause(over).await;
        }
        None => info!(term, "this controller leads no more"),
    }
}

/// Waits a little before the next try, but not longer than the term lasts.
async fn pause(over: impl Future<Output = ()>) {
    tokio::select! {
        () = sleep(RETRY_INTERVAL) => {}
        () = over => {}
    }
}
