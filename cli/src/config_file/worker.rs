//! `worker.toml`.

use std::net::SocketAddr;
use std::path::Path;

use common::ids::{PoolName, WorkerId};
use common::weight::{WEIGHT_MAX, Weight};

use super::layers::{Key, Layers, key};
use super::listen;
use crate::failure::Failure;
use crate::values::{host_and_port, memory_bytes};

const ID: Key = key("id");
const CONTROLLERS: Key = key("controllers");
const HTTP_LISTEN: Key = key("http-listen");
const LANES: Key = key("lanes");
const MEMORY: Key = key("memory");
const WEIGHT: Key = key("weight");
const POOL: Key = key("pool");
const KEYS: &[Key] = &[ID, CONTROLLERS, HTTP_LISTEN, LANES, MEMORY, WEIGHT, POOL];

const LANES_DEFAULT: u64 = 2;
/// A lane has two clients with threads of their own.
const LANES_MAX: u64 = 256;
const MEMORY_BYTES_DEFAULT: usize = 96 << 20;

/// How a worker is configured.
#[derive(Clone, Debug)]
pub struct WorkerFile {
    /// Its name, stable over restarts.
    pub id: WorkerId,
    /// Where controllers are; never empty.
    pub controllers: Vec<String>,
    /// Where metrics and health are served, if anywhere.
    pub http_listen: Option<SocketAddr>,
    /// Threads that copy, for each route.
    pub lanes: usize,
    /// What all lanes of a route may hold together.
    pub memory_bytes: usize,
    /// How much work it takes, in proportion to the fleet's other workers.
    pub weight: Weight,
    /// The routes that it copies: those of this pool.
    pub pool: PoolName,
    /// What the user should know all the same.
    pub notes: Vec<String>,
}

impl WorkerFile {
    /// Reads and checks it.
    pub fn load(path: Option<&Path>, insecure: bool) -> Result<Self, Failure> {
        let layers = Layers::read(path, KEYS)?;
        let id = layers.parsed(&ID, |text| {
            WorkerId::new(text).map_err(|error| format!("a worker's id is made of {}", error.rule))
        })?;
        let pool = layers.parsed(&POOL, |text| {
            PoolName::new(text).map_err(|error| format!("a pool's name is made of {}", error.rule))
        })?;
        let controllers = layers.list(&CONTROLLERS)?.filter(|controllers| !controllers.is_empty());
        for address in controllers.iter().flatten() {
            host_and_port(address)
                .map_err(|remedy| layers.wrong(&CONTROLLERS, format_args!("{address:?}: {remedy}")))?;
        }
        let http_listen = listen::address(&layers, &HTTP_LISTEN, insecure)?;
        let own = http_listen.map(|address| address.to_string());
        if let Some(address) = own.filter(|own| controllers.iter().flatten().any(|controller| controller == own)) {
            let text = "is the address of a controller, too: give a port of its own";
            return Err(layers.wrong(&HTTP_LISTEN, format_args!("{address:?} {text}")));
        }
        let lanes = layers.whole(&LANES, 1, LANES_MAX)?.unwrap_or(LANES_DEFAULT);
        let weight = layers.whole(&WEIGHT, 1, u64::from(WEIGHT_MAX))?;
        let weight = weight.map(|weight| u32::try_from(weight).expect("at most WEIGHT_MAX"));
        Ok(Self {
            id: layers.needed(&ID, id, "\"w1\"")?,
            controllers: layers.needed(&CONTROLLERS, controllers, "[\"127.0.0.1:7401\"]")?,
            http_listen,
            lanes: usize::try_from(lanes).expect("at most LANES_MAX"),
            memory_bytes: layers.parsed(&MEMORY, memory_bytes)?.unwrap_or(MEMORY_BYTES_DEFAULT),
            weight: weight.map(Weight::try_from).transpose().expect("in these bounds").unwrap_or_default(),
            pool: pool.unwrap_or_default(),
            notes: layers.notes,
        })
    }
}
