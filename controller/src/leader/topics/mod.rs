//! Watches the topics of both clusters, makes the target's fit, and puts what it saw into the table.
//!
//! ```text
//! every few seconds, and when the table has a topic nobody looked at, each route by itself, where it may wait:
//!
//!   view (the table) --look--> source topics --filter--> describe both sides, read stored offsets
//!                                                              |
//!                                                        decide (pure): copy | create | grow | wait
//!                                                              |
//!                         ReportTopics, events, SurveyRoute <--+
//! ```
//!
//! - A failing cluster pauses nothing: what is known stays, the failure is kept for people to see, and no other route
//!   waits for it. One look creates and grows topics for a bounded time, then reports; the next goes on.
//! - A target topic that was deleted is never created again by itself, and one that others made is never grown.
//! - The route's start counts for the partitions of the first complete look, and only if the group held no offset
//!   then; whatever comes later starts at the earliest record, else `latest` would lose what arrived between.
//! - An admin call that a cluster lacks is done without, with a note.

mod clusters;
pub mod configs;
pub mod decide;
#[cfg(test)]
mod decide_test;
mod filter;
mod look;
#[cfg(test)]
mod topics_test;
mod view;

use std::sync::Arc;
use std::time::Duration;

use common::blocking::call;
use common::ids::{Revision, RouteName};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::context::Context;
use super::each_route::{self, Incarnation, each_route};
use super::entries::entries;
use super::tasks::End;
use crate::state::command::{Finding, TopicReport};
use crate::state::{Command, Effect, Outcome, State};
use look::{Look, Looker};
use view::{RouteView, Wishes};

pub use clusters::ClusterAccess;
pub use filter::TopicMatcher;

/// The pause before the next look where the last one changed something, which a cluster shows a moment later.
const AFTER_CHANGE: Duration = Duration::from_millis(100);

/// The longest pause after looks that failed, which double it.
const AFTER_FAILURE_MAX: Duration = Duration::from_secs(8);

/// Watches each route of the table.
pub(crate) async fn run(context: Context, access: Arc<dyn ClusterAccess>) -> Option<End> {
    each_route(&context, each_route::all, |route| watch(context.clone(), access.clone(), route)).await
}

/// Watches one route until it is gone.
async fn watch(context: Context, access: Arc<dyn ClusterAccess>, (route, incarnation): Incarnation) -> Option<End> {
    let mut looker = Looker::new(access.clone(), context.config.may_have_rival);
    let mut revisions = context.log.revisions();
    let mut failures = 0;
    loop {
        revisions.mark_unchanged();
        let (view, wishes) = {
            let state = context.log.read();
            (RouteView::of(&state, &route, incarnation), RouteView::wishes(&state, &route))
        };
        let Some(view) = view else {
            context.troubles.clear(&route);
            return None;
        };
        let looked = call(&*access, move || {
            let look = looker.look(&view);
            (looker, look)
        });
        let look;
        (looker, look) = looked.await.expect("a look does not panic");
        let pause = match look {
            Ok(look) => {
                failures = 0;
                context.troubles.clear(&route);
                let again = look.again;
                if let Err(end) = report(&context, &route, incarnation, look).await {
                    return Some(end);
                }
                if again { AFTER_CHANGE } else { context.config.topics_interval }
            }
            Err(error) => {
                context.troubles.note(&route, "looking at the topics", error);
                let pause = context.config.topics_interval * 2u32.pow(failures);
                failures = (failures + 1).min(8);
                pause.min(AFTER_FAILURE_MAX)
            }
        };
        // What is wished for from now on is looked at without delay, and yet no round follows another at once.
        let open = &wishes & &RouteView::wishes(&context.log.read(), &route);
        sleep(pause.min(AFTER_CHANGE)).await;
        let wish = async {
            while !is_awaited(&context.log.read(), &route, incarnation, &open) {
                if revisions.changed().await.is_err() {
                    return;
                }
            }
        };
        let _elapsed = timeout(pause.saturating_sub(AFTER_CHANGE), wish).await;
    }
}

/// Whether a look has something to do that the last one knew nothing of, or the route is going.
fn is_awaited(state: &State, route: &RouteName, incarnation: Revision, open: &Wishes) -> bool {
    let is_there = state.routes().get(route).is_some_and(|found| found.incarnation == incarnation && !found.leaving);
    !is_there || !RouteView::wishes(state, route).is_subset(open)
}

/// Puts a look into the table.
async fn report(context: &Context, route: &RouteName, incarnation: Revision, look: Look) -> Result<(), End> {
    let Look { reports, events, is_complete, .. } = look;
    if !events.is_empty() {
        for event in &events {
            info!(%route, topic = event.topic.as_ref().map(tracing::field::display), "{}", event.text);
        }
        for entry in entries(events, |_| 1) {
            context.propose_or_log(Command::RecordEvents(entry)).await?;
        }
    }
    for TopicReport { topic, finding, .. } in &reports {
        match finding {
            Finding::Waiting(reason) => warn!(%route, %topic, %reason, "topic waits"),
            Finding::Ready { beyond: Some(reason), .. } => {
                warn!(%route, %topic, %reason, "partitions beyond the target's wait");
            }
            Finding::Ready { beyond: None, .. } => {}
        }
    }
    let mut all_stand = true;
    for entry in entries(reports, weight) {
        let outcome = context.propose_or_log(Command::ReportTopics(entry)).await?;
        all_stand &= outcome.is_some();
        if let Some(Outcome { effect: Effect::Batch { refused, .. }, .. }) = outcome {
            for refused in refused {
                warn!(%route, reason = %refused.rejection, "a report on a topic was refused");
            }
        }
    }
    let surveyed = context.log.read().routes().get(route).is_none_or(|route| route.surveyed);
    if is_complete && all_stand && !surveyed {
        context.propose_or_log(Command::SurveyRoute { route: route.clone(), incarnation }).await?;
    }
    Ok(())
}

/// How much an entry of the log takes of a report.
fn weight(report: &TopicReport) -> usize {
    match &report.finding {
        Finding::Ready { new_partitions, .. } => 1 + new_partitions.len(),
        Finding::Waiting(_) => 1,
    }
}
