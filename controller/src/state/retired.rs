//! What removed routes left behind on their sources: consumer groups that are still to be deleted.
//!
//! ```text
//! RemoveRoute --last slot gone--> retired --the leader deleted the group--> OffsetsDeleted: forgotten
//!                                    |
//!                                    +--RemoveRoute {keep_offsets}--> forgotten, the group stays
//! ```
//!
//! While a route is retired its name can't be used again and its source can't be removed: the next route of the name
//! stores its offsets in the same group.

use common::ids::{ClusterName, Revision, RouteName};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};

/// The offsets of a removed route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Retired {
    /// The incarnation of the route that was.
    pub incarnation: Revision,
    /// The cluster that holds them.
    pub source: ClusterName,
    /// The consumer group they stand under.
    pub group: String,
}

impl Retired {
    /// Refuses what has to wait until they are gone.
    pub(super) fn pending(&self, route: &RouteName) -> Rejection {
        Rejection::OffsetsPending { route: route.clone(), cluster: self.source.clone() }
    }
}

impl State {
    /// Removes a route that is removed already: it may leave its offsets behind after all.
    pub(super) fn remove_retired(
        &mut self,
        stamp: &Stamp,
        route: &RouteName,
        keep_offsets: bool,
    ) -> Result<Effect, Rejection> {
        if !self.retired.contains_key(route) {
            return Err(Rejection::UnknownRoute(route.clone()));
        }
        if !keep_offsets {
            return Ok(Effect::Exists);
        }
        self.forget_retired(stamp, route, "are left")
    }

    /// Forgets a route whose offsets are gone.
    pub(super) fn offsets_deleted(
        &mut self,
        stamp: &Stamp,
        route: &RouteName,
        incarnation: Revision,
    ) -> Result<Effect, Rejection> {
        if self.retired.get(route).is_none_or(|retired| retired.incarnation != incarnation) {
            return Err(Rejection::UnknownRoute(route.clone()));
        }
        self.forget_retired(stamp, route, "were deleted")
    }

    fn forget_retired(&mut self, stamp: &Stamp, route: &RouteName, what: &str) -> Result<Effect, Rejection> {
        let retired = self.retired.remove(route).ok_or_else(|| Rejection::UnknownRoute(route.clone()))?;
        self.tell_of_offsets(stamp, route, &retired, what);
        Ok(Effect::Done)
    }

    /// Records what becomes of a removed route's offsets.
    pub(super) fn tell_of_offsets(&mut self, stamp: &Stamp, route: &RouteName, retired: &Retired, what: &str) {
        let Retired { source, group, .. } = retired;
        let text = format!("the offsets of removed route {route} (group {group} on cluster {source}) {what}");
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_route(route));
    }
}
