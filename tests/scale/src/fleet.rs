//! A fleet of real controllers and sessions on paper, and what is done to it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use common::ids::ControllerEpoch;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::measure::{processor_seconds, resident_bytes};
use crate::operator::Operator;
use crate::report::{Figures, Unit};
use crate::session::Session;
use crate::shape::Shape;

/// How long anything may take at all.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often a condition is looked at: so exact are the times.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long a fleet in which nothing happens is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// How often its memory is looked at: rounds over the table take some for a moment.
const MEMORY_EVERY: Duration = Duration::from_millis(250);
/// How often a death and a join are measured; the median counts.
const RUNS: usize = 5;
/// How many entries the log goes on for while a follower is away: more than are made before a snapshot and kept behind it, so
/// that what it lacks is no longer in the log.
const LOG_GOES_ON: usize = 3_000;
/// Over how long the sessions' messages are spread.
const SPREAD: Duration = Duration::from_secs(1);
/// What a broken stream is given to come back: no work of the controllers.
const GRACE: Duration = Duration::from_secs(1);

/// Measures all of it.
pub fn measure(shape: Shape, controllers: usize, figures: &mut impl Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut fleet = Fleet::start(shape, controllers).await?;
        let of = format!("{} sessions, {} partitions", shape.workers, shape.partitions);
        fleet.assign(&of, figures).await?;
        fleet.watch(&of, figures).await?;
        fleet.deaths_and_joins(&of, figures).await?;
        if controllers > 1 {
            fleet.restart(&of, figures).await?;
            fleet.fail_over(&of, figures).await?;
        }
        Ok(())
    })
}

struct Fleet {
    shape: Shape,
    nodes: Vec<Node>,
    operator: Operator,
    sessions: Vec<Session>,
    /// How many sessions there were at all.
    begun: usize,
    /// The memory that each controller had before there were partitions.
    bytes_of_sessions: Vec<u64>,
}

/// A controller's process; killed when dropped.
struct Node {
    process: Child,
    /// What it had before it was a controller: Kafka is in there.
    bytes_before: u64,
    start: Start,
}

/// How a node is started.
#[derive(Clone)]
struct Start {
    number: usize,
    addresses: Vec<String>,
    dir: std::sync::Arc<TempDir>,
    partitions: usize,
}

impl Fleet {
    async fn start(shape: Shape, controllers: usize) -> Result<Self> {
        let addresses = free_addresses(controllers)?;
        let start = |number| {
            let dir = std::sync::Arc::new(TempDir::new()?);
            Node::start(Start { number, addresses: addresses.clone(), dir, partitions: shape.partitions })
        };
        let nodes = (1..=controllers).map(start).collect::<Result<_>>()?;
        let operator = Operator::new(addresses);
        Ok(Self { shape, nodes, operator, sessions: Vec::new(), begun: 0, bytes_of_sessions: Vec::new() })
    }

    /// All sessions come at once, as after a deployment; then a route is added.
    async fn assign(&mut self, of: &str, figures: &mut impl Figures) -> Result<()> {
        let begin = Instant::now();
        for _ in 0..self.shape.workers {
            self.join();
        }
        self.until("each session was told something", |sessions| {
            sessions.iter().all(|session| session.told().is_some())
        })
        .await?;
        figures.time("all sessions come at once, until each is served", of, begin.elapsed(), None);
        // What the beginning left behind is done first.
        sleep(SPREAD * 3).await;
        self.bytes_of_sessions = self.bytes()?;
        let begin = Instant::now();
        self.operator.add_route().await?;
        let (share, partitions) = (self.shape.share(), self.shape.partitions);
        self.until("everything is assigned evenly", |sessions| {
            sessions.iter().map(Session::granted).sum::<usize>() == partitions
                && sessions.iter().all(|session| session.granted() <= share)
        })
        .await?;
        figures.time("a route is added, until all its partitions are assigned evenly", of, begin.elapsed(), None);
        Ok(())
    }

    fn join(&mut self) -> &Session {
        let addresses = &self.nodes[0].start.addresses;
        let tick = SPREAD.mul_f64(self.begun as f64 / self.shape.workers as f64).min(SPREAD);
        self.sessions.push(Session::begin(self.begun, addresses, tick));
        self.begun += 1;
        self.sessions.last().expect("just begun")
    }

