//! Claims partitions that lost their owner and are to have no other one: paused, removed, or waiting for a fact. Whoever
//! lost them may be cut off from the controllers alone; it looks at the stored offsets once a second, and stops at a
//! greater epoch.
//!
//! ```text
//!  lost, not to be copied: a moment later   a lease later
//!        |                                       |
//!        v                                       v
//!  BeginClaims: an epoch --> look: what is stored? --> it still stands: EndClaims --> look, now and then, while
//!  of the leader's own        ^  a lower pair: store       (what is removed goes)     nobody has the partition
//!                             +--the same offset-+
//! ```
//!
//! - The offset is the one that is stored, with the leader's epoch and session in place of its owner's. It never goes
//!   back: where the lost owner stores an earlier one late, the leader's own stands again. Where no offset is stored there
//!   is nothing to claim.
//! - A pair that is as great or greater is left alone. Kafka can't compare and store in one step, so a claim that is
//!   under way while the partition is granted again may be stored over its new owner's, which repairs that at its next
//!   look like every late commit of an owner before.
//! - A commit of the lost owner that was under way comes after the claim. So the claim is looked at again, and made again.
//! - All follows from the table: another leader goes on where this one was.

mod round;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::blocking::call;
use common::config::ClusterConfig;
use common::ids::{Epoch, RoutePartition};
use common::offsets::Position;
use kafka::error::Error;
use kafka::offsets::OffsetStore;
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::context::Context;
use super::each_route::{self, Incarnation, each_route};
use super::entries::entries;
use super::off_runtime::OffRuntime;
use super::tasks::End;
use super::topics::ClusterAccess;
use crate::state::{ClaimBegin, ClaimEnd, ClaimOutcome, Command, Effect, Outcome};
use round::{Claim, Found, Round};
use view::{Open, View};

/// How long what was lost is left to its worker before it is claimed: one that starts anew takes its own place within it.
const CLAIM_AFTER: Duration = Duration::from_secs(1);
/// How often claims that are not ended are looked at: a worker looks and stores once a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often ended ones are. A worker that was stopped in the middle of a store may store an hour later.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long the claim of a partition that is to be removed is tried: a cluster that is gone must not keep its routes.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Looks after the claims of each route.
pub(crate) async fn run(context: Context, access: Arc<dyn ClusterAccess>) -> Option<End> {
    each_route(&context, each_route::all, |route| RouteClaims::new(&context, &access, route).attend()).await
}

/// The claims of one route, and what this leader saw of them.
struct RouteClaims {
    context: Context,
    access: Arc<dyn ClusterAccess>,
    route: Incarnation,
    store: OffRuntime<Box<dyn OffsetStore>>,
    seen: BTreeMap<(RoutePartition, Epoch), Seen>,
    look_due: Instant,
}

/// What was seen of a partition.
#[derive(Default)]
struct Seen {
    /// Since when it is lost, or its claim is begun.
    since: Option<Instant>,
    /// Since when its claim stands, or there is nothing to claim.
    stands_since: Option<Instant>,
    /// The furthest that it was claimed at.
    furthest: Option<Position>,
}

impl RouteClaims {
    fn new(context: &Context, access: &Arc<dyn ClusterAccess>, route: Incarnation) -> Self {
        let (store, seen, look_due) = (OffRuntime::new(access.clone()), BTreeMap::new(), Instant::now());
        Self { context: context.clone(), access: access.clone(), route, store, seen, look_due }
    }

    /// Looks after them until the route is gone.
    async fn attend(mut self) -> Option<End> {
        let mut revisions = self.context.log.revisions();
        loop {
            revisions.mark_unchanged();
            let view = View::of(&self.context.log.read(), &self.route);
            let Some(view) = view else {
                self.context.claim_troubles.clear(&self.route.0);
                return None;
            };
            self.remember(&view);
            // Nothing to be done soon: a change of the table, or time, brings more.
            let patience = match (view.is_empty(), view.is_at_rest()) {
                (true, _) => Duration::MAX,
                (false, true) => LOOK_AGAIN,
                (false, false) => Duration::ZERO,
            };
            match self.work(view).await {
                Ok(true) => continue,
                Ok(false) => sleep(LOOK_EVERY).await,
                Err(end) => return Some(end),
            }
            if let Ok(Err(_)) = timeout(patience, revisions.changed()).await {
                return Some(End::NotLeader);
            }
        }
    }

