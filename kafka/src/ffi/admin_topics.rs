//! Topics: described, created, grown.

use std::ffi::{CString, c_char, c_int};
use std::slice;

use rdkafka_sys as sys;

use super::admin::{Owned, Request, c_text, copied, outcome};
use super::code::{self, Code, Failure};

/// A topic as its cluster describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// The two halves of its id; zeros where the cluster has none.
    pub id: (u64, u64),
    /// How many partitions it has.
    pub partitions: usize,
    /// Whether we may read and write it; `None` where the cluster does not tell.
    pub rights: Option<(bool, bool)>,
}

const READ: u32 = sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ as u32;
const WRITE: u32 = sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE as u32;

/// Topics by name, each with its outcome, as the C library answers.
pub type Named<T> = Vec<(String, Result<T, Failure>)>;

/// Describes topics, each named once. The outcomes come in any order.
pub fn describe(request: &Request<'_>, topics: &[&str]) -> Result<Named<Topic>, Failure> {
    let names = topics.iter().map(|topic| c_text(topic)).collect::<Result<Vec<CString>, _>>()?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: as many NUL-terminated names as stated; they are copied.
    let collection = unsafe {
        let made = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        Owned::new(made, sys::rd_kafka_TopicCollection_destroy).ok_or_else(|| Failure::of(Code::INVALID_ARG))?
    };
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        // SAFETY: options and queue are alive by `ask`'s promise, the collection lives here; no error object comes of
        // an option that this operation has.
        |options, queue| unsafe {
            sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
            sys::rd_kafka_DescribeTopics(request.client.handle(), collection.handle, options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise; as many topics as stated live as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event);
            let mut count = 0;
            if result.is_null() {
                return None;
            }
            let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            Some((0..count).filter_map(|at| described(*topics.add(at))).collect())
        },
    )
}

/// # Safety
/// `topic` must be alive.
unsafe fn described(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<(String, Result<Topic, Failure>)> {
    // SAFETY: alive by the caller's promise; all that it lends lives as long and is copied. A missing list of operations
    // means that the broker did not tell; they are read as numbers, since a newer broker may know more of them.
    unsafe {
        let name = copied(sys::rd_kafka_TopicDescription_name(topic))?;
        if let Err(failure) = code::peek(sys::rd_kafka_TopicDescription_error(topic)) {
            return Some((name, Err(failure)));
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let id = match id.is_null() {
            true => (0, 0),
            false => (
                sys::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned(),
                sys::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned(),
            ),
        };
        let (mut partitions, mut operations) = (0, 0);
        sys::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let first = sys::rd_kafka_TopicDescription_authorized_operations(topic, &mut operations).cast::<u32>();
        let rights = (!first.is_null()).then(|| {
            let operations = slice::from_raw_parts(first, operations);
            (operations.contains(&READ), operations.contains(&WRITE))
        });
        Some((name, Ok(Topic { id, partitions, rights })))
    }
}

/// Creates a topic with the cluster's own replication factor.
pub fn create<'a>(
    request: &Request<'_>,
    name: &str,
    partitions: u32,
    configs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Failure> {
    let mut reason = [0 as c_char; 256];
    let topic = c_text(name)?;
    // SAFETY: the name is copied, the buffer's true size is given; −1 is the cluster's own replication factor (KIP-464).
    let topic = unsafe {
        let count = c_int::try_from(partitions).unwrap_or(c_int::MAX);
        let made = sys::rd_kafka_NewTopic_new(topic.as_ptr(), count, -1, reason.as_mut_ptr(), reason.len());
        Owned::new(made, sys::rd_kafka_NewTopic_destroy).ok_or_else(|| refused(&reason))?
    };
    for (key, value) in configs {
        let (key, value) = (c_text(key)?, c_text(value)?);
        // SAFETY: the topic is alive, both texts are copied.
        Failure::check(Code(unsafe { rd_kafka_NewTopic_set_config(topic.handle, key.as_ptr(), value.as_ptr()) }))?;
    }
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS,
        // SAFETY: options and queue are alive by `ask`'s promise, the one topic lives here and is copied.
        |options, queue| unsafe {
            request.wait_until_done(options);
            sys::rd_kafka_CreateTopics(request.client.handle(), &mut topic.handle.clone(), 1, options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise, and its outcomes with it.
        |event| unsafe {
            let result = sys::rd_kafka_event_CreateTopics_result(event);
            let mut count = 0;
            (!result.is_null()).then(|| only(sys::rd_kafka_CreateTopics_result_topics(result, &mut count), &count))?
        },
    )?
}

/// Grows a topic to `partitions` in all.
pub fn grow(request: &Request<'_>, name: &str, partitions: u32) -> Result<(), Failure> {
    let mut reason = [0 as c_char; 256];
    let topic = c_text(name)?;
    // SAFETY: the name is copied, the buffer's true size is given.
    let growth = unsafe {
        let count = partitions as usize;
        let made = sys::rd_kafka_NewPartitions_new(topic.as_ptr(), count, reason.as_mut_ptr(), reason.len());
        Owned::new(made, sys::rd_kafka_NewPartitions_destroy).ok_or_else(|| refused(&reason))?
    };
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEPARTITIONS,
        // SAFETY: options and queue are alive by `ask`'s promise, the one growth lives here and is copied.
        |options, queue| unsafe {
            request.wait_until_done(options);
            sys::rd_kafka_CreatePartitions(request.client.handle(), &mut growth.handle.clone(), 1, options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise, and its outcomes with it.
        |event| unsafe {
            let result = sys::rd_kafka_event_CreatePartitions_result(event);
            let mut count = 0;
            (!result.is_null())
                .then(|| only(sys::rd_kafka_CreatePartitions_result_topics(result, &mut count), &count))?
        },
    )?
}

/// The outcome of the one topic that was asked for.
///
/// # Safety
/// `outcomes` must point to `count` live outcomes.
unsafe fn only(outcomes: *mut *const sys::rd_kafka_topic_result_t, count: &usize) -> Option<Result<(), Failure>> {
    // SAFETY: there is one, by the caller's promise, and its text lives as long.
    (*count == 1).then(|| unsafe {
        outcome(rd_kafka_topic_result_error(*outcomes), sys::rd_kafka_topic_result_error_string(*outcomes))
    })
}

fn refused(reason: &[c_char]) -> Failure {
    // SAFETY: the C library wrote a NUL-terminated text, or left the zeros.
    let text = unsafe { copied(reason.as_ptr()) }.unwrap_or_default();
    Failure { code: Code::INVALID_ARG, text }
}

// Declared here with plain numbers as results: see `code`.
unsafe extern "C" {
    fn rd_kafka_topic_result_error(outcome: *const sys::rd_kafka_topic_result_t) -> i32;
    fn rd_kafka_NewTopic_set_config(
        topic: *mut sys::rd_kafka_NewTopic_t,
        name: *const c_char,
        value: *const c_char,
    ) -> i32;
}
