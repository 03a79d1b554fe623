//! Deletes the consumer groups that removed routes left behind on their sources.
//!
//! Each in a task of its own, so that a cluster that hangs holds up no other, and again until it succeeds or an operator
//! says that the offsets stay. A worker that is cut off from its leader and just between its look and its store brings the
//! group back, and would go on for ever with its own offset in sight; so the group is looked at again a little later, unless
//! a route has the name by then. What a lost session stores even later bears the incarnation of the removed route, which no
//! other accepts: see `docs/design/choices.md`.

use std::sync::Arc;
use std::time::Duration;

use common::blocking::call;
use common::config::ClusterConfig;
use common::ids::{Revision, RouteName};
use kafka::error::Error;
use tokio::time::sleep;
use tracing::warn;

use super::context::Context;
use super::each_route::{Incarnation, each_route};
use super::tasks::End;
use super::topics::ClusterAccess;
use crate::state::{Command, State};

/// The pause after a failure. Nothing waits for the deletion but a route of the same name.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long after a deletion the group is looked at: a worker looks and stores once a second.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Looks after each route that was removed.
pub(crate) async fn run(context: Context, access: Arc<dyn ClusterAccess>) -> Option<End> {
    let retired =
        |state: &State| state.retired().iter().map(|(route, retired)| (route.clone(), retired.incarnation)).collect();
    each_route(&context, retired, |route| delete(context.clone(), access.clone(), route)).await
}

/// Deletes one group.
async fn delete(context: Context, access: Arc<dyn ClusterAccess>, (route, incarnation): Incarnation) -> Option<End> {
    loop {
        let found = find(&context.log.read(), &route, incarnation);
        let Some((source, group)) = found else {
            context.troubles.clear(&route);
            return None;
        };
        match delete_group(&access, source.clone(), group.clone()).await {
            Ok(()) => {
                let command = Command::OffsetsDeleted { route: route.clone(), incarnation };
                if let Err(end) = context.propose_or_log(command).await {
                    return Some(end);
                }
                context.troubles.clear(&route);
                delete_late_offsets(&context, &access, &route, (source, group)).await;
            }
            Err(error) => {
                context.troubles.note(&route, "deleting the offsets of a removed route", error);
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Deletes a group again for as long as somebody stores under it, and no route has the name.
async fn delete_late_offsets(
    context: &Context,
    access: &Arc<dyn ClusterAccess>,
    route: &RouteName,
    (source, group): (ClusterConfig, String),
) {
    loop {
        sleep(LOOK_AGAIN).await;
        let look = {
            let (clusters, source, group) = (access.clone(), source.clone(), group.clone());
            move || clusters.offsets(&source, &group)?.read_all()
        };
        let stored = call(&**access, look).await.expect(NO_PANIC);
        let is_named = {
            let state = context.log.read();
            state.routes().contains_key(route) || state.retired().contains_key(route)
        };
        match stored {
            _ if is_named => return,
            Ok(stored) if stored.is_empty() => return,
            Ok(_) => {}
            Err(_) => continue,
        }
        if let Err(error) = delete_group(access, source.clone(), group.clone()).await {
            warn!(%route, group, %error, "a worker that is cut off stored offsets of a removed route, and they stay");
        }
    }
}

async fn delete_group(access: &Arc<dyn ClusterAccess>, source: ClusterConfig, group: String) -> Result<(), Error> {
    let clusters = access.clone();
    call(&**access, move || clusters.admin(&source)?.delete_group(&group)).await.expect(NO_PANIC)
}

const NO_PANIC: &str = "a request to a cluster does not panic";

/// Where the group is, if it is still to be deleted.
fn find(state: &State, route: &RouteName, incarnation: Revision) -> Option<(ClusterConfig, String)> {
    let retired = state.retired().get(route).filter(|retired| retired.incarnation == incarnation)?;
    Some((state.clusters().get(&retired.source)?.clone(), retired.group.clone()))
}
