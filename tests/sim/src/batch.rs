//! Many seeds, each in a process of its own, and what they amount to.
//!
//! Flow: threads take the next seed until there is none, and tell what they found; one thread listens, says how far it is on
//! stderr, and at the end prints the report. The end comes early with the first violation (`--stop`) or a signal: then no
//! seed is begun any more.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use common::bug::Bug;
use rustix::time::{ClockId, clock_gettime};
use tokio::signal::unix::{SignalKind, signal};

use crate::faults::kinds::BITES;
use crate::report::Report;

/// Below so many seeds a kind of fault may have missed them all by chance.
const ALL_KINDS_FROM: usize = 30;
/// How many of a hundred seeds must count.
const COUNTED_MIN: usize = 80;
/// The exit code of a batch that a signal ended, as shells give it for SIGINT.
const INTERRUPTED: u8 = 130;
/// How often it is said how far it is, in seconds.
const SAID_EVERY: f64 = 10.0;

/// Which seeds, and how.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub first: u64,
    pub seeds: u64,
    /// How many at a time.
    pub jobs: usize,
    /// Each of so many seeds is run twice, and must repeat itself.
    pub twice_each: Option<NonZeroU64>,
    /// Whether it is over with the first violation.
    pub stops: bool,
    /// The bug that is planted in each process.
    pub bug: Option<Bug>,
}

/// The seeds that are still to be run, for all threads.
#[derive(Debug)]
struct Todo {
    next: AtomicU64,
    end: u64,
    is_over: AtomicBool,
}

/// What came of the seeds so far.
#[derive(Debug, Default)]
struct Found {
    reports: Vec<Report>,
    /// Violations, and seeds without a report or with two different ones.
    wrong: Vec<String>,
    /// The seed that was first to violate an invariant, and which.
    first_violation: Option<(u64, String)>,
}

impl Batch {
    /// Runs them, says what came of them, and fails if anything is wrong.
    pub fn run(self) -> ExitCode {
        let began = seconds();
        let todo = Todo::new(self);
        todo.end_at_a_signal();
        let mut found = self.find(&todo);
        found.summarize(seconds() - began);
        let is_whole = !todo.is_over.load(Ordering::Relaxed);
        if is_whole {
            found.judge();
        }
        found.wrong.iter().for_each(|text| println!("WRONG: {text}"));
        match (found.wrong.is_empty(), is_whole) {
            (true, true) => ExitCode::SUCCESS,
            (true, false) => {
                println!("ended before all seeds were run: whether each kind of fault bit was not judged");
                ExitCode::from(INTERRUPTED)
            }
            (false, _) => ExitCode::FAILURE,
        }
    }

    /// The seed that was first to violate an invariant, and which.
    #[cfg(feature = "bugs")]
    pub fn first_violation(self) -> Option<(u64, String)> {
        self.find(&Todo::new(self)).first_violation
    }

    /// Runs them.
    fn find(self, todo: &Arc<Todo>) -> Found {
        let (began, mut said) = (seconds(), seconds());
        let mut found = Found::default();
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            for _ in 0..self.jobs {
                let (todo, tell) = (todo.clone(), tell.clone());
                scope.spawn(move || {
                    while let Some(seed) = todo.take() {
                        tell.send((seed, self.seed(seed))).expect("somebody listens until all have ended");
                    }
                });
            }
            drop(tell);
            for (seed, one) in told {
                let known = found.wrong.len();
                found.add(seed, one);
                // At once, too: a batch may go on for hours. A bug that was planted is no news.
                if self.bug.is_none() {
                    found.wrong.iter().skip(known).for_each(|text| eprintln!("WRONG: {text}"));
                }
                if self.stops && !found.wrong.is_empty() {
                    todo.end();
                }
                if seconds() >= said + SAID_EVERY {
                    said = seconds();
                    let (done, wrong) = (found.reports.len(), found.wrong.len());
                    let rate = done as f64 / (said - began);
                    eprintln!("{done} of {} seeds, {rate:.2} a second, {wrong} found wrong", self.seeds);
                }
            }
        });
        found
    }

    fn seed(&self, seed: u64) -> Result<Report, String> {
        let once = self.process(seed)?;
        if self.twice_each.is_some_and(|each| seed.is_multiple_of(each.get())) {
            let again = self.process(seed)?;
            if again != once {
                return Err(format!("seed {seed} does not repeat itself:\n{once}\n{again}"));
            }
        }
        Ok(once)
    }

    /// Runs one seed in a process of its own. It is in a group of its own, too: an interrupted batch runs it to its end.
    fn process(&self, seed: u64) -> Result<Report, String> {
        let binary = std::env::current_exe().map_err(|error| format!("this binary is not found: {error}"))?;
        let mut process = Command::new(binary);
        process.args(["--json", "--seed", &seed.to_string()]).process_group(0);
        process.envs(self.bug.map(|bug| ("REPLISOME_BUG", bug.name())));
        let output = process.output().map_err(|error| format!("seed {seed} did not start: {error}"))?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let how = format!("cargo run -p replisome-sim -- --seed {seed} --trace");
            format!("seed {seed} ended without a report ({error}): {said}\n  {how}")
        })
    }
}

