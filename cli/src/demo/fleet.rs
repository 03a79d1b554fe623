//! A fleet of real processes, run and asked by the commands that operators use.
//!
//! Owns: the files and ports of its controllers and workers, and what the fleet says of itself. Never does: know more of
//! it than its command line tells.

use std::fmt::Write;
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use common::ids::{Partition, TopicName, TopicPartition};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::children::Children;
use super::verdict::Owners;
use crate::failure::Failure;

/// How many controllers there are.
pub const CONTROLLERS: u64 = 3;
/// How many workers there are.
pub const WORKERS: u64 = 3;

/// Ports below those that systems give to outgoing connections, so that none sits on one before its controller does.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The fleet.
pub struct Fleet {
    /// Its processes.
    pub children: Children,
    addresses: String,
}

/// Who copies a partition, and under which grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The worker's id.
    pub worker: String,
    /// Its session.
    pub session: String,
    /// The grant's number.
    pub epoch: u64,
}

/// A controller as the fleet sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Controller {
    /// Its node id.
    pub id: u64,
    /// What it is.
    pub role: String,
}

/// A row of `assignment list -o json`.
#[derive(Deserialize)]
struct Assignment {
    topic: TopicName,
    partition: Partition,
    state: String,
    worker: Option<String>,
    session: Option<String>,
    epoch: u64,
}

impl Fleet {
    /// Starts controllers and workers; they find each other.
    pub fn start() -> Result<Self, Failure> {
        let children = Children::new()?;
        let addresses: Vec<String> = free_ports()?.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let members: Vec<_> = (1..).zip(&addresses).map(|(id, at): (u64, _)| format!("\"{id}\" = \"{at}\"")).collect();
        for (id, address) in (1..).zip(&addresses) {
            let name = controller_name(id);
            let data = children.path(&format!("{name}.data"));
            let mut text = format!("node-id = {id}\ndata-dir = {data:?}\nlisten = \"{address}\"\n");
            let _ = writeln!(text, "initial-members = {{ {} }}", members.join(", "));
            let file = children.write(&format!("{name}.toml"), &text)?;
            children.start(&name, &["controller", "run", "--config", &file.display().to_string()])?;
        }
        for number in 1..=WORKERS {
            let name = worker_name(number);
            let file =
                children.write(&format!("{name}.toml"), &format!("id = {name:?}\ncontrollers = {addresses:?}\n"))?;
            children.start(&name, &["worker", "run", "--config", &file.display().to_string()])?;
        }
        Ok(Self { children, addresses: addresses.join(",") })
    }

    /// Runs one of the fleet's commands.
    pub async fn command(&self, args: &[&str]) -> Result<String, Failure> {
        self.children.run(args, &["--controllers", &self.addresses]).await
    }

    /// Who copies what. What nobody copies is not in it.
    pub async fn owners(&self) -> Result<Owners, Failure> {
        let rows: Vec<Assignment> = self.list("assignment").await?;
        let owned = rows.into_iter().filter(|row| row.state == "assigned").filter_map(|row| {
            let owner = Owner { worker: row.worker?, session: row.session?, epoch: row.epoch };
            Some((TopicPartition::new(row.topic, row.partition), owner))
        });
        Ok(owned.collect())
    }

    /// The controllers, as the first that answers sees them.
    pub async fn controllers(&self) -> Result<Vec<Controller>, Failure> {
        self.list("controller").await
    }

    /// How many workers are live.
    pub async fn live_workers(&self) -> Result<usize, Failure> {
        #[derive(Deserialize)]
        struct Worker {
            state: String,
        }
        let workers: Vec<Worker> = self.list("worker").await?;
        Ok(workers.iter().filter(|worker| worker.state == "live").count())
    }

    async fn list<T: DeserializeOwned>(&self, noun: &str) -> Result<Vec<T>, Failure> {
        let text = self.command(&[noun, "list", "-o", "json"]).await?;
        let bad = |error| Failure::failed(format!("`replisome {noun} list -o json` printed what is not it: {error}"));
        serde_json::from_str(&text).map_err(bad)
    }
}

/// The name of the process of a controller.
pub fn controller_name(id: u64) -> String {
    format!("controller-{id}")
}

/// The name of the process of a worker, and its id in the fleet.
pub fn worker_name(number: u64) -> String {
    format!("w{number}")
}

/// One for each controller, on which nobody listens.
fn free_ports() -> Result<Vec<u16>, Failure> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = clock.subsec_nanos() ^ std::process::id().rotate_left(16);
    // Begins anywhere, so that two demos at once hardly meet.
    let first = PORTS.start + u16::try_from(seed % u32::from(PORTS.end - PORTS.start)).unwrap_or(0);
    let mut listeners = Vec::new();
    for port in (first..PORTS.end).chain(PORTS.start..first) {
        listeners.extend(TcpListener::bind(("127.0.0.1", port)).map(|listener| (port, listener)));
        if listeners.len() as u64 == CONTROLLERS {
            return Ok(listeners.into_iter().map(|(port, _)| port).collect());
        }
    }
    Err(Failure::failed(format!("no {CONTROLLERS} free ports between {} and {} on 127.0.0.1", PORTS.start, PORTS.end)))
}
