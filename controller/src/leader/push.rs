//! Tells each connected session what it is to run: its whole slice of the table, whenever that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::assignment::{Grant, Snapshot, Version};
use common::config::RouteConfig;
use common::ids::{Epoch, Revision, RoutePartition, SessionId};
use tracing::debug;

use super::changes::Changes;
use super::context::Context;
use super::sessions::board::Board;
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
    let mut slices = changed(state, board.sent());
    fill(state, &mut slices);
    for (session, grants) in slices {
        let routes: BTreeSet<_> = grants.iter().map(|grant| &grant.partition.route).collect();
        let routes = routes.into_iter().filter_map(|route| state.route_config(route)).collect();
        let (granted, revision) = (grants.len(), version.revision);
        if board.push(Snapshot { session, fleet: state.fleet().clone(), version, routes, grants }) {
            debug!(%session, %revision, granted, "snapshot pushed");
        }
    }
}

/// The sessions to which something new is to be said, each with a place for its grants.
fn changed(state: &State, sent: BTreeMap<SessionId, Option<Arc<Snapshot>>>) -> BTreeMap<SessionId, Vec<Grant>> {
    let registered = sent.iter().filter(|(session, _)| state.sessions().contains_key(session));
    let mut heard: BTreeMap<SessionId, Heard<'_>> =
        registered.map(|(session, sent)| (*session, Heard::new(state, sent.as_deref()))).collect();
    for (partition, slot, topic) in state.slots_with_topics() {
        let Some(heard) = slot.life.owner().and_then(|(session, _)| heard.get_mut(&session)) else { continue };
        match slot.life {
            Life::Assigned { epoch, .. } => heard.compare(partition, topic, slot, epoch),
            // A release can't be confirmed by an older snapshot than its own.
            Life::Releasing { since, .. } => heard.is_new |= heard.confirms < Some(since),
            Life::Unassigned(_) | Life::Fencing { .. } => {}
        }
    }
    heard
        .into_iter()
        .filter(|(_, heard)| heard.is_new || heard.left.len() > 0)
        .map(|(id, _)| (id, Vec::new()))
        .collect()
}

/// What a session was told last, while it is compared with the table.
struct Heard<'a> {
    /// The grants that the table was not compared with yet.
    left: std::slice::Iter<'a, Grant>,
    /// The newest release that it can confirm.
    confirms: Option<Revision>,
    /// Whether the table says something else.
    is_new: bool,
}

impl<'a> Heard<'a> {
    fn new(state: &State, sent: Option<&'a Snapshot>) -> Self {
        let is_told = |route: &RouteConfig| state.route_config(&route.name).as_ref() == Some(route);
        Self {
            left: sent.map(|sent| sent.grants.iter()).unwrap_or_default(),
            confirms: sent.map(|sent| sent.version.revision),
            is_new: sent.is_none_or(|sent| !sent.routes.iter().all(is_told)),
        }
    }

    fn compare(&mut self, partition: &RoutePartition, topic: &Topic, slot: &Slot, epoch: Epoch) {
        self.is_new = self.is_new || {
            let grant = grant(partition, topic, slot, epoch);
            grant.is_some() && self.left.next() != grant.as_ref()
        };
    }
}

/// Puts the grants in their places.
fn fill(state: &State, slices: &mut BTreeMap<SessionId, Vec<Grant>>) {
    if slices.is_empty() {
        return;
    }
    for (partition, slot, topic) in state.slots_with_topics() {
        let Life::Assigned { session, epoch } = slot.life else { continue };
        let Some(grants) = slices.get_mut(&session) else { continue };
        grants.extend(grant(partition, topic, slot, epoch));
    }
    slices.values_mut().for_each(Vec::shrink_to_fit);
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
        accept_foreign_offset: slot.accepts(epoch),
    })
}