    /// Keeps in mind since when each partition is looked after, and forgets those that are not any more.
    fn remember(&mut self, view: &View) {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.seen);
        for key in view.keys() {
            let entry = before.remove(&key).unwrap_or_default();
            self.seen.insert(key, Seen { since: entry.since.or(Some(now)), ..entry });
        }
    }

    /// Begins the claims that are due, and looks at those that are begun. Returns whether there are new ones to look at.
    async fn work(&mut self, view: View) -> Result<bool, End> {
        if view.is_empty() {
            // What was connected for the claims is no longer needed.
            self.store.clear();
            self.context.claim_troubles.clear(&self.route.0);
        }
        let now = Instant::now();
        if !view.open.is_empty() && (!view.is_at_rest() || now >= self.look_due) {
            self.look_due = now + LOOK_AGAIN;
            let found = self.look((view.source, view.group), &view.open).await;
            for ends in entries(self.ends(&view.open, found), |_| 1) {
                self.context.propose_or_log(Command::EndClaims(ends)).await?;
            }
        }
        let is_due = |begin: &ClaimBegin| {
            lasted(self.seen[&(begin.partition.clone(), begin.planned_on)].since, now, CLAIM_AFTER)
        };
        let due: Vec<ClaimBegin> = view.owed.into_iter().filter(is_due).collect();
        let mut is_begun = false;
        for begins in entries(due, |_| 1) {
            let outcome = self.context.propose_or_log(Command::BeginClaims(begins)).await?;
            let applied = |outcome: Outcome| matches!(outcome.effect, Effect::Batch { applied, .. } if applied > 0);
            is_begun |= outcome.is_some_and(applied);
        }
        Ok(is_begun)
    }

    /// Looks at what is stored, where waiting holds nobody up, and stores the claims that do not stand.
    async fn look(&mut self, (source, group): (ClusterConfig, String), open: &[Open]) -> Result<Vec<Found>, Error> {
        let claim = |open: &Open| {
            let furthest = self.seen[&open.key()].furthest;
            Claim { partition: open.partition.clone(), epoch: open.epoch, furthest }
        };
        let round = Round::new(&self.context, &self.route, open.iter().map(claim).collect());
        let (access, connected) = (self.access.clone(), self.store.take());
        let looked = call(&*self.access, move || {
            let mut store = match connected {
                Some(store) => store,
                None => access.offsets(&source, &group)?,
            };
            let found = round.run(&mut *store);
            Ok((store, found))
        });
        let (connected, found) = looked.await.expect("a request to a cluster does not panic")?;
        self.store.put(connected);
        found
    }

    /// The claims that have ended.
    fn ends(&mut self, open: &[Open], found: Result<Vec<Found>, Error>) -> Vec<ClaimEnd> {
        let now = Instant::now();
        let found = found.unwrap_or_else(|error| vec![Found::Failed(error); open.len()]);
        let (mut ends, mut trouble) = (Vec::new(), None);
        for (open, found) in open.iter().zip(found) {
            let seen = self.seen.get_mut(&open.key()).expect("all that is open is kept in mind");
            let stands = match found {
                Found::Stands(position) => {
                    seen.reached(position);
                    Some(ClaimOutcome::Stands(position.next_offset))
                }
                Found::Nothing => Some(ClaimOutcome::NothingStored),
                Found::Stored(position) => {
                    seen.reached(position);
                    let RoutePartition { route, topic, partition } = &open.partition;
                    info!(%route, %topic, %partition, epoch = %open.epoch, "claimed: its owner did not give it back");
                    None
                }
                Found::Failed(error) => {
                    trouble = Some(error);
                    None
                }
            };
            seen.stands_since = stands.and(seen.stands_since.or(Some(now)));
            let outcome = match stands {
                Some(ClaimOutcome::NothingStored) if open.is_leaving => stands,
                Some(_) if lasted(seen.stands_since, now, self.context.config.lease) => stands,
                None if open.is_leaving && lasted(seen.since, now, GIVE_UP_AFTER) => Some(ClaimOutcome::GivenUp),
                _ => None,
            };
            if let Some(outcome) = outcome.filter(|_| !open.has_ended) {
                ends.push(ClaimEnd { partition: open.partition.clone(), epoch: open.epoch, outcome });
            }
        }
        match trouble {
            Some(error) => self.context.claim_troubles.note(&self.route.0, "claiming partitions", error),
            None => self.context.claim_troubles.clear(&self.route.0),
        }
        ends
    }
}

impl Seen {
    /// The claim was found or stored at a position.
    fn reached(&mut self, position: Position) {
        let is_further = |known: &Position| known.next_offset >= position.next_offset;
        self.furthest = self.furthest.filter(is_further).or(Some(position));
    }
}

/// Whether something lasts for so long.
fn lasted(since: Option<Instant>, now: Instant, time: Duration) -> bool {
    since.is_some_and(|since| now.saturating_duration_since(since) >= time)
}

#[cfg(test)]
mod claims_test;
