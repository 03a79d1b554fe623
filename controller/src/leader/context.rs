//! What every part of a leader shares.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::assignment::Renewal;
use common::blocking::Blocking;
use common::ids::SessionId;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::command_log::{CommandLog, ProposeError};
use super::releases::Releases;
use super::sessions::board::Board;
use super::sessions::quick_returns::QuickReturns;
use super::sessions::strangers::Strangers;
use super::table_work::TableWork;
use super::tasks::End;
use super::traffic::{self, Meters};
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
    /// How long a partition stays where it is before it moves for load. Default 10 min: long enough that rates have settled
    /// and that nobody takes it for unrest, short enough for a working day to be followed.
    pub load_cool_down: Duration,
    /// How often it is noted how far partitions are stored. Default 1 min: so much may be copied again of what was paused for
    /// so long that Kafka forgot it.
    pub offsets_interval: Duration,
    /// How often the source's topics are looked at. Default 3 s.
    pub topics_interval: Duration,
    /// How long changes are gathered before a plan. Default 20 ms.
    pub reconcile_debounce: Duration,
    /// Whether somebody else may copy under the same group without knowing of this leader, as a second mirror does. Then all
    /// that is granted is above all that was found stored at first, and what is found later is never raised past: of two, one
    /// is the greater for every partition. Default no: a fleet's groups are its own.
    pub may_have_rival: bool,
}

impl Default for LeaderConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            lease: Duration::from_secs(5),
            reconnect_grace: Duration::from_secs(1),
            mass_loss_hold: Duration::from_secs(30),
            load_cool_down: Duration::from_secs(600),
            offsets_interval: Duration::from_secs(60),
            topics_interval: Duration::from_secs(3),
            reconcile_debounce: Duration::from_millis(20),
            may_have_rival: false,
        }
    }
}

impl LeaderConfig {
    /// A worker that was not heard for longer is missing: then it takes itself for detached, too.
    pub fn missing_after(&self) -> Duration {
        self.heartbeat * 2
    }
}

/// What every part of a leader shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub log: Arc<dyn CommandLog>,
    pub board: Arc<Board>,
    pub config: LeaderConfig,
    pub quick_returns: Arc<QuickReturns>,
    pub strangers: Arc<Strangers>,
    pub releases: Arc<Releases>,
    /// What fails at a route's clusters in looking at its topics, or in deleting what it left behind.
    pub troubles: Arc<Troubles>,
    /// The same in claiming its partitions.
    pub claim_troubles: Arc<Troubles>,
    /// Under which session the leader itself claims.
    pub session: SessionId,
    pub meters: Arc<Meters>,
    /// Held by whoever places what a leaving worker had: of hundreds that leave at once, not each is to plan the whole table.
    pub leaving: Arc<Mutex<()>>,
    beside: Arc<dyn Blocking>,
}

/// How often progress is reported. For people to see, and for rates over tens of seconds: what is to be acted upon comes at
/// once, with an inventory.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// In a fleet of more sessions each reports more seldom: with twice as many half as often, so that the leader is as busy with
/// a large one.
const PROGRESS_SESSIONS: u32 = 100;

/// Who proposes what nobody asked for.
const ACTOR: &str = "leader";

impl Context {
    /// `beside` is where what takes long is done.
    pub fn new(log: Arc<dyn CommandLog>, beside: Arc<dyn Blocking>, config: LeaderConfig) -> Self {
        Self {
            log,
            board: Arc::default(),
            config,
            quick_returns: Arc::default(),
            strangers: Arc::default(),
            releases: Arc::default(),
            troubles: Arc::default(),
            claim_troubles: Arc::default(),
            session: SessionId::generate(),
            meters: Arc::default(),
            leaving: Arc::default(),
            beside,
        }
    }

    /// One loop's rounds over the whole table.
    pub fn table_work(&self) -> TableWork {
        TableWork::new(self.beside.clone())
    }

    /// The sessions that can't be heard.
    pub fn missing(&self) -> BTreeSet<SessionId> {
        self.board.missing(Instant::now(), self.config.missing_after())
    }

    /// The answer to a heartbeat.
    pub fn renewal(&self, heartbeat: u64) -> Renewal {
        let LeaderConfig { heartbeat: every, lease, .. } = self.config;
        let progress_every = PROGRESS_EVERY * self.board.registered().div_ceil(PROGRESS_SESSIONS).max(1);
        // A look at rates without news would measure nothing.
        let progress_every = progress_every.min(traffic::LOOK_EVERY);
        Renewal { heartbeat, every, progress_every, lease, controllers: self.log.controllers() }
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

/// Wraps a command.
pub(crate) fn envelope(request: Option<RequestId>, actor: &str, command: Command) -> Envelope {
    Envelope { format: FORMAT, request, actor: actor.to_owned(), time_ms: now_ms(), command }
}

/// The wall clock, in milliseconds since the Unix epoch; for display only.
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
