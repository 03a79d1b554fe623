//! ISLAND. The replicated table: what operators want, what Kafka was seen to have, who copies what.
//!
//! Owns every durable fact of a fleet but offsets, which live in Kafka; of those it has a slow copy (`offsets`). Never reads a
//! clock, draws a random number, does I/O or waits: time and ids come in as data of the `Envelope`, so that every controller
//! computes the same table from the same log.
//!
//! ```text
//! Envelope {request, actor, time, command} --State::apply(revision)--> Outcome, or a Rejection and no change at all
//!
//! clusters   routes --< topics --< slots >-- sessions >-- workers      requests   events
//!            intent     intent,    who owns   who is       who ever     answers    what happened,
//!              |        facts      what       there        was there    by id      bounded
//!              v
//!            retired: groups of removed routes that are to be deleted          holds: missing workers keep what they have
//!            balance: how much may move by choice
//! ```
//!
//! Each command validates first and changes then; a batch (`Moves`, `NoteOffsets` and others) does so item by item
//! and names the items it refused. `invariants.rs` says what is always true; debug builds check it around each apply.
//!
//! # Epochs never fall
//!
//! A slot remembers the greatest epoch granted or found stored. A slot goes when its topic is removed or shrinks, and
//! leaves its epoch behind as its route's *floor*, from which any later slot of the same route starts. So within one
//! route incarnation no epoch is granted twice, even to a session that was lost before it claimed. Another incarnation
//! starts from the epochs that `ReportTopics` brings from the stored offsets.

mod apply;
pub mod balance;
#[cfg(test)]
mod balance_test;
pub mod claims;
#[cfg(test)]
mod claims_test;
mod clusters;
pub mod command;
pub mod events;
mod exchanges;
#[cfg(test)]
mod exchanges_test;
pub mod hold;
#[cfg(test)]
mod hold_test;
pub mod invariants;
mod lookup;
pub mod offsets;
#[cfg(test)]
mod offsets_test;
#[cfg(test)]
mod operators_test;
pub mod outcome;
mod pins;
mod pools;
#[cfg(test)]
mod pools_test;
#[cfg(test)]
mod random_test;
mod requests;
mod restore;
#[cfg(test)]
mod restore_test;
pub mod retired;
pub mod routes;
pub mod sessions;
pub mod slots;
#[cfg(test)]
pub(crate) mod state_test;
pub mod topics;
pub mod workers;

use std::collections::{BTreeMap, VecDeque};

use common::config::{ClusterConfig, RouteConfig};
use common::ids::{
    ClusterName, ControllerEpoch, FleetId, FleetIncarnation, PoolName, Revision, RouteName, RoutePartition, SessionId,
    TopicName, WorkerId,
};
use serde::{Deserialize, Serialize};

pub use balance::{Balance, Run};
pub use claims::{ClaimBegin, ClaimEnd, ClaimOutcome, LeaderClaim};
pub use command::{Cause, Command, Envelope, Exchange, Given, Move, RequestId, Step};
pub use events::{Event, EventKind, NewEvent};
pub use hold::Hold;
pub use offsets::NotedOffset;
pub use outcome::{Effect, Outcome, Rejection};
pub(crate) use restore::beyond;
pub use retired::Retired;
pub use routes::Route;
pub use sessions::Session;
pub use slots::{Accept, Destination, Life, Slot, Vacancy, Wish};
pub use topics::{Topic, TopicState};
pub use workers::{Presence, Worker};

/// The fleet id of a table that was not founded yet.
const UNFOUNDED: &str = "unfounded";

/// The whole table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct State {
    pub(crate) fleet: FleetId,
    pub(crate) incarnation: FleetIncarnation,
    pub(crate) controller_epoch: ControllerEpoch,
    pub(crate) revision: Revision,
    pub(crate) clusters: BTreeMap<ClusterName, ClusterConfig>,
    pub(crate) routes: BTreeMap<RouteName, Route>,
    pub(crate) topics: BTreeMap<(RouteName, TopicName), Topic>,
    pub(crate) slots: BTreeMap<RoutePartition, Slot>,
    pub(crate) retired: BTreeMap<RouteName, Retired>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// The sessions that ended last, oldest first, bounded: none of them is registered again.
    pub(crate) ended_sessions: VecDeque<SessionId>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) holds: BTreeMap<PoolName, Hold>,
    pub(crate) balance: Balance,
    pub(crate) requests: requests::Requests,
    pub(crate) events: events::Events,
}

