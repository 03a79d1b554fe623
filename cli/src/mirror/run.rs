//! Runs a mirror from its command line to its exit code: checks, starts leader and worker, watches, drains, sums up.

use std::sync::Arc;
use std::time::Duration;

use common::shown::Shown;
use common::telemetry;
use controller::metrics::Waiting;
use kafka::librdkafka::LibrdkafkaClients;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::MirrorArgs;
use super::config::MirrorConfig;
use super::metric_names;
use super::preflight;
use super::process::Process;
use super::progress::Teller;
use super::summary;
use super::tally::Tally;
use super::watch::{Verdict, View, Watch};
use crate::daemon::http::{self, Readiness};
use crate::daemon::signals::Signals;
use crate::failure::Failure;
use crate::output;

/// How often the mirror is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Runs `replisome mirror`.
pub fn run(args: &MirrorArgs) -> Result<(), Failure> {
    let config = MirrorConfig::load(args)?;
    // On a terminal there is a line of progress; what is logged between should be worth it. The client library's own
    // words are not: what matters of them comes as the reason of a partition.
    let filter = if output::stderr_is_terminal() { "warn,librdkafka=error" } else { "info" };
    telemetry::start(args.log_format.into(), filter);
    for note in &config.notes {
        output::note(format!("note: {note}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("can't start: {error}")))?;
    let outcome = runtime.block_on(mirror(&config, args));
    // A request to a cluster that does not answer must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// The mirror, within its runtime.
async fn mirror(config: &MirrorConfig, args: &MirrorArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let served = tokio_util::sync::CancellationToken::new();
    let readiness = match &args.http_listen {
        Some(address) => {
            let readiness = http::not_ready();
            http::serve("--http-listen", address, &readiness, metric_names::describe, served.clone()).await?;
            Some(readiness)
        }
        None => None,
    };
    let clients = Arc::new(LibrdkafkaClients);
    let found = tokio::select! {
        found = preflight::check(config, args, &clients) => found?,
        name = signals.next() => {
            output::note(format!("{name}: stopped before anything was copied"));
            return Ok(());
        }
    };
    let partitions: u32 = found.topics.values().sum();
    tracing::info!(topics = found.topics.len(), partitions, group = %config.settings.group, "starting to mirror");
    let process = Process::start(config, args, clients).await?;
    let mut mirror = Mirror {
        config,
        process,
        tally: Tally::default(),
        teller: Teller::new(args.until_end, Instant::now()),
        waiting: Shown::default(),
        readiness,
        started: Instant::now(),
    };
    let watch = Watch::new(found.ends, args.aborts_on_refused_record(), &config.settings.group);
    let end = mirror.watch(watch, &mut signals).await;
    let outcome = mirror.stop(end, &mut signals).await;
    served.cancel();
    outcome
}

/// Why a mirror stops.
enum End {
    /// What the watch said.
    Verdict(Result<(), Failure>),
    /// A signal, by name.
    Signal(&'static str),
    /// The worker or the leader ended by itself.
    Broken(Failure),
}

/// A mirror that runs.
struct Mirror<'a> {
    config: &'a MirrorConfig,
    process: Process,
    tally: Tally,
    teller: Teller,
    waiting: Shown<Waiting>,
    readiness: Option<Readiness>,
    started: Instant,
}

impl Mirror<'_> {
    /// Looks at the mirror until there is a reason to stop it.
    async fn watch(&mut self, mut watch: Watch, signals: &mut Signals) -> End {
        let mut ticks = interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let view = self.look();
                    self.teller.tell(&self.tally.standing(&view), Instant::now());
                    match watch.judge(&view, Instant::now()) {
                        Verdict::GoOn => {}
                        Verdict::Done => return End::Verdict(Ok(())),
                        Verdict::Stop(failure) => return End::Verdict(Err(failure)),
                    }
                }
                name = signals.next() => return End::Signal(name),
                failure = self.process.broken() => return End::Broken(failure),
            }
        }
    }

    /// Takes in the leader's view, and publishes what others may ask for.
    fn look(&mut self) -> View {
        let view = self.process.view();
        self.tally.take(&view);
        if let Some(readiness) = &self.readiness {
            metric_names::show_waiting(&self.config.route, &view, &mut self.waiting);
            readiness.send_replace(view.missing_for_readiness());
        }
        view
    }

    /// Drains, stores, sums up.
    async fn stop(mut self, end: End, signals: &mut Signals) -> Result<(), Failure> {
        self.teller.clear();
        let (outcome, why) = match end {
            End::Verdict(Ok(())) => (Ok(()), "all that was there at the start is copied"),
            End::Verdict(Err(failure)) => (Err(failure), "stopping"),
            End::Signal(name) => {
                output::note(format!("{name}: finishing what is in flight; once more ends at once"));
                (Ok(()), name)
            }
            End::Broken(failure) => (Err(failure), "stopping"),
        };
        tracing::info!(why, "draining");
        self.process.drain();
        let mut ticks = interval(LOOK_INTERVAL);
        let drained = loop {
            tokio::select! {
                drained = self.process.drained() => break drained,
                name = signals.next() => {
                    return Err(Failure::failed(format!(
                        "{name} again: ended at once; records copied since offsets were last stored will be copied again"
                    )));
                }
                // What is copied until then counts.
                _ = ticks.tick() => drop(self.look()),
            }
        };
        let summed_up = summary::print(&self.tally, self.started.elapsed());
        self.process.end().await;
        outcome.and(drained).and(summed_up)
    }
}
