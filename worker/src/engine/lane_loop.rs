//! A lane and what it needs of the outside: the one place that reads clocks and makes clients for it.
//!
//! ```text
//! commands -> connecting: its clients are made, again and again -> copying: step, tell the board, replace the sink
//! ```

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::assignment::Grant;
use common::config::RouteConfig;
use common::ids::RoutePartition;
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use kafka::clients::Clients;
use kafka::error::Error;
use kafka::sink::{Sink, SinkBounds};
use kafka::source::SourceBounds;
use tokio::time::Instant;

use crate::engine::Released;
use crate::engine::board::{Board, Watchdog};
use crate::engine::keeper::LedgerHandle;
use crate::engine::lane::{Lane, LaneBounds, Now, PartitionStatus, Wait};
use crate::host::{Host, Turn, Work};

/// How often the board is told about progress.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// The largest batch, in bytes, where no topic takes less: librdkafka's own default (`batch.size`).
const BATCH_BYTES: usize = 1_000_000;
/// How long to wait before clients are made again that could not be made.
const CONNECT_AGAIN: Duration = Duration::from_secs(1);
/// How long commands may wait for a lane without clients.
const LISTEN_EVERY: Duration = Duration::from_millis(20);
/// What one lane may read ahead and have in flight, at least: below it, batches get too small to be worth sending.
const MEMORY_MIN: usize = 2 * 1024 * 1024;

/// What a lane's loop needs.
pub(super) struct LaneSetup<C> {
    pub clients: Arc<C>,
    pub route: RouteConfig,
    /// Bytes that its source and sink may hold together.
    pub memory_bytes: usize,
    pub ledger: LedgerHandle,
    pub board: Arc<Board>,
}

enum Command {
    Start(Arc<Grant>),
    Stop(RoutePartition, Instant),
}

/// A running lane. It ends once the handle is dropped and its last partition is released.
pub(super) struct LaneHandle {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl LaneHandle {
    /// Starts the lane, which makes its clients.
    pub(super) fn start<C: Clients>(name: String, setup: LaneSetup<C>, host: &dyn Host) -> Self {
        // Bounded by what it carries: one start and one stop for each granted partition.
        let (commands, incoming) = unbounded();
        let watchdog = setup.board.watch(&name);
        let stage = Stage::Connecting(Connecting::default());
        let work = LaneLoop { setup, commands: incoming, stage, _watchdog: watchdog };
        Self { commands, thread: host.start(name, Box::new(work)) }
    }

    pub(super) fn give(&self, grant: Grant) {
        self.send(Command::Start(Arc::new(grant)));
    }

    pub(super) fn take(&self, partition: &RoutePartition, by: Instant) {
        self.send(Command::Stop(partition.clone(), by));
    }

    /// Tells it to end, and returns the thread to wait for. Its partitions must be released or told to stop.
    pub(super) fn end(self) -> Option<JoinHandle<()>> {
        self.thread
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("a lane is gone");
        }
    }
}

struct LaneLoop<C: Clients> {
    setup: LaneSetup<C>,
    commands: Receiver<Command>,
    stage: Stage<C>,
    _watchdog: Watchdog,
}

enum Stage<C: Clients> {
    Connecting(Connecting),
    Copying(Box<Copying<C>>),
}

/// A lane whose clients are not made yet.
#[derive(Default)]
struct Connecting {
    /// What was started; meanwhile it says why it waits.
    waiting: Vec<Arc<Grant>>,
    /// When and why the last attempt failed.
    failed: Option<(Instant, String)>,
}

/// A lane that works.
struct Copying<C: Clients> {
    lane: Lane,
    source: C::Source,
    sink: C::Sink,
    memory_bytes: usize,
    reported: Instant,
    /// When a new sink is to be made, and how large its batches may be.
    new_sink: Option<(Instant, usize)>,
}

impl<C: Clients> Work for LaneLoop<C> {
    fn turn(&mut self, patience: Duration) -> Turn {
        match &mut self.stage {
            Stage::Copying(copying) => copying.turn(&mut self.setup, &self.commands, patience),
            Stage::Connecting(connecting) => match connecting.turn(&self.setup, &self.commands) {
                Ok(copying) => {
                    self.stage = Stage::Copying(Box::new(copying));
                    Turn::Next(Duration::ZERO)
                }
                Err(turn) => turn,
            },
        }
    }
}

