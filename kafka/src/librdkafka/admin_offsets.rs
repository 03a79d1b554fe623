//! Looking offsets up: which questions fit one request, and whose answer is whose.

use std::collections::BTreeMap;

use common::ids::TopicPartition;
use common::offsets::NextOffset;

use super::clients::partition_number;
use crate::admin::OffsetQuery;
use crate::error::Error;
use crate::ffi::admin::Request;
use crate::ffi::admin_reads::{self, EARLIEST, LATEST, Offsets};
use crate::ffi::code::{Code, Failure};
use crate::ffi::partitions::{Element, PartitionList};

/// What was found for one query.
pub(super) type Found = Result<NextOffset, Failure>;

/// The code of a whole request of whose partitions none has a leader.
const NO_LEADER: Code = Code(-156);

/// Whether the client may have looked into a cache older than the partition.
pub(super) fn may_be_stale(found: &Found) -> bool {
    const FENCED_LEADER_EPOCH: Code = Code(74);
    let codes = [
        FENCED_LEADER_EPOCH,
        Code::UNKNOWN_PARTITION,
        Code::UNKNOWN_TOPIC,
        Code::UNKNOWN_TOPIC_OR_PART,
        Code::LEADER_NOT_AVAILABLE,
        Code::NOT_LEADER_FOR_PARTITION,
        // the leader that did not answer may have been replaced
        Code::TIMED_OUT,
    ];
    found.as_ref().is_err_and(|failure| codes.contains(&failure.code))
}

/// Questions that fit one request: no partition twice, all alike about open transactions.
struct Round {
    is_committed: bool,
    questions: BTreeMap<(String, i32), Question>,
}

struct Question {
    /// Its place among the queries.
    at: usize,
    /// `EARLIEST`, `LATEST` or a timestamp.
    asked: i64,
}

impl Round {
    fn ask<'c>(&self, request: &Request<'c>) -> Offsets<'c> {
        let mut list = PartitionList::with_capacity(self.questions.len());
        for ((topic, partition), question) in &self.questions {
            list.add_position(topic, *partition, question.asked, -1);
        }
        admin_reads::offsets(request, &list, self.is_committed)
    }
}

impl Question {
    /// What was answered; `None` where no record is as young as asked for.
    fn answer(&self, element: &Element) -> Result<Option<NextOffset>, Failure> {
        Failure::check(element.code)?;
        match element.offset {
            0.. => Ok(Some(NextOffset(element.offset))),
            -1 if self.asked >= 0 => Ok(None),
            // the client drops the reason
            _ => Err(Failure { code: Code::TIMED_OUT, text: "the partition's leader did not answer".to_owned() }),
        }
    }
}

/// Looks offsets up, in the order asked. `is_there` answers for partitions that need not be asked for.
///
/// # Errors
/// Outside, a partition that no cluster can have; inside, that of a whole request.
pub(super) fn look_up(
    request: &Request<'_>,
    queries: &[(TopicPartition, OffsetQuery)],
    is_there: impl Fn(&TopicPartition) -> Result<(), Failure>,
) -> Result<Result<Vec<Found>, Failure>, Error> {
    let no_leader = || Failure::of(Code::LEADER_NOT_AVAILABLE);
    let there: Vec<_> = queries.iter().map(|(place, _)| is_there(place)).collect();
    let rounds = rounds(queries.iter().enumerate().filter(|(at, _)| there[*at].is_ok()))?;
    let mut answers: Vec<Found> = there.into_iter().map(|there| Err(there.err().unwrap_or_else(no_leader))).collect();
    // All at once, so that a broker which does not answer uses up the time of one round, not of each.
    let asked: Vec<_> = rounds.iter().map(|round| round.ask(request)).collect();
    for (round, asked) in rounds.iter().zip(asked) {
        let found = match asked.answers() {
            Ok(found) => found,
            Err(failure) if failure.code == NO_LEADER => continue,
            Err(failure) => return Ok(Err(failure)),
        };
        for element in found {
            if let Some(question) = round.questions.get(&(element.topic.clone(), element.partition)) {
                // of nothing as young the end stands, which an earlier round found
                if let Some(answer) = question.answer(&element).transpose() {
                    answers[question.at] = answer;
                }
            }
        }
    }
    Ok(Ok(answers))
}

fn rounds<'a>(queries: impl Iterator<Item = (usize, &'a (TopicPartition, OffsetQuery))>) -> Result<Vec<Round>, Error> {
    let mut rounds: Vec<Round> = Vec::new();
    let mut ask = |key: &(String, i32), is_committed, at, asked| {
        let fits = |round: &&mut Round| round.is_committed == is_committed && !round.questions.contains_key(key);
        match rounds.iter_mut().find(fits) {
            Some(round) => drop(round.questions.insert(key.clone(), Question { at, asked })),
            None => {
                rounds.push(Round { is_committed, questions: BTreeMap::from([(key.clone(), Question { at, asked })]) })
            }
        }
    };
    for (at, (place, query)) in queries {
        let key = (place.topic.to_string(), partition_number(place)?);
        match query {
            OffsetQuery::Earliest => ask(&key, true, at, EARLIEST),
            OffsetQuery::LastStable => ask(&key, true, at, LATEST),
            OffsetQuery::HighWatermark => ask(&key, false, at, LATEST),
            OffsetQuery::Time(time) => {
                // The end, in an earlier round, for when there is nothing as young: asked for later, it might be behind
                // a record that came in between.
                ask(&key, true, at, LATEST);
                // negative numbers have meanings of their own, and no record is older than 1970
                ask(&key, true, at, (*time).max(0));
            }
        }
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ids::{Partition, TopicName};

    #[test]
    fn no_negative_offset_is_found_and_only_a_time_can_be_after_all_records() {
        let found = |asked, offset| {
            let mut list = PartitionList::with_capacity(1);
            list.add_position("t", 0, offset, -1);
            let found = Question { at: 0, asked }.answer(&list.elements().next().unwrap());
            found.map_err(|failure| failure.code)
        };
        for asked in [EARLIEST, LATEST, 0, 1_700_000_000_000] {
            assert_eq!(found(asked, 0), Ok(Some(NextOffset(0))), "{asked}");
            assert_eq!(found(asked, -1001), Err(Code::TIMED_OUT), "{asked}");
            assert_eq!(found(asked, -1), if asked < 0 { Err(Code::TIMED_OUT) } else { Ok(None) }, "{asked}");
        }
    }

    #[test]
    fn no_request_holds_a_partition_twice_or_mixes_isolation() {
        let place = |partition| TopicPartition::new(TopicName::new("t").unwrap(), Partition(partition));
        let queries = [
            (place(0), OffsetQuery::Earliest),
            (place(0), OffsetQuery::LastStable),
            (place(0), OffsetQuery::HighWatermark),
            (place(1), OffsetQuery::Time(-5)),
            (place(0), OffsetQuery::LastStable),
        ];
        let rounds = rounds(queries.iter().enumerate()).unwrap();
        let seen: Vec<_> = rounds
            .iter()
            .map(|round| {
                (round.is_committed, round.questions.values().map(|one| (one.at, one.asked)).collect::<Vec<_>>())
            })
            .collect();
        let expected = [
            (true, vec![(0, EARLIEST), (3, LATEST)]),
            (true, vec![(1, LATEST), (3, 0)]),
            (false, vec![(2, LATEST)]),
            (true, vec![(4, LATEST)]),
        ];
        assert_eq!(seen, expected);
    }
}
