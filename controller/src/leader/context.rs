//! What every part of a leader shares.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::assignment::Renewal;
use common::ids::SessionId;
use tokio::time::Instant;
use tracing::warn;

use super::command_log::{CommandLog, ProposeError};
use super::sessions::board::Board;
use super::sessions::quick_returns::QuickReturns;
use super::tasks::End;
use super::troubles::Troubles;
use crate::state::command::FORMAT;
use crate::state::{Command, Envelope, Outcome, RequestId};

/// How a leader times its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaderConfig {
    /// How often a worker is heard from. Default 1 s.
    pub heartbeat: Duration,
    /// How long a silent session keeps its partitions. Default 5 s.
    pub lease: Duration,
    /// How long a session whose stream broke keeps its partitions. Default 1 s: the kernel closes a killed process's
    /// sockets at once, and a live worker dials again within milliseconds.
    pub reconnect_grace: Duration,
    /// How long missing workers keep their partitions when many are missed at once. Default 30 s: a network that is being
    /// switched over is back by then, and a fleet that lost a rack goes on with what is left.
    pub mass_loss_hold: Duration,
    /// How often the source's topics are looked at. Default 3 s.
    pub topics_interval: Duration,
    /// How long changes are gathered before a plan. Default 20 ms.
    pub reconcile_debounce: Duration,
}

impl Default for LeaderConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            lease: Duration::from_secs(5),
            reconnect_grace: Duration::from_secs(1),
            mass_loss_hold: Duration::from_secs(30),
            topics_interval: Duration::from_secs(3),
            reconcile_debounce: Duration::from_millis(20),
        }
    }
}

impl LeaderConfig {
    /// A worker that was not heard for longer is missing: then it takes itself for detached, too.
    pub fn missing_after(&self) -> Duration {
        self.heartbeat * 2
    }

    /// The answer to a heartbeat.
    pub(crate) fn renewal(&self, heartbeat: u64) -> Renewal {
        Renewal { heartbeat, every: self.heartbeat, lease: self.lease }
    }
}

/// What every part of a leader shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub log: Arc<dyn CommandLog>,
    pub board: Arc<Board>,
    pub config: LeaderConfig,
    pub quick_returns: Arc<QuickReturns>,
    pub troubles: Arc<Troubles>,
}

/// Who proposes what nobody asked for.
const ACTOR: &str = "leader";

impl Context {
    pub fn new(log: Arc<dyn CommandLog>, config: LeaderConfig) -> Self {
        let (board, quick_returns, troubles) = Default::default();
        Self { log, board, config, quick_returns, troubles }
    }

    /// The sessions that can't be heard.
    pub fn missing(&self) -> BTreeSet<SessionId> {
        self.board.missing(Instant::now(), self.config.missing_after())
    }

    /// Proposes on the leader's own behalf: safe to repeat by the command's own checks.
    pub async fn propose(&self, command: Command) -> Result<Outcome, ProposeError> {
        self.log.propose(envelope(None, ACTOR, command)).await
    }

    /// The same, where the only thing left to do about a failure is to say so: what is still true is proposed again by
    /// the next round. `Err` when the leadership is over.
    pub async fn propose_or_log(&self, command: Command) -> Result<Option<Outcome>, End> {
        match self.propose(command).await {
            Ok(outcome) => Ok(Some(outcome)),
            Err(ProposeError::NotLeader) => Err(End::NotLeader),
            Err(error) => {
                warn!(%error, "a proposal failed");
                Ok(None)
            }
        }
    }
}

/// Wraps a command. The wall clock is for display only.
pub(crate) fn envelope(request: Option<RequestId>, actor: &str, command: Command) -> Envelope {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    Envelope { format: FORMAT, request, actor: actor.to_owned(), time_ms, command }
}
