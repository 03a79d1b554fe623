//! One task for each route, so that a cluster that hangs holds up no other route.

use std::collections::BTreeSet;
use std::future::Future;

use common::ids::{Revision, RouteName};

use super::context::Context;
use super::tasks::{End, Tasks};
use crate::state::State;

/// A route and its incarnation.
pub(crate) type Incarnation = (RouteName, Revision);

/// Runs a task for each route that `which` names from the moment it does. The task ends by itself once the route is gone.
pub(crate) async fn each_route<T>(
    context: &Context,
    which: impl Fn(&State) -> BTreeSet<Incarnation>,
    task: impl Fn(Incarnation) -> T,
) -> Option<End>
where
    T: Future<Output = Option<End>> + Send + 'static,
{
    let mut known = BTreeSet::new();
    let mut tasks = Tasks::default();
    let mut revisions = context.log.revisions();
    loop {
        revisions.mark_unchanged();
        let named = which(&context.log.read());
        for route in named.difference(&known) {
            tasks.spawn(task(route.clone()));
        }
        known = named;
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { return Some(End::NotLeader) },
            end = tasks.ended() => return Some(end),
        }
    }
}

/// Every route of the table.
pub(crate) fn all(state: &State) -> BTreeSet<Incarnation> {
    state.routes().iter().map(|(name, route)| (name.clone(), route.incarnation)).collect()
}
