//! Pools: which workers copy which routes. A session is in one pool, and a route is in one, for as long as they are there;
//! a session has partitions of its own pool's routes and of no other. So what happens in one pool moves nothing in another.
//!
//! A pool is nothing but its name: it is there as soon as a worker or a route names it.

use std::collections::BTreeSet;

use common::ids::{PoolName, RouteName, RoutePartition, SessionId, WorkerId};

use super::State;
use super::outcome::Rejection;
use super::routes::Route;
use super::sessions::Session;

impl State {
    /// The pools that a session or a route is in.
    pub fn pools(&self) -> BTreeSet<&PoolName> {
        let of_routes = self.routes.values().map(|route| &route.settings.pool);
        of_routes.chain(self.sessions.values().map(|session| &session.pool)).collect()
    }

    /// The routes of one pool, by name.
    pub fn routes_in<'a>(&'a self, pool: &'a PoolName) -> impl Iterator<Item = (&'a RouteName, &'a Route)> {
        self.routes.iter().filter(move |(_, route)| route.settings.pool == *pool)
    }

    /// How many partitions the routes of a pool have.
    pub fn partitions_in(&self, pool: &PoolName) -> usize {
        self.routes_in(pool).map(|(_, route)| route.slots).sum()
    }

    /// The sessions of a pool that take work.
    pub(super) fn working_in<'a>(&'a self, pool: &'a PoolName) -> impl Iterator<Item = &'a Session> {
        self.working().map(|(_, session)| session).filter(move |session| session.pool == *pool)
    }

    /// The pools of which somebody takes work.
    pub fn served_pools(&self) -> BTreeSet<PoolName> {
        self.pools_served_by(|_| true)
    }

    /// The pools of which somebody takes work who counts.
    pub fn pools_served_by(&self, counts: impl Fn(SessionId) -> bool) -> BTreeSet<PoolName> {
        self.working().filter(|(id, _)| counts(*id)).map(|(_, session)| session.pool.clone()).collect()
    }

    fn working(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session)).filter(|(id, _)| !self.is_draining(*id))
    }

    /// Whether a registered session is in the pool of a known route's partition.
    pub(super) fn is_in_pool_of(&self, session: SessionId, id: &RoutePartition) -> bool {
        self.sessions[&session].pool == self.routes[&id.route].settings.pool
    }

    /// Refuses a partition of a known route to a known worker that was last in another pool.
    pub(super) fn check_pool(&self, worker: &WorkerId, id: &RoutePartition) -> Result<(), Rejection> {
        let (of_worker, of_route) = (&self.workers[worker].pool, &self.routes[&id.route].settings.pool);
        if of_worker == of_route {
            return Ok(());
        }
        let (of_worker, of_route) = (of_worker.clone(), of_route.clone());
        Err(Rejection::OtherPool { worker: worker.clone(), of_worker, route: id.route.clone(), of_route })
    }
}
