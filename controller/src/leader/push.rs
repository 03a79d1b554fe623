//! Tells each connected session what it is to run: its whole slice of the table, whenever that changed.

use std::collections::{BTreeMap, BTreeSet};

use common::assignment::{Grant, Snapshot, Version};
use common::ids::{Revision, RouteName, SessionId};
use tracing::debug;

use super::changes::Changes;
use super::context::Context;
use super::tasks::End;
use crate::state::{Life, State};

/// What one session gets.
#[derive(Default)]
struct Slice {
    grants: Vec<Grant>,
    routes: BTreeSet<RouteName>,
    /// The newest release it has to confirm: it can't by an older snapshot.
    confirm: Option<Revision>,
}

/// Pushes whenever the table changed or a session came.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut changes = Changes::of(&context);
    loop {
        changes.mark_seen();
        push(&context.log.read(), &context);
        if let Err(end) = changes.next().await {
            return Some(end);
        }
    }
}

fn push(state: &State, context: &Context) {
    let version = Version {
        incarnation: state.incarnation(),
        controller_epoch: state.controller_epoch(),
        revision: state.revision(),
    };
    let mut slices: BTreeMap<SessionId, Slice> = BTreeMap::new();
    for session in context.board.attached().into_keys().filter(|session| state.sessions().contains_key(session)) {
        slices.insert(session, Slice::default());
    }
    fill(state, &mut slices);
    for (session, Slice { grants, routes, confirm }) in slices {
        let routes = routes.iter().filter_map(|route| state.route_config(route)).collect();
        let (granted, revision) = (grants.len(), version.revision);
        if context.board.push(Snapshot { session, fleet: state.fleet().clone(), version, routes, grants }, confirm) {
            debug!(%session, %revision, granted, "snapshot pushed");
        }
    }
}

/// Goes once through the table.
fn fill(state: &State, slices: &mut BTreeMap<SessionId, Slice>) {
    for ((route, name), topic) in state.topics() {
        for (partition, slot) in state.slots_of(route, name) {
            let Some(slice) = slot.life.owner().and_then(|(session, _)| slices.get_mut(&session)) else { continue };
            match (slot.life, topic.facts) {
                (Life::Assigned { epoch, .. }, Some(facts)) => {
                    slice.routes.insert(route.clone());
                    slice.grants.push(Grant {
                        partition: partition.clone(),
                        epoch,
                        target_topic: topic.target.clone(),
                        source_topic_id: facts.source_topic_id,
                        target_topic_id: facts.target_topic_id,
                        start: slot.start,
                        accept_foreign_offset: slot.accepts(epoch),
                    });
                }
                (Life::Releasing { since, .. }, _) => slice.confirm = slice.confirm.max(Some(since)),
                _ => {}
            }
        }
    }
}