impl Todo {
    fn new(batch: Batch) -> Arc<Self> {
        let (next, end) = (batch.first.into(), batch.first + batch.seeds);
        Arc::new(Self { next, end, is_over: AtomicBool::new(false) })
    }

    /// The next seed.
    fn take(&self) -> Option<u64> {
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        (seed < self.end && !self.is_over.load(Ordering::Relaxed)).then_some(seed)
    }

    /// No seed is begun any more.
    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Ends at SIGINT or SIGTERM, so that there is a report of what was run.
    fn end_at_a_signal(self: &Arc<Self>) {
        let todo = self.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime starts");
            runtime.block_on(async {
                let [mut interrupt, mut terminate] = [SignalKind::interrupt(), SignalKind::terminate()]
                    .map(|kind| signal(kind).expect("signals can be waited for"));
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            });
            todo.end();
        });
    }
}

impl Found {
    fn add(&mut self, seed: u64, one: Result<Report, String>) {
        let wrong = match &one {
            // A second panic ends a process at once.
            Err(trouble) => Some(("PANIC".to_owned(), trouble.clone())),
            Ok(report) => report.violation.as_ref().map(|(invariant, _)| (invariant.clone(), report.to_string())),
        };
        if let Some((invariant, text)) = wrong {
            self.first_violation.get_or_insert((seed, invariant));
            self.wrong.push(text);
        }
        self.reports.extend(one);
    }

    /// A batch whose seeds had too little trouble proves nothing.
    fn judge(&mut self) {
        let (all, counted) = (self.reports.len(), self.counted().count());
        if counted * 100 < all * COUNTED_MIN {
            self.wrong.push(format!("only {counted} of {all} seeds count"));
        }
        if all >= ALL_KINDS_FROM {
            let bites = self.bites();
            let missed = BITES.iter().filter(|kind| !bites.contains_key(*kind));
            let missed: Vec<String> = missed.map(|kind| format!("{kind} never bit")).collect();
            self.wrong.extend(missed);
        }
    }

    fn counted(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter().filter(|report| report.rejected.is_none())
    }

    /// How often each kind of fault made a difference, and in how many seeds.
    fn bites(&self) -> BTreeMap<&str, (u64, u64)> {
        let mut bites = BTreeMap::<&str, (u64, u64)>::new();
        for (kind, count) in self.counted().flat_map(|report| &report.bites) {
            let (bit, seeds) = bites.entry(kind).or_default();
            (*bit, *seeds) = (*bit + count, *seeds + 1);
        }
        bites
    }

    fn summarize(&self, took: f64) {
        let sum = |of: fn(&Report) -> u64| self.counted().map(of).sum::<u64>();
        let (all, counted) = (self.reports.len(), self.counted().count());
        let hours = self.counted().map(|report| report.seconds).sum::<f64>() / 3_600.0;
        println!(
            "{all} seeds, {counted} of them count, in {took:.0} s: {:.2} seeds a second, {hours:.2} simulated hours",
            all as f64 / took.max(1.0),
        );
        println!(
            "{} elections, {} changes of owner, {} changes of the table, {} concurrent calls, {} records, {} of them twice",
            sum(|report| report.elections),
            sum(|report| report.moves),
            sum(|report| report.revisions),
            sum(|report| report.calls),
            sum(|report| report.records),
            sum(|report| report.duplicates),
        );
        println!("{:20} {:>9} {:>9}", "fault", "bit", "in seeds");
        self.bites().iter().for_each(|(kind, (bit, seeds))| println!("{kind:20} {bit:>9} {seeds:>9}"));
        let mut reasons = BTreeMap::<&str, u64>::new();
        let rejected = self.reports.iter().filter_map(|report| report.rejected.as_deref());
        rejected.for_each(|why| *reasons.entry(why).or_default() += 1);
        reasons.iter().for_each(|(why, seeds)| println!("does not count: {why}, {seeds} seeds"));
    }
}

/// The real time: the clocks of the standard library are simulated in this binary.
fn seconds() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
