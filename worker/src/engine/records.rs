//! The engine that copies record by record: up to so many lanes a route, and a keeper for each route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use common::assignment::{Grant, UncleanRelease};
use common::config::RouteConfig;
use common::ids::{RouteName, RoutePartition, SessionId};
use kafka::clients::Clients;
use kafka::error::{Error, ErrorKind};
use tokio::time::Instant;

use crate::engine::board::Board;
use crate::engine::keeper::{Desk, Exchange, Keeper};
use crate::engine::lane_loop::{LaneHandle, LaneSetup};
use crate::engine::{Engine, Status};
use crate::host::Host;
use crate::tether::Tether;

/// How many partitions a lane can have: a slot is a `u16`.
const LANE_PARTITIONS_MAX: usize = u16::MAX as usize;

/// Copies record by record.
pub struct RecordEngine<C> {
    clients: Arc<C>,
    session: SessionId,
    tether: Arc<Tether>,
    host: Arc<dyn Host>,
    lanes_max: usize,
    memory_bytes: usize,
    board: Arc<Board>,
    routes: Mutex<BTreeMap<RouteName, RouteLanes>>,
    /// Threads of routes without work that were told to end. Closing a client can take a second.
    ending: Mutex<Vec<JoinHandle<()>>>,
}

/// The lanes and the keeper of one route.
struct RouteLanes {
    /// What the route is to these lanes: another incarnation or other clusters need other ones.
    config: RouteConfig,
    exchange: Exchange,
    keeper: Option<JoinHandle<()>>,
    lanes: Vec<LaneHandle>,
    /// How many partitions each lane has.
    loads: Vec<usize>,
    /// Which lane has which partition.
    homes: BTreeMap<RoutePartition, usize>,
}

impl<C: Clients> RecordEngine<C> {
    /// An engine that acts for `session`, with up to `lanes_max` lanes a route that hold up to `memory_bytes` together.
    pub fn new(
        clients: Arc<C>,
        session: SessionId,
        tether: Arc<Tether>,
        host: Arc<dyn Host>,
        lanes_max: usize,
        memory_bytes: usize,
    ) -> Self {
        let (board, routes, ending) = Default::default();
        Self { clients, session, tether, host, lanes_max: lanes_max.max(1), memory_bytes, board, routes, ending }
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<RouteName, RouteLanes>> {
        // A panic while it was held leaves at most a lane without a home, which is closed with its route.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, route: &RouteConfig) -> Result<RouteLanes, Error> {
        let source = self.clients.admin(&route.source)?;
        let target = self.clients.admin(&route.target)?;
        let offsets = self.clients.offsets(&route.source, &route.group)?;
        let keeper = Keeper::new(route.clone(), self.session, self.tether.clone(), source, target, offsets);
        let name = format!("keeper-{}", route.name);
        let (desk, exchange) = Desk::new(keeper, &self.board, &name);
        let keeper = self.host.start(name, Box::new(desk));
        let (config, lanes, loads, homes) = (route.clone(), Vec::new(), Vec::new(), BTreeMap::new());
        Ok(RouteLanes { config, exchange, keeper, lanes, loads, homes })
    }

    /// Has the lanes and the keeper of a route end, without waiting for it.
    fn close(&self, RouteLanes { keeper, lanes, .. }: RouteLanes) {
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.retain(|thread| !thread.is_finished());
        ending.extend(lanes.into_iter().map(LaneHandle::end).chain([keeper]).flatten());
    }
}

impl<C> Drop for RecordEngine<C> {
    fn drop(&mut self) {
        for thread in std::mem::take(&mut *self.ending.lock().unwrap_or_else(PoisonError::into_inner)) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(name, "a thread panicked");
            }
        }
    }
}

impl RouteLanes {
    /// The lane with the fewest partitions; a new one as long as there may be more and none is empty.
    fn roomiest(&self, lanes_max: usize) -> Option<usize> {
        let (lane, load) = self.loads.iter().enumerate().min_by_key(|(_, load)| **load)?;
        (*load == 0 || self.lanes.len() >= lanes_max).then_some(lane)
    }
}

impl<C: Clients> Engine for RecordEngine<C> {
    fn start(&self, route: &RouteConfig, grant: Grant) -> Result<(), Error> {
        let mut routes = self.routes();
        for partition in self.board.take_released() {
            if let Some(lanes) = routes.get_mut(&partition.route)
                && let Some(home) = lanes.homes.remove(&partition)
            {
                lanes.loads[home] -= 1;
            }
        }
        if let Some(lanes) = routes.get(&route.name).filter(|lanes| lanes.config != *route) {
            if !lanes.homes.is_empty() {
                let text = format!("what route {} was before has not yet ended here", route.name);
                return Err(Error::new(ErrorKind::Other, text));
            }
            let lanes = routes.remove(&route.name).expect("just found");
            self.close(lanes);
        }
        if !routes.contains_key(&route.name) {
            routes.insert(route.name.clone(), self.open(route)?);
        }
        let lanes = routes.get_mut(&route.name).expect("just inserted");
        let home = match lanes.roomiest(self.lanes_max) {
            Some(home) => home,
            None => {
                let setup = LaneSetup {
                    clients: self.clients.clone(),
                    route: route.clone(),
                    memory_bytes: self.memory_bytes / self.lanes_max,
                    ledger: lanes.exchange.line(),
                    board: self.board.clone(),
                };
                let home = lanes.lanes.len();
                lanes.lanes.push(LaneHandle::start(format!("lane-{}-{home}", route.name), setup, &*self.host));
                lanes.loads.push(0);
                home
            }
        };
        if lanes.loads[home] >= LANE_PARTITIONS_MAX {
            let text = format!("its lanes have {LANE_PARTITIONS_MAX} partitions each: add workers, or raise `lanes`");
            return Err(Error::new(ErrorKind::Other, text));
        }
        self.board.started(&grant);
        lanes.homes.insert(grant.partition.clone(), home);
        lanes.loads[home] += 1;
        lanes.lanes[home].give(grant);
        Ok(())
    }

    fn stop(&self, partition: &RoutePartition, by: Instant) {
        let routes = self.routes();
        let Some(lanes) = routes.get(&partition.route) else { return };
        if let Some(home) = lanes.homes.get(partition) {
            self.board.stopping(partition);
            lanes.lanes[*home].take(partition, by);
        }
    }

    fn statuses(&self) -> Vec<Status> {
        self.board.statuses()
    }

    fn unclean(&self) -> Vec<UncleanRelease> {
        self.board.unclean()
    }

    async fn changed(&self) {
        self.board.changed().await;
    }

    async fn broken(&self) -> String {
        self.board.broken().await
    }

    fn keep_only(&self, routes: &BTreeSet<RouteName>) {
        let mut open = self.routes();
        let idle: Vec<RouteName> = open.keys().filter(|route| !routes.contains(*route)).cloned().collect();
        for route in idle {
            let lanes = open.remove(&route).expect("just found");
            self.close(lanes);
        }
    }
}
