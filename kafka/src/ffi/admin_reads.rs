//! What is only looked up: offsets of partitions, members of groups.

use rdkafka_sys as sys;

use super::admin::{Request, Submitted, c_text, copied};
use super::code::{self, Failure};
use super::partitions::{Element, PartitionList};

/// Stands for the first offset in a list of questions.
pub const EARLIEST: i64 = sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST as i64;
/// Stands for one past the last offset in a list of questions.
pub const LATEST: i64 = sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i64;

/// Offsets that are being looked up.
pub struct Offsets<'c>(Submitted<'c>);

/// Looks up an offset of each partition in `list`, none twice: where `EARLIEST`, `LATEST` or a timestamp stands as its
/// offset, the answer holds what was found, −1 for nothing. With `is_committed` open transactions are left out.
pub fn offsets<'c>(request: &Request<'c>, list: &PartitionList, is_committed: bool) -> Offsets<'c> {
    let isolation = match is_committed {
        true => sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        false => sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
    };
    Offsets(request.submit(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
        // SAFETY: options and queue are alive by `submit`'s promise; the list is alive and copied; no error object comes of
        // an option that this operation has.
        |options, queue| unsafe {
            sys::rd_kafka_AdminOptions_set_isolation_level(options, isolation);
            sys::rd_kafka_ListOffsets(request.client.handle(), list.handle(), options, queue);
        },
    ))
}

impl Offsets<'_> {
    /// Waits for the answers. That of a broker which did not answer, or refused as a whole, looks like a success with a
    /// negative offset other than −1 (`rd_kafka_admin_fanout_worker` drops its error).
    pub fn answers(self) -> Result<Vec<Element>, Failure> {
        // SAFETY: the event is alive by `answer`'s promise; as many answers as stated live as long.
        self.0.answer(|event| unsafe {
            let result = sys::rd_kafka_event_ListOffsets_result(event);
            let mut count = 0;
            if result.is_null() {
                return None;
            }
            let answers = sys::rd_kafka_ListOffsets_result_infos(result, &mut count);
            let place = |at| sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*answers.add(at));
            Some((0..count).map(|at| Element::copy_of(place(at))).collect())
        })
    }
}

/// A member of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The id the broker gave it.
    pub member_id: String,
    /// Its own name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

/// The members of a group.
pub fn members(request: &Request<'_>, group: &str) -> Result<Vec<Member>, Failure> {
    let group = c_text(group)?;
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
        // SAFETY: options and queue are alive by `ask`'s promise; the one name is alive and copied.
        |options, queue| unsafe {
            let client = request.client.handle();
            sys::rd_kafka_DescribeConsumerGroups(client, &mut group.as_ptr(), 1, options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise; as many groups as stated live as long, and as many members as
        // each states with them.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event);
            let mut count = 0;
            if result.is_null() {
                return None;
            }
            let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
            (count == 1).then(|| {
                let group = *groups;
                code::peek(sys::rd_kafka_ConsumerGroupDescription_error(group))?;
                let count = sys::rd_kafka_ConsumerGroupDescription_member_count(group);
                Ok((0..count).map(|at| member(sys::rd_kafka_ConsumerGroupDescription_member(group, at))).collect())
            })
        },
    )?
}

/// # Safety
/// `member` must be alive.
unsafe fn member(member: *const sys::rd_kafka_MemberDescription_t) -> Member {
    // SAFETY: alive by the caller's promise; its texts are null or live as long, and are copied.
    unsafe {
        Member {
            member_id: copied(sys::rd_kafka_MemberDescription_consumer_id(member)).unwrap_or_default(),
            client_id: copied(sys::rd_kafka_MemberDescription_client_id(member)).unwrap_or_default(),
            host: copied(sys::rd_kafka_MemberDescription_host(member)).unwrap_or_default(),
        }
    }
}
