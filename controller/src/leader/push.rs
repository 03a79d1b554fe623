//! Tells each connected session what it is to run: its whole slice of the table, whenever that changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use common::assignment::{Grant, Snapshot, Version};
use common::bug::{self, Bug};
use common::config::RouteConfig;
use common::ids::{Epoch, Revision, RouteName, RoutePartition, SessionId};
use tracing::debug;

use super::changes::Changes;
use super::context::Context;
use super::sessions::board::{Board, Told};
use super::tasks::End;
use crate::state::{Life, Slot, State, Topic};

/// Pushes whenever the table changed or a session came.
pub(crate) async fn run(context: Context) -> Option<End> {
    let (mut changes, mut work) = (Changes::of(&context), context.table_work());
    loop {
        work.rested().await;
        changes.mark_seen();
        let of = context.clone();
        work.run(move || push(&of.log.read(), &of.board)).await;
        if let Err(end) = changes.next().await {
            return Some(end);
        }
    }
}

/// Goes through the table twice: nearly always nothing changed for nearly all, and then nothing is built for them.
fn push(state: &State, board: &Board) {
    let version = Version {
        incarnation: state.incarnation(),
        controller_epoch: state.controller_epoch(),
        revision: state.revision(),
    };
    let routes = state.routes().keys().filter_map(|route| Some((route.clone(), state.route_config(route)?))).collect();
    let changed = changed(state, &routes, board.told());
    for (session, (grants, digest)) in fill(state, changed) {
        let mut named: Vec<_> = grants.iter().map(|grant| &grant.partition.route).collect();
        named.dedup();
        let routes = named.into_iter().filter_map(|route| routes.get(route).cloned()).collect();
        let (granted, revision) = (grants.len(), version.revision);
        if board.push(Snapshot { session, fleet: state.fleet().clone(), version, routes, grants }, digest) {
            debug!(%session, %revision, granted, "snapshot pushed");
        }
    }
}

/// The routes as workers are told them.
type Routes = BTreeMap<RouteName, RouteConfig>;

/// The sessions to which something new is to be said, each with the digest of that.
fn changed(state: &State, routes: &Routes, told: BTreeMap<SessionId, Option<Told>>) -> BTreeMap<SessionId, u64> {
    let registered = told.iter().filter(|(session, _)| state.sessions().contains_key(session));
    let mut slices: BTreeMap<SessionId, Slice<'_>> =
        registered.map(|(session, told)| (*session, Slice::new(*told))).collect();
    for (partition, slot, topic) in state.slots_with_topics() {
        let Some(slice) = slot.life.owner().and_then(|(session, _)| slices.get_mut(&session)) else { continue };
        match slot.life {
            Life::Assigned { epoch, .. } => slice.add(routes, grant(partition, topic, slot, epoch), &partition.route),
            // A release can't be confirmed by an older snapshot than its own.
            Life::Releasing { since, .. } => slice.releases = slice.releases.max(Some(since)),
            Life::Unassigned(_) | Life::Fencing { .. } => {}
        }
    }
    slices.into_iter().filter_map(|(session, slice)| Some((session, slice.news()?))).collect()
}

/// What a session is to be told, while the table is gone through: a digest of it, and what it was told before.
struct Slice<'a> {
    told: Option<Told>,
    digest: DefaultHasher,
    route: Option<&'a RouteName>,
    /// Its newest release.
    releases: Option<Revision>,
}

impl<'a> Slice<'a> {
    fn new(told: Option<Told>) -> Self {
        Self { told, digest: DefaultHasher::new(), route: None, releases: None }
    }

    /// Takes a grant in, and its route with the first of it.
    fn add(&mut self, routes: &Routes, grant: Option<Grant>, route: &'a RouteName) {
        let Some(mut grant) = grant else { return };
        // It counts when a grant is claimed, and goes on changing while it runs.
        grant.noted_offset = None;
        if self.route != Some(route) {
            self.route = Some(route);
            routes.get(route).hash(&mut self.digest);
        }
        grant.hash(&mut self.digest);
    }

    /// The digest, unless the session was told just that and can confirm all its releases. One change in 2^64 goes unseen
    /// until the next: less likely than that memory errs, and a kept copy would be a tenth of a large leader's memory.
    fn news(self) -> Option<u64> {
        let digest = self.digest.finish();
        let knows = |told: Told| told.digest == digest && self.releases <= Some(told.revision);
        (!self.told.is_some_and(knows)).then_some(digest)
    }
}

/// Builds what is granted to these sessions.
fn fill(state: &State, sessions: BTreeMap<SessionId, u64>) -> BTreeMap<SessionId, (Vec<Grant>, u64)> {
    let mut slices: BTreeMap<_, _> = sessions.into_iter().map(|(id, digest)| (id, (Vec::new(), digest))).collect();
    if slices.is_empty() {
        return slices;
    }
    for (partition, slot, topic) in state.slots_with_topics() {
        let Life::Assigned { session, epoch } = slot.life else { continue };
        let Some((grants, _)) = slices.get_mut(&session) else { continue };
        grants.extend(grant(partition, topic, slot, epoch));
    }
    slices
}

/// What is granted with an assigned slot; nothing before its topic has facts.
fn grant(partition: &RoutePartition, topic: &Topic, slot: &Slot, epoch: Epoch) -> Option<Grant> {
    let facts = topic.facts?;
    Some(Grant {
        partition: partition.clone(),
        epoch,
        target_topic: topic.target.clone(),
        source_topic_id: facts.source_topic_id,
        target_topic_id: facts.target_topic_id,
        start: slot.start,
        noted_offset: slot.noted_offset.get().filter(|_| !bug::is(Bug::ForgetsWithKafka)),
        accept_foreign_offset: slot.accepts(epoch),
    })
}
