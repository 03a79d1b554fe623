//! Looking offsets up: which questions fit one request, and whose answer is whose.

use std::collections::BTreeMap;

use common::ids::TopicPartition;

use super::clients::partition_number;
use crate::admin::OffsetQuery;
use crate::error::Error;
use crate::ffi::admin::Request;
use crate::ffi::admin_reads::{self, EARLIEST, LATEST};
use crate::ffi::code::{Code, Failure};
use crate::ffi::partitions::PartitionList;

/// What was found for one query, −1 where no record is as young as asked for.
pub(super) type Found = Result<i64, Failure>;

/// The code of a whole request of whose partitions none has a leader, be it missing, hidden or between two leaders.
pub(super) const NO_LEADER: Code = Code(-156);

/// Whether the client may have looked into a cache older than the partition.
pub(super) fn may_be_stale(found: &Found) -> bool {
    const IN_PROGRESS: Code = Code(-178);
    let codes = [
        NO_LEADER,
        IN_PROGRESS,
        Code::UNKNOWN_PARTITION,
        Code::UNKNOWN_TOPIC,
        Code::UNKNOWN_TOPIC_OR_PART,
        Code::LEADER_NOT_AVAILABLE,
        Code::NOT_LEADER_FOR_PARTITION,
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

/// Looks offsets up, in the order asked.
///
/// # Errors
/// Outside, a partition that no cluster can have; inside, that of a whole request.
pub(super) fn look_up(
    request: &Request<'_>,
    queries: &[(TopicPartition, OffsetQuery)],
) -> Result<Result<Vec<Found>, Failure>, Error> {
    let missing = || Err(Failure::of(Code::UNKNOWN_TOPIC_OR_PART));
    let mut answers: Vec<Found> = queries.iter().map(|_| missing()).collect();
    for round in rounds(queries)? {
        let mut list = PartitionList::with_capacity(round.questions.len());
        for ((topic, partition), question) in &round.questions {
            list.add_position(topic, *partition, question.asked, -1);
        }
        let found = match admin_reads::offsets(request, &list, round.is_committed) {
            Ok(found) => found,
            Err(failure) if failure.code == NO_LEADER => {
                for question in round.questions.values() {
                    answers[question.at] = Err(failure.clone());
                }
                continue;
            }
            Err(failure) => return Ok(Err(failure)),
        };
        for element in found {
            if let Some(question) = round.questions.get(&(element.topic, element.partition)) {
                answers[question.at] = Failure::check(element.code).map(|()| element.offset);
            }
        }
    }
    Ok(Ok(answers))
}

fn rounds(queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Round>, Error> {
    let mut rounds: Vec<Round> = Vec::new();
    for (at, (place, query)) in queries.iter().enumerate() {
        let (is_committed, asked) = match query {
            OffsetQuery::Earliest => (true, EARLIEST),
            OffsetQuery::LastStable => (true, LATEST),
            OffsetQuery::HighWatermark => (false, LATEST),
            // negative numbers have meanings of their own, and no record is older than 1970
            OffsetQuery::Time(time) => (true, (*time).max(0)),
        };
        let key = (place.topic.to_string(), partition_number(place)?);
        let fits = |round: &&mut Round| round.is_committed == is_committed && !round.questions.contains_key(&key);
        match rounds.iter_mut().find(fits) {
            Some(round) => round.questions.insert(key, Question { at, asked }),
            None => {
                rounds.push(Round { is_committed, questions: BTreeMap::from([(key, Question { at, asked })]) });
                None
            }
        };
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ids::{Partition, TopicName};

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
        let rounds = rounds(&queries).unwrap();
        let seen: Vec<_> = rounds
            .iter()
            .map(|round| {
                (round.is_committed, round.questions.values().map(|one| (one.at, one.asked)).collect::<Vec<_>>())
            })
            .collect();
        let expected = [
            (true, vec![(0, EARLIEST), (3, 0)]),
            (true, vec![(1, LATEST)]),
            (false, vec![(2, LATEST)]),
            (true, vec![(4, LATEST)]),
        ];
        assert_eq!(seen, expected);
    }
}
