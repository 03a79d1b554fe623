//! All that plays together, and who watches it: the fleet is asked twice a second, the page drawn more often.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use common::ids::TopicPartition;
use tokio::time::{Instant, sleep, timeout};

use super::arrivals::Arrivals;
use super::fleet::{self, Controller, Fleet};
use super::page::{ControllerRow, Copied, Page, Step, TopicRow, WorkerRow};
use super::producer::Producer;
use super::rates::Rates;
use super::scene::{self, Scene};
use super::screen::{Line, Screen, Style};
use super::verdict::{Owners, Silences};
use crate::failure::Failure;

/// How often the fleet is asked.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often the page is drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);
/// How often the workers are spoken of where there is no page.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked whether something has come true.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stage.
pub struct Stage {
    // In the order in which they go: those who use the clusters before the clusters.
    /// What copies.
    pub fleet: Fleet,
    /// What writes to the source.
    pub producer: RefCell<Producer>,
    /// What reads the target.
    pub arrivals: RefCell<Arrivals>,
    /// Both clusters.
    pub scene: Scene,
    started: Instant,
    seen: RefCell<Seen>,
}

/// What was last seen.
struct Seen {
    screen: Screen,
    steps: Vec<Step>,
    controllers: Vec<Controller>,
    owners: Owners,
    rates: Rates,
}

impl Stage {
    /// Starts everything.
    pub fn set() -> Result<Self, Failure> {
        let scene = Scene::build()?;
        let seen = Seen {
            screen: Screen::new(),
            steps: Vec::new(),
            controllers: Vec::new(),
            owners: Owners::new(),
            rates: Rates::default(),
        };
        Ok(Self {
            fleet: Fleet::start()?,
            producer: RefCell::new(Producer::start(&scene)?),
            arrivals: RefCell::new(Arrivals::watch(scene.target_reader()?)),
            scene,
            started: Instant::now(),
            seen: RefCell::new(seen),
        })
    }

    /// Asks and draws for ever; fails with what broke.
    pub async fn watch(&self) -> Failure {
        tokio::select! {
            failure = self.check() => failure,
            never = self.follow_controllers() => match never {},
            never = self.follow_owners() => match never {},
            never = self.draw() => match never {},
        }
    }

    /// A new step begins.
    pub fn begin(&self, text: impl Into<String>) {
        self.seen.borrow_mut().steps.push(Step { text: text.into(), is_done: false });
    }

    /// The step that began last is done.
    pub fn done(&self, text: impl Into<String>) {
        let step = Step { text: text.into(), is_done: true };
        if !self.seen.borrow().screen.is_live() {
            self.tell(&step.text);
        }
        if let Some(last) = self.seen.borrow_mut().steps.last_mut() {
            *last = step;
        }
    }

    /// Shows the page for the last time.
    pub fn leave(&self) {
        let lines = self.page().lines();
        let mut seen = self.seen.borrow_mut();
        if seen.screen.is_live() {
            seen.screen.leave(&lines);
        }
    }

    /// Writes a line below all else.
    pub fn print(&self, line: &Line) -> Result<(), Failure> {
        self.seen.borrow().screen.print(line)
    }

    /// Waits until `probe` gives something.
    pub async fn until<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> Result<T, Failure> {
        let waiting = async {
            loop {
                if let Some(found) = probe().await {
                    return found;
                }
                sleep(PROBE_INTERVAL).await;
            }
        };
        timeout(PATIENCE, waiting).await.map_err(|_| {
            let (patience, busy, lines) = (PATIENCE.as_secs(), super::busy(), self.fleet.children.last_lines());
            Failure::failed(format!("{what}: not within {patience} s{busy}; what the processes said last:{lines}"))
        })
    }

