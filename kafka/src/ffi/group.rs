//! Offsets of a consumer group, by a client that is no member of it.

use std::ffi::{CString, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka_sys as sys;

use super::client::Client;
use super::code::{self, Code, Failure};
use super::event::{Event, Happened};
use super::partitions::PartitionList;

/// Fills in the offsets that the client's own group holds of the partitions in `list`.
pub fn committed(client: &Client, list: &mut PartitionList, wait: Duration) -> Result<(), Failure> {
    // SAFETY: client and list are alive; the list is borrowed mutably while it is written.
    Failure::check(Code(unsafe { rd_kafka_committed(client.handle(), list.handle(), milliseconds(wait)) }))
}

/// Stores offsets for the client's own group. The failure may be that of a single partition.
///
/// Unlike `rd_kafka_commit` it does not wait for ever: after `wait` the outcome is unknown and the error `TIMED_OUT`.
pub fn commit(client: &Client, list: &PartitionList, wait: Duration) -> Result<(), Failure> {
    let queue = Queue::new(client);
    // SAFETY: client, list and queue are alive; the list is copied; without a callback the answer is an event.
    let code = unsafe { rd_kafka_commit_queue(client.handle(), list.handle(), queue.handle(), None, ptr::null_mut()) };
    Failure::check(Code(code))?;
    match queue.poll(wait).map(Event::happened) {
        Some(Happened::Committed(answer)) => answer.failure(),
        _ => Err(Failure::of(Code::TIMED_OUT)),
    }
}

/// Every offset that a group holds.
pub fn list_offsets(client: &Client, group: &str, wait: Duration) -> Result<PartitionList, Failure> {
    let group = CString::new(group).map_err(|_| Failure::of(Code::INVALID_ARG))?;
    let queue = Queue::new(client);
    // SAFETY: client and queue are alive; options and question are made, used and destroyed here, once each; the group's
    // name is copied, and a null list asks for all partitions.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(
            client.handle(),
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        );
        // Within the range that is always accepted, and the default otherwise.
        sys::rd_kafka_AdminOptions_set_request_timeout(options, milliseconds(wait), ptr::null_mut(), 0);
        let mut question = sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), ptr::null());
        sys::rd_kafka_ListConsumerGroupOffsets(client.handle(), &mut question, 1, options, queue.handle());
        sys::rd_kafka_ListConsumerGroupOffsets_destroy(question);
        sys::rd_kafka_AdminOptions_destroy(options);
    }
    // The client gives up by itself after `wait`.
    let Some(Happened::GroupOffsets(answer)) = queue.poll(wait + Duration::from_secs(1)).map(Event::happened) else {
        return Err(Failure::of(Code::TIMED_OUT));
    };
    answer.failure()?;
    let mut groups = 0;
    // SAFETY: the event is alive and of the type that this reads; all it lends is looked at before it is dropped. One
    // group was asked for; its error is null or alive, its list null or alive and copied.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(answer.handle());
        if result.is_null() {
            return Err(Failure::of(Code::INVALID_ARG));
        }
        let results = sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut groups);
        if groups == 0 {
            return Ok(PartitionList::with_capacity(0));
        }
        code::peek(sys::rd_kafka_group_result_error(*results))?;
        let list = PartitionList::copy_of(sys::rd_kafka_group_result_partitions(*results));
        Ok(list.unwrap_or_else(|| PartitionList::with_capacity(0)))
    }
}

/// A queue for one answer; a late answer goes with it.
pub(super) struct Queue<'c> {
    client: &'c Client,
    handle: NonNull<sys::rd_kafka_queue_t>,
}

impl<'c> Queue<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        // SAFETY: the client is alive, and lives longer than this value, by its lifetime.
        let queue = unsafe { sys::rd_kafka_queue_new(client.handle()) };
        Self { client, handle: NonNull::new(queue).expect("the C library never returns null here") }
    }

    pub(super) fn handle(&self) -> *mut sys::rd_kafka_queue_t {
        self.handle.as_ptr()
    }

    pub(super) fn poll(&self, wait: Duration) -> Option<Event<'c>> {
        // SAFETY: the queue is alive; the event it hands out is ours.
        unsafe { Event::own(self.client, sys::rd_kafka_queue_poll(self.handle(), milliseconds(wait))) }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.handle()) };
    }
}

pub(super) fn milliseconds(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

/// The callback that `rd_kafka_commit_queue` is not given.
type NoCallback =
    Option<unsafe extern "C" fn(*mut sys::rd_kafka_t, i32, *mut sys::rd_kafka_topic_partition_list_t, *mut c_void)>;

// Declared here with plain numbers as results: see `code`.
unsafe extern "C" {
    fn rd_kafka_committed(
        client: *mut sys::rd_kafka_t,
        list: *mut sys::rd_kafka_topic_partition_list_t,
        timeout_ms: c_int,
    ) -> i32;
    fn rd_kafka_commit_queue(
        client: *mut sys::rd_kafka_t,
        list: *const sys::rd_kafka_topic_partition_list_t,
        queue: *mut sys::rd_kafka_queue_t,
        callback: NoCallback,
        opaque: *mut c_void,
    ) -> i32;
}
