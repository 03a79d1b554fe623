//! `controller.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controller::leader::LeaderConfig;

use super::layers::{Key, Layers, key, map};
use super::listen;
use crate::failure::Failure;
use crate::values::{duration, host_and_port};

const NODE_ID: Key = key("node-id");
const DATA_DIR: Key = key("data-dir");
const LISTEN: Key = key("listen");
const ADVERTISE: Key = key("advertise");
const HTTP_LISTEN: Key = key("http-listen");
const INITIAL_MEMBERS: Key = map("initial-members");
const HEARTBEAT: Key = key("timing.heartbeat");
const LEASE: Key = key("timing.lease");
/// Workers take no longer one for meant.
const LEASE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const RECONNECT_GRACE: Key = key("timing.reconnect-grace");
const MASS_LOSS_HOLD: Key = key("timing.mass-loss-hold");
const LOAD_COOL_DOWN: Key = key("timing.load-cool-down");
const KEYS: &[Key] = &[
    NODE_ID,
    DATA_DIR,
    LISTEN,
    ADVERTISE,
    HTTP_LISTEN,
    INITIAL_MEMBERS,
    HEARTBEAT,
    LEASE,
    RECONNECT_GRACE,
    MASS_LOSS_HOLD,
    LOAD_COOL_DOWN,
];

/// How a controller is configured.
#[derive(Clone, Debug)]
pub struct ControllerFile {
    /// Its number among the controllers.
    pub node_id: u64,
    /// Where its log is kept.
    pub data_dir: PathBuf,
    /// Where it listens for operators, workers and other controllers.
    pub listen: SocketAddr,
    /// Where the others reach it.
    pub advertise: String,
    /// Where metrics and health are served, if anywhere.
    pub http_listen: Option<SocketAddr>,
    /// The controllers a new fleet begins with; none if this one waits to be taken into a fleet.
    pub initial_members: BTreeMap<u64, String>,
    /// How often a worker is heard from, if not as usual.
    pub heartbeat: Option<Duration>,
    /// How long a silent worker keeps its partitions, if not as usual.
    pub lease: Option<Duration>,
    /// How long a worker whose connection broke keeps its partitions, if not as usual.
    pub reconnect_grace: Option<Duration>,
    /// How long missing workers keep their partitions when many are lost at once, if not as usual.
    pub mass_loss_hold: Option<Duration>,
    /// How long a partition stays where it is before it moves for load, if not as usual.
    pub load_cool_down: Option<Duration>,
    /// What the user should know all the same.
    pub notes: Vec<String>,
}

impl ControllerFile {
    /// Reads and checks it.
    pub fn load(path: Option<&Path>, insecure: bool) -> Result<Self, Failure> {
        Self::of(Layers::read(path, KEYS)?, insecure)
    }

