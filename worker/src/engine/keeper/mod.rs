//! The keeper of a route's offsets: makes claims and stores floors on behalf of the route's lanes, since both take
//! requests that may wait.
//!
//! Owns: the order of looking and storing. A floor is stored only after both topics were found to be the ones the grant
//! speaks of and nobody was found to have taken over, all looked at *after* the floor was reached. Never does: touch
//! records, decide which partitions run.
//!
//! ```text
//! questions -> topics of both sides -> stored offsets -> judge -> where claims start -> store -> read claims back
//!              missing, denied,        greater pair               out of range
//!              re-created                                                        then, for lag alone:
//!                  `------------------------`-----------------------`-> Obstacle   what the source holds
//! ```
//!
//! Kafka can't compare and store in one step. Where the look is older than a heartbeat by the time of the store (a machine
//! that was suspended, a stopped process, a slow cluster), the stored offsets are looked at once more.
//!
//! Any request that fails leaves its questions `Unanswered`: the lane asks again, which is always harmless. What is only
//! looked up for people to see comes last and, where it is slow, seldom: a broker that does not answer must not keep the
//! offsets of all others from being stored.

mod desk;
mod judge;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::assignment::Grant;
use common::bug::{self, Bug};
use common::config::RouteConfig;
use common::identity::{Identity, Owner, StoredBy, StoredOffset};
use common::ids::{SessionId, TopicName, TopicPartition};
use common::offsets::{NextOffset, Position};
use common::reason::{Reason, Side};
use kafka::admin::ClusterAdmin;
use kafka::error::{Error, ErrorKind};
use kafka::offsets::{GroupOffset, OffsetStore};
use tokio::time::Instant;

use crate::crash_point;
pub use crate::engine::keeper::desk::LedgerHandle;
pub(crate) use crate::engine::keeper::desk::{Desk, Exchange};
use crate::engine::keeper::judge::{Keep, Start, Terms};
use crate::engine::ledger::{Answer, Ask, Question, SourceRange, Verdict};
use crate::engine::limits::Limits;
use crate::moment::Moment;
use crate::say::say;
use crate::tether::Tether;

/// How long a stored offset that does not move is left alone. Brokers forget offsets that nobody stores again
/// (`offsets.retention.minutes`, a week by default); storing once in ten minutes is next to nothing.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// How long a look at a target topic's settings is good for, unless a lane wants a fresh one.
const LIMITS_GOOD_FOR: Duration = Duration::from_secs(10);

/// Makes claims and stores floors for one route.
pub struct Keeper {
    route: RouteConfig,
    session: SessionId,
    tether: Arc<Tether>,
    source: Arc<dyn ClusterAdmin>,
    target: Arc<dyn ClusterAdmin>,
    offsets: Box<dyn OffsetStore>,
    /// Since when it could not be seen what is stored of a partition.
    blind_since: BTreeMap<TopicPartition, Instant>,
    limits: BTreeMap<TopicName, (Instant, Limits)>,
    stored_at: BTreeMap<TopicPartition, Instant>,
    /// When the source may be looked at again for lag alone.
    look_due: Option<Instant>,
}

/// A question on its way to its answer.
struct Case<'a> {
    question: &'a Question,
    identity: Identity,
    source: TopicPartition,
    limits: Option<Limits>,
    range: Option<SourceRange>,
    /// Whether it was looked at what is stored, and what that is.
    looked: bool,
    stored: Option<StoredOffset>,
    /// What is to be stored, once that is known.
    store: Option<Position>,
    /// The answer, once it is known.
    verdict: Option<Verdict>,
}

impl Keeper {
    /// A keeper of `route`'s offsets that acts for `session`.
    pub fn new(
        route: RouteConfig,
        session: SessionId,
        tether: Arc<Tether>,
        source: Arc<dyn ClusterAdmin>,
        target: Arc<dyn ClusterAdmin>,
        offsets: Box<dyn OffsetStore>,
    ) -> Self {
        let (blind_since, limits, stored_at, look_due) = Default::default();
        Self { route, session, tether, source, target, offsets, blind_since, limits, stored_at, look_due }
    }

