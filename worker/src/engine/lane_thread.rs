//! A lane on a thread of its own: the one place that reads clocks, sleeps and makes clients for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::assignment::Grant;
use common::config::RouteConfig;
use common::ids::RoutePartition;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use kafka::clients::Clients;
use kafka::error::Error;
use kafka::sink::{Sink, SinkBounds};
use kafka::source::SourceBounds;
use tokio::time::Instant;

use crate::engine::board::Board;
use crate::engine::keeper::LedgerHandle;
use crate::engine::lane::{Lane, LaneBounds, Now, PartitionStatus, Wait};

/// How often the board is told about progress.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// The largest batch, in bytes, where no topic takes less: librdkafka's own default (`batch.size`).
const BATCH_BYTES: usize = 1_000_000;
/// How long to wait before a producer is made again that could not be made.
const CONNECT_AGAIN: Duration = Duration::from_secs(1);
/// What one lane may read ahead and have in flight, at least: below it, batches get too small to be worth sending.
const MEMORY_MIN: usize = 2 * 1024 * 1024;

/// What a lane's thread needs.
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
pub(super) struct LaneThread {
    commands: Sender<Command>,
    thread: JoinHandle<()>,
}

impl LaneThread {
    /// Starts the lane's thread, which makes its clients.
    pub(super) fn start<C: Clients>(name: String, setup: LaneSetup<C>) -> Self {
        // Bounded by what it carries: one start and one stop for each granted partition.
        let (commands, incoming) = unbounded();
        let watchdog = setup.board.watch_thread(&name);
        let work = move || {
            let _watchdog = watchdog;
            drive(setup, &incoming);
        };
        let thread = std::thread::Builder::new().name(name).spawn(work).expect("the system has room for a thread");
        Self { commands, thread }
    }

    pub(super) fn give(&self, grant: Grant) {
        self.send(Command::Start(Arc::new(grant)));
    }

    pub(super) fn take(&self, partition: &RoutePartition, by: Instant) {
        self.send(Command::Stop(partition.clone(), by));
    }

    /// Waits for its end. Its partitions must be released or told to stop.
    pub(super) fn join(self) {
        drop(self.commands);
        if self.thread.join().is_err() {
            tracing::error!("a lane's thread panicked");
        }
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("a lane's thread is gone");
        }
    }
}

fn drive<C: Clients>(setup: LaneSetup<C>, commands: &Receiver<Command>) {
    let mut waiting = Vec::new();
    let Some((mut source, mut sink, bounds)) = connect(&setup, commands, &mut waiting) else { return };
    let mut ledger = setup.ledger;
    let memory_bytes = bounds.in_flight_bytes;
    let mut lane = Lane::new(bounds, Instant::now());
    for grant in waiting {
        lane.start(grant, Instant::now());
    }
    let mut patience = Duration::ZERO;
    let mut reported = Instant::now();
    let mut new_sink: Option<(Instant, usize)> = None;
    loop {
        loop {
            match commands.try_recv() {
                Ok(Command::Start(grant)) => lane.start(grant, Instant::now()),
                Ok(Command::Stop(partition, by)) => lane.stop(&partition, by, &mut source),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if lane.is_empty() => return,
                Err(TryRecvError::Disconnected) => break,
            }
        }
        let now = Now { instant: Instant::now(), wall_ms: wall_ms() };
        if let Some((due, batch_bytes)) = new_sink
            && now.instant >= due
        {
            match setup.clients.sink(&setup.route.target, SinkBounds { queued_bytes: memory_bytes, batch_bytes }) {
                Ok(made) => {
                    sink = made;
                    lane.sink_replaced(batch_bytes);
                    new_sink = None;
                }
                Err(error) => {
                    tracing::warn!(%error, "a new producer could not be made, trying again");
                    new_sink = Some((now.instant + CONNECT_AGAIN, batch_bytes));
                }
            }
        }
        let wait = lane.step(now, std::mem::take(&mut patience), &mut source, &mut sink, &mut ledger);
        let due = now.instant.saturating_duration_since(reported) >= REPORT_EVERY;
        if let Some(statuses) = lane.statuses(now, due) {
            setup.board.update(statuses, &lane.take_released());
            reported = now.instant;
        }
        match wait {
            Wait::Ready => {}
            Wait::Source(longest) => patience = longest,
            Wait::Deliveries(pause) => std::thread::sleep(pause),
            Wait::Sink { batch_bytes, back_off } => {
                let due = new_sink.map_or(now.instant + back_off, |(due, _)| due);
                new_sink = Some((due, batch_bytes));
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Makes the lane's clients, again and again until it works; meanwhile its partitions say why they wait. Those that were
/// started are in `waiting`. `None` when nobody wants the lane any more.
fn connect<C: Clients>(
    setup: &LaneSetup<C>,
    commands: &Receiver<Command>,
    waiting: &mut Vec<Arc<Grant>>,
) -> Option<(C::Source, C::Sink, LaneBounds)> {
    loop {
        let error = match make_clients(setup) {
            Ok(clients) => return Some(clients),
            Err(error) => error,
        };
        tracing::error!(route = %setup.route.name, %error, "a lane's clients could not be made, trying again");
        let again = Instant::now() + CONNECT_AGAIN;
        loop {
            match commands.recv_deadline(again.into_std()) {
                Ok(Command::Start(grant)) => waiting.push(grant),
                Ok(Command::Stop(partition, _)) => {
                    waiting.retain(|grant| grant.partition != partition);
                    setup.board.update(Vec::new(), &[partition]);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) if waiting.is_empty() => return None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let held = |grant: &Arc<Grant>| PartitionStatus::waiting(grant, &error.text);
            setup.board.update(waiting.iter().map(held).collect(), &[]);
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