impl State {
    /// The empty table of a fleet.
    pub fn new(fleet: FleetId, incarnation: FleetIncarnation) -> Self {
        Self {
            fleet,
            incarnation,
            controller_epoch: ControllerEpoch::default(),
            revision: Revision::default(),
            clusters: BTreeMap::new(),
            routes: BTreeMap::new(),
            topics: BTreeMap::new(),
            slots: BTreeMap::new(),
            retired: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ended_sessions: VecDeque::new(),
            workers: BTreeMap::new(),
            holds: BTreeMap::new(),
            balance: Balance::default(),
            requests: requests::Requests::default(),
            events: events::Events::default(),
        }
    }

    /// The empty table of a fleet that has no id yet.
    pub fn unfounded() -> Self {
        Self::new(FleetId::new(UNFOUNDED).expect("legal"), FleetIncarnation::default())
    }

    /// Gives the fleet its id.
    ///
    /// # Panics
    /// If something was applied already: the id is part of what workers were told.
    pub fn found(&mut self, fleet: FleetId) {
        assert_eq!(self.revision, Revision::default(), "fleet {} can't become {fleet}", self.fleet);
        self.fleet = fleet;
    }

    /// Makes the assignment table as small as it goes: the leaves of a map that was filled in order are half empty. Nothing
    /// that can be seen changes.
    pub(crate) fn pack(&mut self) {
        self.slots = std::mem::take(&mut self.slots).into_iter().collect();
    }

    /// The fleet this is the table of.
    pub fn fleet(&self) -> &FleetId {
        &self.fleet
    }

    /// How often the fleet was restored from a backup.
    pub fn incarnation(&self) -> FleetIncarnation {
        self.incarnation
    }

    /// How often a leadership began.
    pub fn controller_epoch(&self) -> ControllerEpoch {
        self.controller_epoch
    }

    /// The number of the last change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The Kafka clusters by name.
    pub fn clusters(&self) -> &BTreeMap<ClusterName, ClusterConfig> {
        &self.clusters
    }

    /// The routes by name.
    pub fn routes(&self) -> &BTreeMap<RouteName, Route> {
        &self.routes
    }

    /// The replicated topics by route and source name.
    pub fn topics(&self) -> &BTreeMap<(RouteName, TopicName), Topic> {
        &self.topics
    }

    /// The assignment table.
    pub fn slots(&self) -> &BTreeMap<RoutePartition, Slot> {
        &self.slots
    }

    /// The registered sessions.
    pub fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// Every worker that is known: those with a session, and those that had one, as far as they are still kept.
    pub fn workers(&self) -> &BTreeMap<WorkerId, Worker> {
        &self.workers
    }

    /// The removed routes whose offsets are still to be deleted, by name.
    pub fn retired(&self) -> &BTreeMap<RouteName, Retired> {
        &self.retired
    }

    /// What happened, oldest first, as far as it is still kept.
    pub fn events(&self) -> Vec<&Event> {
        self.events.list()
    }

    /// The change that a request made, as far as it is still known.
    pub fn change_of(&self, request: RequestId) -> Option<Revision> {
        self.requests.change_of(request)
    }

    /// A route as a worker is told it; `None` if there is no such route.
    pub fn route_config(&self, name: &RouteName) -> Option<RouteConfig> {
        let route = self.routes.get(name)?;
        let settings = &route.settings;
        Some(RouteConfig {
            name: name.clone(),
            fleet: self.fleet.clone(),
            incarnation: route.incarnation,
            offsets_since: route.offsets_since,
            source: self.clusters.get(&settings.source)?.clone(),
            target: self.clusters.get(&settings.target)?.clone(),
            group: settings.group.clone(),
            delivery: settings.delivery,
            accept_foreign_offsets: settings.accept_foreign_offsets,
            commit_interval: settings.commit_interval,
        })
    }
}