    /// Answers questions, in the order asked. Waits for both clusters, up to their request timeouts.
    pub fn answer(&mut self, questions: &[Question], now: Instant) -> Vec<Answer> {
        let mut cases: Vec<Case<'_>> = questions.iter().map(|question| self.case(question)).collect();
        if let Err(reason) = self.work(&mut cases, now) {
            let open = cases.iter_mut().filter(|case| case.verdict.is_none());
            open.for_each(|case| case.verdict = Some(Verdict::Unanswered(reason.clone())));
        }
        cases.iter_mut().for_each(|case| self.stop_if_blind(case, now));
        self.look_at_lag(&mut cases, now);
        let answer = |case: Case<'_>| Answer {
            slot: case.question.slot,
            grant: case.question.grant.clone(),
            verdict: case.verdict.expect("every case is answered or the work failed"),
            limits: case.limits,
            range: case.range,
        };
        cases.into_iter().map(answer).collect()
    }

    /// That nothing could be found out stops nothing by itself; but a worker that no leader keeps may have lost its partitions
    /// long ago, and only the stored offsets can tell: after a lease of neither it stops until it can see again.
    fn stop_if_blind(&mut self, case: &mut Case<'_>, now: Instant) {
        if case.looked || case.question.ask == Ask::Claim {
            self.blind_since.remove(&case.source);
            return;
        }
        let Some(Verdict::Unanswered(reason)) = &case.verdict else { return };
        let since = *self.blind_since.entry(case.source.clone()).or_insert(now);
        let too_long = now.saturating_duration_since(since) >= self.tether.lease();
        if too_long && self.tether.is_detached(Moment::at(now)) {
            case.verdict = Some(Verdict::Obstacle(reason.clone()));
        }
    }

    /// Takes all cases through the steps; those that have a verdict are left out of the next. An error concerns all that
    /// have none.
    fn work(&mut self, cases: &mut [Case<'_>], now: Instant) -> Result<(), Reason> {
        self.look_at_topics(cases)?;
        self.look_at_limits(cases, now);
        let looked = Moment::now();
        let stored = self.read_stored(cases)?;
        let detached = self.tether.is_detached(Moment::at(now));
        let mut starts = Vec::new();
        for (case, stored) in cases.iter_mut().filter(|case| case.verdict.is_none()).zip(stored) {
            let grant = &case.question.grant;
            (case.looked, case.stored) = (true, stored);
            let stored = case.stored.as_ref();
            let last = self.stored_at.get(&case.source);
            let again = last.is_none_or(|at| now.saturating_duration_since(*at) >= STORE_AGAIN_AFTER);
            let outcome = match case.question.ask {
                Ask::Claim => {
                    let terms = Terms {
                        start: grant.start,
                        noted: grant.noted_offset,
                        offsets_since: self.route.offsets_since,
                        accept_foreign: self.route.accept_foreign_offsets || grant.accept_foreign_offset,
                    };
                    judge::claim(&case.identity, stored, terms, detached).map(|start| {
                        let position = if let Start::At(position) = start { Some(position) } else { None };
                        starts.push(start);
                        position
                    })
                }
                Ask::Keep { floor, store } => case.keep(floor, (store, again), detached),
                Ask::Yield { floor } => {
                    case.keep(judge::yielded(&case.identity, stored, floor), (false, again), detached)
                }
            };
            match outcome {
                Ok(store) => case.store = store,
                Err(reason) => case.verdict = Some(Verdict::Obstacle(reason)),
            }
        }
        self.look_for_starts(cases, &starts)?;
        if Moment::now().since(looked) > self.tether.every() {
            self.look_again(cases)?;
        }
        self.store(cases, now)?;
        self.read_claims_back(cases)
    }

    /// The process, or its machine, may have stood still since the look, and somebody else may have stored meanwhile: what was
    /// judged must still stand.
    fn look_again(&mut self, cases: &mut [Case<'_>]) -> Result<(), Reason> {
        let stored = self.read_stored(cases)?;
        for (case, stored) in cases.iter_mut().filter(|case| case.verdict.is_none()).zip(stored) {
            if case.stored != stored {
                let error = "what is stored has changed since it was looked at".to_owned();
                case.verdict = Some(Verdict::Unanswered(Reason::Unreachable { side: Side::Source, error }));
            }
        }
        Ok(())
    }

    fn case<'a>(&self, question: &'a Question) -> Case<'a> {
        let grant = &question.grant;
        Case {
            question,
            identity: self.identity(grant),
            source: grant.partition.source(),
            limits: None,
            range: None,
            looked: false,
            stored: None,
            store: None,
            verdict: None,
        }
    }

    fn identity(&self, grant: &Grant) -> Identity {
        Identity {
            fleet: self.route.fleet.clone(),
            route_incarnation: self.route.incarnation,
            source_topic_id: grant.source_topic_id,
            target_topic_id: grant.target_topic_id,
            owner: Owner { epoch: grant.epoch, session: self.session },
        }
    }

    /// The stored offsets of all undecided cases, in their order.
    fn read_stored(&mut self, cases: &[Case<'_>]) -> Result<Vec<Option<StoredOffset>>, Reason> {
        let undecided = cases.iter().filter(|case| case.verdict.is_none());
        let partitions: Vec<TopicPartition> = undecided.map(|case| case.source.clone()).collect();
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let offsets = self.offsets.read(&partitions).map_err(|error| unreachable(Side::Source, &error))?;
        Ok(offsets.into_iter().map(|offset| offset.map(parse)).collect())
    }

    /// Stores what is to be stored and gives those cases, and those with nothing to store, their verdict.
    fn store(&mut self, cases: &mut [Case<'_>], now: Instant) -> Result<(), Reason> {
        if bug::is(Bug::NoClaim) {
            let claims = cases.iter_mut().filter(|case| case.verdict.is_none() && case.question.ask == Ask::Claim);
            claims.for_each(|case| case.verdict = case.store.map(Verdict::Claimed));
        }
        let stores = |case: &&Case<'_>| case.verdict.is_none() && case.store.is_some();
        let commits: Vec<(TopicPartition, GroupOffset)> = cases.iter().filter(stores).map(Case::commit).collect();
        let outcomes = if commits.is_empty() {
            Vec::new()
        } else {
            crash_point::pass("before-checkpoint");
            let outcomes = match self.offsets.commit(&commits) {
                Ok(outcomes) => outcomes,
                Err(error) if error.kind == ErrorKind::GroupHasMembers => {
                    let refused = |_: &_| Err(error.clone());
                    commits.iter().map(refused).collect()
                }
                Err(error) => return Err(unreachable(Side::Source, &error)),
            };
            crash_point::pass("after-checkpoint");
            outcomes
        };
        let mut outcomes = outcomes.into_iter();
        for case in cases.iter_mut().filter(|case| case.verdict.is_none()) {
            case.verdict = Some(match (case.store, case.question.ask) {
                (Some(position), ask) => match outcomes.next().expect("one outcome for each commit") {
                    Ok(()) => {
                        self.stored_at.insert(case.source.clone(), now);
                        match ask {
                            Ask::Claim => {
                                case.tell_if_forgotten(position);
                                Verdict::Claimed(position)
                            }
                            Ask::Keep { .. } | Ask::Yield { .. } => Verdict::Stored(position.next_offset),
                        }
                    }
                    Err(error) => match error.kind {
                        ErrorKind::GroupHasMembers => Verdict::Obstacle(Reason::GroupHasMembers),
                        ErrorKind::UnknownTopic => Verdict::Obstacle(Reason::TopicMissing { side: Side::Source }),
                        ErrorKind::TopicDenied => Verdict::Obstacle(Reason::Denied { side: Side::Source }),
                        _ => Verdict::Unanswered(unreachable(Side::Source, &error)),
                    },
                },
                (None, _) => unreachable!("a case has something to store or a verdict"),
            });
        }
        Ok(())
    }

    /// A claim counts only once it is read back: another claimer may have stored its own in between.
    fn read_claims_back(&mut self, cases: &mut [Case<'_>]) -> Result<(), Reason> {
        let claimed = |case: &Case<'_>| matches!(case.verdict, Some(Verdict::Claimed(_)));
        let partitions: Vec<_> = cases.iter().filter(|case| claimed(case)).map(|case| case.source.clone()).collect();
        if partitions.is_empty() || bug::is(Bug::NoClaim) {
            return Ok(());
        }
        let stored = self.offsets.read(&partitions);
        let mut stored = stored.map_err(|error| unreachable(Side::Source, &error)).map(Vec::into_iter);
        // Storing takes time, in which the last leader may have given the partition up.
        let detached = self.tether.is_detached(Moment::now());
        for case in cases.iter_mut().filter(|case| claimed(case)) {
            if detached {
                case.verdict = Some(Verdict::Obstacle(judge::begins_nothing()));
                continue;
            }
            let stored = match &mut stored {
                Ok(stored) => stored.next().flatten().map(parse),
                Err(reason) => {
                    case.verdict = Some(Verdict::Unanswered(reason.clone()));
                    continue;
                }
            };
            let position = case.store.expect("a claim stores its position");
            match judge::keep(&case.identity, stored.as_ref(), position, (true, false), false) {
                Ok(Keep::Leave(_)) => {}
                Ok(Keep::Store) => {
                    let error = "the claim was stored over before it could be read back".to_owned();
                    case.verdict = Some(Verdict::Unanswered(Reason::Unreachable { side: Side::Source, error }));
                }
                Err(reason) => case.verdict = Some(Verdict::Obstacle(reason)),
            }
        }
        Ok(())
    }
}

impl Case<'_> {
    /// What is to be stored so that `floor` stands there; if it does, the verdict is clear.
    fn keep(&mut self, floor: Position, wanted: (bool, bool), detached: bool) -> Result<Option<Position>, Reason> {
        Ok(match judge::keep(&self.identity, self.stored.as_ref(), floor, wanted, detached)? {
            Keep::Store => Some(floor),
            Keep::Leave(stored) => {
                self.verdict = Some(Verdict::Stored(stored));
                None
            }
        })
    }

    /// Says it if Kafka has forgotten an offset. What was copied since it was noted is copied again.
    fn tell_if_forgotten(&self, claimed: Position) {
        let Grant { partition, epoch, noted_offset, .. } = &*self.question.grant;
        if self.stored.is_none() && noted_offset.is_some() {
            let offset = claimed.next_offset;
            say!(warn, partition, epoch, %offset, "its stored offset is gone, it goes on where controllers noted it last");
        }
    }

    fn commit(&self) -> (TopicPartition, GroupOffset) {
        let position = self.store.expect("only cases with something to store are committed");
        let stored = StoredOffset { position, stored_by: StoredBy::Us(self.identity.clone()) };
        let offset = GroupOffset {
            next_offset: position.next_offset,
            leader_epoch: position.leader_epoch,
            metadata: stored.metadata(),
        };
        (self.source.clone(), offset)
    }

    /// Whether the source can be read from `position`.
    fn out_of_range(&self, next: NextOffset) -> Option<Reason> {
        let range = self.range?;
        let outside = next < range.start || next > range.high_watermark;
        outside.then_some(Reason::OutOfRange { next, log_start: range.start, log_end: range.high_watermark })
    }
}

fn parse(offset: GroupOffset) -> StoredOffset {
    StoredOffset::parse(offset.next_offset, offset.leader_epoch, &offset.metadata)
}

fn unreachable(side: Side, error: &Error) -> Reason {
    Reason::Unreachable { side, error: error.text.clone() }
}

#[cfg(test)]
#[path = "keeper_test.rs"]
mod tests;