    /// Nothing happens but heartbeats and progress.
    async fn watch(&mut self, of: &str, figures: &mut impl Figures) -> Result<()> {
        let leader = self.leader().await?;
        // What the beginning left behind is done first.
        sleep(SPREAD * 3).await;
        let before = self.processor_seconds()?;
        let begin = Instant::now();
        let mut memory = Vec::new();
        while begin.elapsed() < WATCHED {
            sleep(MEMORY_EVERY).await;
            memory.push(self.bytes()?);
        }
        let (after, took) = (self.processor_seconds()?, begin.elapsed().as_secs_f64());
        let cores: Vec<f64> = before.iter().zip(after).map(|(before, after)| (after - before) / took).collect();
        figures.add("leader, heartbeats and progress of all", of, cores[leader], Unit::Cores, Some(0.2));
        let others: f64 = cores.iter().enumerate().filter(|(index, _)| *index != leader).map(|(_, cores)| cores).sum();
        figures.add("the other controllers together", of, others, Unit::Cores, None);
        let begin = Instant::now();
        self.operator.status().await?;
        figures.time("`replisome status`", of, begin.elapsed(), None);
        let sessions = self.bytes_of_sessions[leader] as f64 / self.shape.workers as f64;
        figures.add("memory of the leader without partitions, of each session", of, sessions, Unit::Bytes, None);
        for index in 0..self.nodes.len() {
            let mut looks: Vec<u64> = memory.iter().map(|bytes| bytes[index]).collect();
            looks.sort_unstable();
            let more =
                |bytes: u64| bytes.saturating_sub(self.bytes_of_sessions[index]) as f64 / self.shape.partitions as f64;
            let (role, gate) = if index == leader { ("the leader", Some(1_024.0)) } else { ("a follower", None) };
            let (median, greatest) = (more(looks[looks.len() / 2]), more(looks[looks.len() - 1]));
            figures.add(&format!("more memory of {role} with them, of each partition"), of, median, Unit::Bytes, gate);
            figures.add(&format!("the same of {role} at its greatest, in a round"), of, greatest, Unit::Bytes, None);
        }
        Ok(())
    }

    /// The memory that each controller has, without Kafka's.
    fn bytes(&self) -> Result<Vec<u64>> {
        let of = |node: &Node| Ok(resident_bytes(node.process.id())?.saturating_sub(node.bytes_before));
        self.nodes.iter().map(of).collect()
    }

    fn processor_seconds(&self) -> Result<Vec<f64>> {
        self.nodes.iter().map(|node| processor_seconds(node.process.id())).collect()
    }

    /// One session dies, one joins, and again.
    async fn deaths_and_joins(&mut self, of: &str, figures: &mut impl Figures) -> Result<()> {
        let (mut deaths, mut joins) = (Vec::new(), Vec::new());
        let partitions = self.shape.partitions;
        for run in 0..RUNS {
            let begin = Instant::now();
            drop(self.sessions.remove(run * 7 % self.shape.workers));
            self.until("others have what it had", |sessions| {
                sessions.iter().map(Session::granted).sum::<usize>() == partitions
            })
            .await?;
            deaths.push(begin.elapsed().saturating_sub(GRACE));
            self.settle().await?;

            let begin = Instant::now();
            let share = partitions / (self.shape.workers + 1);
            self.join();
            self.until("it has its share", |sessions| {
                sessions.last().is_some_and(|session| session.granted() >= share)
            })
            .await?;
            joins.push(begin.elapsed());
            self.settle().await?;
        }
        let median = |mut times: Vec<Duration>| {
            times.sort();
            times[RUNS / 2]
        };
        let (half, one) = (Duration::from_millis(500), Duration::from_secs(1));
        figures.time("death, from the end of the grace until others were told", of, median(deaths), Some(half));
        figures.time("join, from dialling until it was told its share", of, median(joins), Some(one));
        Ok(())
    }

    /// A follower is killed and started again: at once, and when the log has gone on without it.
    async fn restart(&mut self, of: &str, figures: &mut impl Figures) -> Result<()> {
        let took = self.restarted(0).await?;
        figures.time("restart of a follower, until it has applied all", of, took, None);
        let took = self.restarted(LOG_GOES_ON).await?;
        figures.time("the same when it needs the leader's snapshot", of, took, None);
        Ok(())
    }