impl Connecting {
    /// Makes the lane's clients, or says how to go on.
    fn turn<C: Clients>(&mut self, setup: &LaneSetup<C>, commands: &Receiver<Command>) -> Result<Copying<C>, Turn> {
        let mut heard = false;
        loop {
            match commands.try_recv() {
                Ok(Command::Start(grant)) => self.waiting.push(grant),
                Ok(Command::Stop(partition, _)) => {
                    let stopped = self.waiting.extract_if(.., |grant| grant.partition == partition);
                    let released =
                        |grant: Arc<Grant>| Released { partition: partition.clone(), epoch: grant.epoch, clean: true };
                    setup.board.update(Vec::new(), stopped.map(released).collect());
                }
                Err(TryRecvError::Disconnected) if self.waiting.is_empty() => return Err(Turn::End),
                Err(_) => break,
            }
            heard = true;
        }
        let now = Instant::now();
        let is_due = self.failed.as_ref().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= CONNECT_AGAIN);
        if is_due {
            match make_clients(setup) {
                Ok(clients) => return Ok(Copying::new(clients, std::mem::take(&mut self.waiting), now)),
                Err(error) => {
                    tracing::error!(route = %setup.route.name, %error, "a lane's clients could not be made, trying again");
                    self.failed = Some((now, error.text));
                }
            }
        }
        if let Some((_, why)) = self.failed.as_ref().filter(|_| is_due || heard) {
            let held = |grant: &Arc<Grant>| PartitionStatus::waiting(grant, why);
            setup.board.update(self.waiting.iter().map(held).collect(), Vec::new());
        }
        Err(Turn::Pause(LISTEN_EVERY))
    }
}

impl<C: Clients> Copying<C> {
    fn new((source, sink, bounds): (C::Source, C::Sink, LaneBounds), grants: Vec<Arc<Grant>>, now: Instant) -> Self {
        let mut lane = Lane::new(bounds, now);
        for grant in grants {
            lane.start(grant, now);
        }
        Self { lane, source, sink, memory_bytes: bounds.in_flight_bytes, reported: now, new_sink: None }
    }

    fn turn(&mut self, setup: &mut LaneSetup<C>, commands: &Receiver<Command>, patience: Duration) -> Turn {
        let Self { lane, source, sink, .. } = self;
        loop {
            match commands.try_recv() {
                Ok(Command::Start(grant)) => lane.start(grant, Instant::now()),
                Ok(Command::Stop(partition, by)) => lane.stop(&partition, by, source),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if lane.is_empty() => return Turn::End,
                Err(TryRecvError::Disconnected) => break,
            }
        }
        let now = Now::at(Instant::now(), wall_ms());
        if let Some((due, batch_bytes)) = self.new_sink
            && now.instant >= due
        {
            let bounds = SinkBounds { queued_bytes: self.memory_bytes, batch_bytes };
            match setup.clients.sink(&setup.route.target, bounds) {
                Ok(made) => {
                    *sink = made;
                    lane.sink_replaced(batch_bytes);
                    self.new_sink = None;
                }
                Err(error) => {
                    tracing::warn!(%error, "a new producer could not be made, trying again");
                    self.new_sink = Some((now.instant + CONNECT_AGAIN, batch_bytes));
                }
            }
        }
        let wait = lane.step(now, patience, source, sink, &mut setup.ledger);
        let due = now.instant.saturating_duration_since(self.reported) >= REPORT_EVERY;
        if let Some(statuses) = lane.statuses(now, due) {
            setup.board.update(statuses, lane.take_released());
            self.reported = now.instant;
        }
        match wait {
            Wait::Ready => Turn::Next(Duration::ZERO),
            Wait::Source(longest) => Turn::Next(longest),
            Wait::Deliveries(pause) => Turn::Pause(pause),
            Wait::Sink { batch_bytes, back_off } => {
                let due = self.new_sink.map_or(now.instant + back_off, |(due, _)| due);
                self.new_sink = Some((due, batch_bytes));
                Turn::Pause(Duration::from_millis(1))
            }
        }
    }
}

fn make_clients<C: Clients>(setup: &LaneSetup<C>) -> Result<(C::Source, C::Sink, LaneBounds), Error> {
    // Half for each direction.
    let memory_bytes = setup.memory_bytes.max(MEMORY_MIN) / 2;
    let sink_bounds = SinkBounds { queued_bytes: memory_bytes, batch_bytes: BATCH_BYTES };
    let source = setup.clients.source(&setup.route.source, SourceBounds { queued_bytes: memory_bytes })?;
    let sink = setup.clients.sink(&setup.route.target, sink_bounds)?;
    let bounds = LaneBounds {
        in_flight_bytes: memory_bytes,
        batch_bytes: BATCH_BYTES,
        commit_interval: setup.route.commit_interval,
        compressed: sink.compresses(),
    };
    Ok((source, sink, bounds))
}

/// The wall clock in milliseconds since the Unix epoch.
fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
