//! What a keeper looks at before it stores anything: topics, their settings, what the source holds.

use std::collections::BTreeMap;

use common::ids::{TopicId, TopicName};
use common::offsets::{NextOffset, Position, StartPosition};
use common::reason::{Reason, Side};
use kafka::admin::{ClusterAdmin, OffsetQuery, TopicDescription};
use kafka::error::{Error, ErrorKind};
use tokio::time::Instant;

use crate::engine::keeper::judge::Start;
use crate::engine::keeper::{Case, Keeper, LIMITS_GOOD_FOR, unreachable};
use crate::engine::ledger::{Ask, SourceRange, Verdict};
use crate::engine::limits::Limits;

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
                    Ok(found) => obstacle(side, found, expected, case.source.partition.0).map(Verdict::Obstacle),
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
            case.verdict.is_none() && (!good || case.question.fresh_limits)
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

    /// Fills in what the source holds, and where claims start that had to be looked up.
    pub(super) fn look_at_source(&self, cases: &mut [Case<'_>], starts: &[Start]) -> Result<(), Reason> {
        let mut starts = starts.iter();
        let mut queries = Vec::new();
        for case in cases.iter().filter(|case| case.verdict.is_none()) {
            let start = match case.question.ask {
                Ask::Claim => Some(starts.next().expect("a start for each claim without a verdict")),
                Ask::Keep(_) => None,
            };
            for query in [OffsetQuery::Earliest, OffsetQuery::LastStable, OffsetQuery::HighWatermark] {
                queries.push((case.source.clone(), query));
            }
            if let Some(Start::LookUp(start)) = start {
                queries.push((case.source.clone(), query_of(*start)));
            }
        }
        if queries.is_empty() {
            return Ok(());
        }
        let answers = self.source.offsets(&queries).map_err(|error| unreachable(Side::Source, &error))?;
        let mut answers = answers.into_iter();
        for case in cases.iter_mut().filter(|case| case.verdict.is_none()) {
            let mut next = || answers.next().expect("one answer for each query");
            let (start, last_stable, high_watermark) = (next(), next(), next());
            let looked_up = match (case.question.ask, case.store) {
                (Ask::Claim, None) => Some(next()),
                _ => None,
            };
            match (start, last_stable, high_watermark) {
                (Ok(start), Ok(last_stable), Ok(high_watermark)) => {
                    case.range = Some(SourceRange { start, last_stable, high_watermark });
                }
                (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                    tracing::debug!(partition = %case.source, %error, "offsets of a source partition not read");
                    if case.question.ask == Ask::Claim {
                        case.verdict = Some(Verdict::Unanswered(unreachable(Side::Source, &error)));
                    }
                }
            }
            if case.question.ask == Ask::Claim && case.verdict.is_none() {
                self.settle_start(case, looked_up);
            }
        }
        Ok(())
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

fn query_of(start: StartPosition) -> OffsetQuery {
    match start {
        StartPosition::Earliest => OffsetQuery::Earliest,
        StartPosition::Latest => OffsetQuery::LastStable,
        StartPosition::Time(ms) => OffsetQuery::Time(ms),
    }
}

/// What is wrong with a topic that exists.
fn obstacle(side: Side, found: &TopicDescription, expected: TopicId, partition: u32) -> Option<Reason> {
    if expected.contradicts(found.id) {
        return Some(Reason::TopicRecreated { side, expected, found: found.id });
    }
    if partition >= found.partitions {
        return Some(match side {
            Side::Source => Reason::TopicMissing { side },
            Side::Target => Reason::TooFewPartitions { source: partition + 1, target: found.partitions },
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
