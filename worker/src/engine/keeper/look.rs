//! What a keeper looks at before it stores anything: topics, their settings, what the source holds.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{TopicId, TopicName, TopicPartition};
use common::offsets::{NextOffset, Position, StartPosition};
use common::reason::{Reason, Side};
use kafka::admin::{ClusterAdmin, OffsetQuery, TopicDescription};
use kafka::error::{Error, ErrorKind};
use tokio::time::Instant;

use crate::engine::keeper::judge::Start;
use crate::engine::keeper::{Case, Keeper, LIMITS_GOOD_FOR, unreachable};
use crate::engine::ledger::{Ask, SourceRange, Verdict};
use crate::engine::limits::Limits;

/// A look that takes longer is slow …
const SLOW_LOOK: Duration = Duration::from_millis(500);
/// … and is repeated only after this many times as long.
const SLOW_LOOK_REST: u32 = 10;

impl Keeper {
    /// Gives a verdict to each case whose topics are missing, denied, too small, or others than the grant speaks of.
    pub(super) fn look_at_topics(&self, cases: &mut [Case<'_>]) -> Result<(), Reason> {
        let sources = describe(self.source.as_ref(), cases.iter().map(|case| &case.source.topic));
        let targets = describe(self.target.as_ref(), cases.iter().map(|case| &case.question.grant.target_topic));
        let sources = sources.map_err(|error| unreachable(Side::Source, &error))?;
        let targets = targets.map_err(|error| unreachable(Side::Target, &error))?;
        for case in cases.iter_mut() {
            let grant = &case.question.grant;
            let looks = [
                (Side::Source, &sources[&case.source.topic], grant.source_topic_id),
                (Side::Target, &targets[&grant.target_topic], grant.target_topic_id),
            ];
            for (side, description, expected) in looks {
                let verdict = match description {
                    Ok(found) => obstacle(side, found, expected, &grant.target()).map(Verdict::Obstacle),
                    Err(error) => Some(match error.kind {
                        ErrorKind::UnknownTopic => Verdict::Obstacle(Reason::TopicMissing { side }),
                        ErrorKind::TopicDenied => Verdict::Obstacle(Reason::Denied { side }),
                        _ => Verdict::Unanswered(unreachable(side, error)),
                    }),
                };
                case.verdict = case.verdict.take().or(verdict);
            }
        }
        Ok(())
    }

    /// Fills in what the target topics refuse. What can't be found out keeps its last known answer.
    pub(super) fn look_at_limits(&mut self, cases: &mut [Case<'_>], now: Instant) {
        let stale = |case: &&Case<'_>| {
            let known = self.limits.get(&case.question.grant.target_topic);
            let good = known.is_some_and(|(at, _)| now.saturating_duration_since(*at) < LIMITS_GOOD_FOR);
            case.verdict.is_none() && (!good || case.question.closely)
        };
        let mut topics: Vec<TopicName> =
            cases.iter().filter(stale).map(|case| case.question.grant.target_topic.clone()).collect();
        topics.sort();
        topics.dedup();
        if !topics.is_empty() {
            match self.target.topic_configs(&topics) {
                Ok(configs) => {
                    for (topic, configs) in topics.into_iter().zip(configs) {
                        if let Ok(configs) = configs {
                            self.limits.insert(topic, (now, Limits::read(&configs)));
                        }
                    }
                }
                Err(error) if error.kind == ErrorKind::Unsupported => {
                    self.limits.extend(topics.into_iter().map(|topic| (topic, (now, Limits::NONE))));
                }
                Err(error) => tracing::debug!(%error, "settings of target topics not read, the last known stand"),
            }
        }
        for case in cases.iter_mut() {
            case.limits = self.limits.get(&case.question.grant.target_topic).map(|(_, limits)| *limits);
        }
    }

    /// Finds where claims start that have no stored offset, and whether the source still has what comes next.
    pub(super) fn look_for_starts(&self, cases: &mut [Case<'_>], starts: &[Start]) -> Result<(), Reason> {
        let is_claim = |case: &Case<'_>| case.verdict.is_none() && case.question.ask == Ask::Claim;
        let mut queries = Vec::new();
        for (case, start) in cases.iter().filter(|case| is_claim(case)).zip(starts) {
            queries.extend(RANGE.map(|query| (case.source.clone(), query)));
            if let Start::LookUp(start) = start {
                queries.push((case.source.clone(), query_of(*start)));
            }
        }
        if queries.is_empty() {
            return Ok(());
        }
        let answers = self.source.offsets(&queries).map_err(|error| unreachable(Side::Source, &error))?;
        let mut answers = answers.into_iter();
        for (case, start) in cases.iter_mut().filter(|case| is_claim(case)).zip(starts) {
            let range = range_of(&mut answers);
            let looked_up = matches!(start, Start::LookUp(_)).then(|| answers.next().expect("one for each query"));
            match range {
                Ok(range) => {
                    case.range = Some(range);
                    self.settle_start(case, looked_up);
                }
                Err(error) => case.verdict = Some(Verdict::Unanswered(unreachable(Side::Source, &error))),
            }
        }
        Ok(())
    }

    /// Fills in what the source holds of the partitions that are kept. A look that took long is not repeated soon.
    pub(super) fn look_at_lag(&mut self, cases: &mut [Case<'_>], now: Instant) {
        let due = self.look_due.is_none_or(|due| now >= due);
        let wants = |case: &Case<'_>| {
            case.range.is_none() && matches!(case.verdict, Some(Verdict::Stored(_))) && (due || case.question.closely)
        };
        let wanted = cases.iter().filter(|case| wants(case));
        let queries: Vec<_> = wanted.flat_map(|case| RANGE.map(|query| (case.source.clone(), query))).collect();
        if queries.is_empty() {
            return;
        }
        let began = Instant::now();
        let answers = self.source.offsets(&queries);
        let took = began.elapsed();
        if due {
            self.look_due = (took > SLOW_LOOK).then(|| now + took * SLOW_LOOK_REST);
        }
        match answers {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for case in cases.iter_mut().filter(|case| wants(case)) {
                    case.range = range_of(&mut answers).ok();
                }
            }
            Err(error) => tracing::debug!(%error, "what the source holds was not read"),
        }
    }

    fn settle_start(&self, case: &mut Case<'_>, looked_up: Option<Result<NextOffset, Error>>) {
        match looked_up {
            Some(Ok(offset)) => case.store = Some(Position::at(offset)),
            Some(Err(error)) => {
                case.verdict = Some(Verdict::Unanswered(unreachable(Side::Source, &error)));
                return;
            }
            None => {}
        }
        let position = case.store.expect("a claim starts somewhere");
        if let Some(reason) = case.out_of_range(position.next_offset) {
            case.verdict = Some(Verdict::Obstacle(reason));
        }
    }
}

/// The queries that make a `SourceRange`.
const RANGE: [OffsetQuery; 3] = [OffsetQuery::Earliest, OffsetQuery::LastStable, OffsetQuery::HighWatermark];

/// The range in the next answers to `RANGE`.
fn range_of(answers: &mut impl Iterator<Item = Result<NextOffset, Error>>) -> Result<SourceRange, Error> {
    let [start, last_stable, high_watermark] = RANGE.map(|_| answers.next().expect("one answer for each query"));
    Ok(SourceRange { start: start?, last_stable: last_stable?, high_watermark: high_watermark? })
}

fn query_of(start: StartPosition) -> OffsetQuery {
    match start {
        StartPosition::Earliest => OffsetQuery::Earliest,
        StartPosition::Offset(_) => unreachable!("a known offset is not looked up"),
        StartPosition::Latest => OffsetQuery::LastStable,
        StartPosition::Time(ms) => OffsetQuery::Time(ms),
    }
}

/// What is wrong with a topic that exists. `target` is the partition to write, which has the number of the one to read.
fn obstacle(side: Side, found: &TopicDescription, expected: TopicId, target: &TopicPartition) -> Option<Reason> {
    if expected.contradicts(found.id) {
        return Some(Reason::TopicRecreated { side, expected, found: found.id });
    }
    let needed = target.partition.0 + 1;
    if needed > found.partitions {
        let topic = target.topic.clone();
        return Some(match side {
            Side::Source => Reason::TopicMissing { side },
            Side::Target => Reason::TooFewPartitions { topic, source: needed, target: found.partitions },
        });
    }
    let allowed = match side {
        Side::Source => found.may_read,
        Side::Target => found.may_write,
    };
    (!allowed).then_some(Reason::Denied { side })
}

/// Describes each topic once. A cluster that can't describe topics is believed to have them all.
fn describe<'a>(
    admin: &dyn ClusterAdmin,
    topics: impl Iterator<Item = &'a TopicName>,
) -> Result<BTreeMap<TopicName, Result<TopicDescription, Error>>, Error> {
    let mut topics: Vec<TopicName> = topics.cloned().collect();
    topics.sort();
    topics.dedup();
    let descriptions = match admin.describe_topics(&topics) {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            let unknown = TopicDescription { id: TopicId::NONE, partitions: u32::MAX, may_read: true, may_write: true };
            topics.iter().map(|_| Ok(unknown.clone())).collect()
        }
        descriptions => descriptions?,
    };
    Ok(topics.into_iter().zip(descriptions).collect())
}