    fn of(layers: Layers, insecure: bool) -> Result<Self, Failure> {
        let node_id = layers.whole(&NODE_ID, 1, u64::MAX)?;
        let node_id = layers.needed(&NODE_ID, node_id, "1")?;
        let data_dir = data_dir(&layers)?;
        let listen_text = layers.needed(&LISTEN, layers.text(&LISTEN)?, "\"127.0.0.1:7401\"")?;
        let listen = layers.needed(&LISTEN, listen::address(&layers, &LISTEN, insecure)?, "")?;
        if listen.port() == 0 {
            return Err(
                layers.wrong(&LISTEN, format_args!("{listen_text:?}: give a port above 0: others must find it"))
            );
        }
        let http_listen = listen::address(&layers, &HTTP_LISTEN, insecure)?;
        if http_listen == Some(listen) {
            let text = "is the address of listen, too: give each a port of its own";
            return Err(layers.wrong(&HTTP_LISTEN, format_args!("{:?} {text}", listen.to_string())));
        }
        let advertise = layers.parsed(&ADVERTISE, host_and_port)?.unwrap_or(listen_text);
        if is_nowhere(&advertise) {
            let text = "is no address that others reach; set advertise to the one they do, such as 10.0.0.1:7401";
            return Err(layers.wrong(&ADVERTISE, format_args!("{advertise:?} {text}")));
        }
        let initial_members = members(&layers, node_id, &advertise)?;
        let timing = |key| layers.parsed(key, duration);
        let (heartbeat, lease) = (timing(&HEARTBEAT)?, timing(&LEASE)?);
        let defaults = LeaderConfig::default();
        let (beat, kept) = (heartbeat.unwrap_or(defaults.heartbeat), lease.unwrap_or(defaults.lease));
        if kept <= beat * 2 {
            let key = if lease.is_some() { &LEASE } else { &HEARTBEAT };
            let text = format!("timing.lease ({kept:?}) must be longer than two of timing.heartbeat ({beat:?})");
            return Err(layers.wrong(key, text));
        }
        if kept > LEASE_MAX {
            return Err(layers.wrong(&LEASE, format_args!("{kept:?}: give at most a day")));
        }
        Ok(Self {
            node_id,
            data_dir,
            listen,
            advertise,
            http_listen,
            initial_members,
            heartbeat,
            lease,
            reconnect_grace: timing(&RECONNECT_GRACE)?,
            mass_loss_hold: timing(&MASS_LOSS_HOLD)?,
            load_cool_down: timing(&LOAD_COOL_DOWN)?,
            notes: layers.notes,
        })
    }
}

/// Where the log is kept: a directory, which need not be there yet.
fn data_dir(layers: &Layers) -> Result<PathBuf, Failure> {
    let example = "\"data/controller-1\"";
    let named = |text: &str| match text.trim() {
        "" => Err(format!("name a directory, such as {example}")),
        _ => Ok(PathBuf::from(text)),
    };
    let path = layers.needed(&DATA_DIR, layers.parsed(&DATA_DIR, named)?, example)?;
    if path.exists() && !path.is_dir() {
        let text = "is there and is no directory: name another place, or move that away";
        return Err(layers.wrong(&DATA_DIR, format_args!("{path:?} {text}")));
    }
    Ok(path)
}

/// Whether the address says to listen everywhere, which is nowhere to go to.
fn is_nowhere(address: &str) -> bool {
    let parsed = address.parse::<SocketAddr>();
    parsed.is_ok_and(|address| address.ip().is_unspecified() || address.port() == 0)
}

/// The controllers a new fleet begins with, this one among them, where it says it is; none if the key is left out.
fn members(layers: &Layers, node_id: u64, advertise: &str) -> Result<BTreeMap<u64, String>, Failure> {
    let Some(given) = layers.map(&INITIAL_MEMBERS)? else { return Ok(BTreeMap::new()) };
    let wrong = |text: String| layers.wrong(&INITIAL_MEMBERS, text);
    let mut members = BTreeMap::new();
    for (id, address) in given {
        let number = id.parse().ok().filter(|id| *id >= 1);
        let number: u64 = number.ok_or_else(|| wrong(format!("{id:?}: a node id is a whole number from 1")))?;
        host_and_port(&address).map_err(|remedy| wrong(format!("node {id} at {address:?}: {remedy}")))?;
        if is_nowhere(&address) {
            return Err(wrong(format!("node {id} at {address:?}: give the address that the others reach it by")));
        }
        if let Some((other, _)) = members.iter().find(|(_, given)| **given == address) {
            return Err(wrong(format!("nodes {other} and {id} have the same address {address:?}")));
        }
        members.insert(number, address);
    }
    if ![1, 3, 5].contains(&members.len()) {
        let count = members.len();
        return Err(wrong(format!("has {count} entries: give 1, 3 or 5, so that a majority is always clear")));
    }
    match members.get(&node_id) {
        Some(address) if address == advertise => Ok(members),
        Some(address) => Err(wrong(format!(
            "says that node {node_id} is at {address:?}, and advertise says {advertise:?}: make them the same"
        ))),
        None => Err(wrong(format!(
            "lacks node-id {node_id}: add this controller itself, or leave the key out if it is to be taken into a fleet \
             that is there"
        ))),
    }
}