    /// The greatest lag of any partition that `counts` accepts, at the target itself; none before all have arrived there.
    pub fn lag_max(&self, counts: impl Fn(&TopicPartition) -> bool) -> Option<u64> {
        let produced = self.producer.borrow().records();
        let arrivals = self.arrivals.borrow();
        let log = arrivals.log();
        let counted = scene::partitions().into_iter().filter(counts);
        let mut lags =
            counted.map(|partition| log.get(&partition).map(|arrived| produced.saturating_sub(arrived.next)));
        lags.try_fold(0, |max, lag| lag.map(|lag| max.max(lag)))
    }

    /// The longest silence of each partition since `from`.
    pub fn silences(&self, from: Instant) -> Silences {
        let now = Instant::now();
        let arrivals = self.arrivals.borrow();
        let log = arrivals.log();
        log.iter().map(|(name, arrived)| (name.clone(), arrived.longest_silence(from, now))).collect()
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Looks after all that must go on by itself.
    async fn check(&self) -> Failure {
        loop {
            let fleet = self.fleet.children.check();
            let clients = || self.producer.borrow_mut().check().and_then(|()| self.arrivals.borrow_mut().check());
            if let Err(failure) = fleet.and_then(|()| clients()) {
                return failure;
            }
            sleep(PROBE_INTERVAL).await;
        }
    }

    async fn follow_controllers(&self) -> Infallible {
        loop {
            // Before there is an answer, and while none comes, the last one stands.
            if let Ok(controllers) = self.fleet.controllers().await {
                self.seen.borrow_mut().controllers = controllers;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn follow_owners(&self) -> Infallible {
        loop {
            if let Ok(owners) = self.fleet.owners().await {
                self.seen.borrow_mut().owners = owners;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn draw(&self) -> Infallible {
        let mut next_summary = self.started + SUMMARY_INTERVAL;
        loop {
            self.seen.borrow_mut().rates.take(&self.arrivals.borrow().log(), Instant::now());
            if self.seen.borrow().screen.is_live() {
                let lines = self.page().lines();
                self.seen.borrow_mut().screen.show(&lines);
            } else if Instant::now() >= next_summary {
                next_summary += SUMMARY_INTERVAL;
                self.tell(&self.page().summary());
            }
            sleep(DRAW_INTERVAL).await;
        }
    }

    /// A plain line, with the time.
    fn tell(&self, text: &str) {
        // Progress only: what is found is written in the end, or can't be.
        let _ = self.print(&Line::new(Style::Plain, format!("{:>4.0} s  {text}", self.elapsed().as_secs_f64())));
    }

    fn page(&self) -> Page {
        let (seen, children, produced) = (self.seen.borrow(), &self.fleet.children, self.producer.borrow().records());
        let copied = |counts: &dyn Fn(&TopicPartition) -> bool| {
            let partitions = seen.owners.keys().filter(|partition| counts(partition));
            partitions.fold(Copied::default(), |sum, partition| sum.and(seen.rates.of(partition, produced)))
        };
        let controller = |id| {
            let name = fleet::controller_name(id);
            let role = seen.controllers.iter().find(|controller| controller.id == id);
            let role = role.map_or("starting", |controller| controller.role.as_str());
            let role = if children.is_killed(&name) { "killed" } else { role };
            ControllerRow { id, process: children.id(&name), role: role.to_owned() }
        };
        let worker = |number| {
            let id = fleet::worker_name(number);
            let copied = copied(&|name| seen.owners.get(name).is_some_and(|owner| owner.worker == id));
            WorkerRow { process: children.id(&id), killed: children.is_killed(&id), copied, id }
        };
        let topic = |(name, partitions): (&'static str, u32)| TopicRow {
            name,
            produced: produced * u64::from(partitions),
            copied: copied(&|partition| partition.topic.as_str() == name),
        };
        Page {
            elapsed: self.elapsed(),
            controllers: (1..=fleet::CONTROLLERS).map(controller).collect(),
            workers: (1..=fleet::WORKERS).map(worker).collect(),
            topics: scene::topics().map(topic).collect(),
            steps: seen.steps.clone(),
        }
    }
}