    /// How long a follower that was killed takes to be back after so many changes.
    async fn restarted(&mut self, changes: usize) -> Result<Duration> {
        let follower = (self.leader().await? + 1) % self.nodes.len();
        self.nodes[follower].kill()?;
        self.operator.change(changes).await?;
        let begin = Instant::now();
        self.nodes[follower] = Node::start(self.nodes[follower].start.clone())?;
        let kafka = begin.elapsed();
        let wanted = follower as u64 + 1;
        loop {
            let controllers = self.operator.controllers().await?;
            let applied = controllers.iter().filter(|found| found.role == "leader").map(|leader| leader.applied).max();
            let is_back = |found: &&proto::v1::Controller| {
                found.id == wanted && found.role == "follower" && Some(found.applied) >= applied
            };
            if controllers.iter().any(|found| is_back(&found)) {
                return Ok(begin.elapsed() - kafka);
            }
            ensure!(begin.elapsed() < PATIENCE, "controller {wanted} is not back");
            sleep(LOOK_EVERY).await;
        }
    }

    /// The leader is killed.
    async fn fail_over(&mut self, of: &str, figures: &mut impl Figures) -> Result<()> {
        let leader = self.leader().await?;
        let before = self.epochs().max().context("there are sessions")?;
        let (begin, owned) = (Instant::now(), self.owned());
        self.nodes[leader].kill()?;
        let is_later = move |session: &Session| epoch(session).is_some_and(|epoch| epoch > before);
        let first = self.until("the next leader has told somebody", |sessions| sessions.iter().any(is_later)).await?;
        let last = self.until("the next leader has told all", |sessions| sessions.iter().all(is_later)).await?;
        ensure!(self.owned() == owned, "an election moves nothing");
        let most = Some(Duration::from_secs(3));
        figures.time("death of the leader, until the next one has told the first session", of, first - begin, most);
        figures.time("death of the leader, until the next one has told all", of, last - begin, None);
        Ok(())
    }

    fn epochs(&self) -> impl Iterator<Item = ControllerEpoch> {
        self.sessions.iter().filter_map(epoch)
    }

    fn owned(&self) -> Vec<usize> {
        self.sessions.iter().map(Session::granted).collect()
    }

    /// Which node leads.
    async fn leader(&self) -> Result<usize> {
        let controllers = self.operator.controllers().await?;
        let leader = controllers.iter().find(|found| found.role == "leader").context("a leader answers")?;
        Ok(usize::try_from(leader.id)? - 1)
    }

    /// Waits until nothing more moves.
    async fn settle(&self) -> Result<()> {
        let partitions = self.shape.partitions;
        self.until("all is even", |sessions| {
            let share = partitions.div_ceil(sessions.len());
            sessions.iter().map(Session::granted).sum::<usize>() == partitions
                && sessions.iter().all(|session| session.granted() <= share + 1)
        })
        .await?;
        // Each has said what it runs, and no grant is under way.
        sleep(Duration::from_millis(500)).await;
        Ok(())
    }

    /// Waits for something; says when it was so.
    async fn until(&self, what: &str, is_so: impl Fn(&[Session]) -> bool) -> Result<Instant> {
        let begin = Instant::now();
        while !is_so(&self.sessions) {
            if begin.elapsed() > PATIENCE {
                let granted: usize = self.sessions.iter().map(Session::granted).sum();
                bail!("not within {PATIENCE:?}: {what}; {granted} partitions are granted");
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(Instant::now())
    }
}

impl Node {
    fn start(start: Start) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("node")
            .args(["--number", &start.number.to_string(), "--addresses", &start.addresses.join(",")])
            .args(["--partitions", &start.partitions.to_string()])
            .arg("--dir")
            .arg(start.dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a controller")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "controller {} did not start", start.number);
        let bytes_before = resident_bytes(process.id())?;
        Ok(Self { process, bytes_before, start })
    }

    fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.kill();
    }
}

fn epoch(session: &Session) -> Option<ControllerEpoch> {
    session.told().map(|told| told.version.controller_epoch)
}

/// Addresses of this machine that were free a moment ago.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    let listeners = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string())).collect()
}
