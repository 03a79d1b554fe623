//! Questions and orders to a cluster: one is submitted, its answer waited for on a queue of its own and copied out.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rdkafka_sys as sys;

use super::client::{Client, rd_kafka_metadata};
use super::code::{Code, Failure};
use super::group::{Queue, milliseconds};

/// How a request is made.
#[derive(Clone, Copy, Debug)]
pub struct Request<'c> {
    /// By whom.
    pub client: &'c Client,
    /// How long the answer is waited for; an order may be carried out even later.
    pub wait: Duration,
    /// Which broker is asked instead of the controller.
    pub broker: Option<i32>,
}

/// What a client knows of its cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// The brokers' ids.
    pub brokers: Vec<i32>,
    /// The topics, with their partition counts; empty unless they were asked for.
    pub topics: Vec<(String, u32)>,
}

/// Asks any broker for its brokers and, if `with_topics`, for all topics that it shows us.
pub fn metadata(client: &Client, with_topics: bool, wait: Duration) -> Result<Metadata, Failure> {
    let mut found: *const sys::rd_kafka_metadata = ptr::null();
    let all = c_int::from(with_topics);
    // SAFETY: the client is alive; without a topic handle and with `all` unset only topics it uses are asked for.
    let code =
        Code(unsafe { rd_kafka_metadata(client.handle(), all, ptr::null_mut(), &mut found, milliseconds(wait)) });
    Failure::check(code)?;
    // SAFETY: filled in, since the call succeeded; both arrays have as many elements as stated. It is destroyed once,
    // after everything was copied. Only single fields are read: an error code may be unknown to the binding.
    unsafe {
        let brokers = (0..(*found).broker_cnt as usize).map(|at| (*(*found).brokers.add(at)).id).collect();
        let topics = match with_topics {
            true => (0..(*found).topic_cnt as usize).filter_map(|at| topic((*found).topics.add(at))).collect(),
            false => Vec::new(),
        };
        sys::rd_kafka_metadata_destroy(found);
        Ok(Metadata { brokers, topics })
    }
}

/// A topic's name and partition count; `None` for one that cannot be described or that no cluster of ours can name.
///
/// # Safety
/// `topic` must point to a live topic.
unsafe fn topic(topic: *const sys::rd_kafka_metadata_topic) -> Option<(String, u32)> {
    // SAFETY: live by the caller's promise, so its name is NUL-terminated; it is copied.
    let (name, partitions) = unsafe { (CStr::from_ptr((*topic).topic), (*topic).partition_cnt) };
    Some((name.to_str().ok()?.to_owned(), u32::try_from(partitions).ok().filter(|count| *count > 0)?))
}

/// The cluster's id, once any metadata has come; `None` where the cluster has none.
pub fn cluster_id(client: &Client) -> Option<String> {
    // SAFETY: the client is alive; without a wait it only reads.
    let id = NonNull::new(unsafe { sys::rd_kafka_clusterid(client.handle(), 0) })?;
    // SAFETY: NUL-terminated, copied, then given back to the allocator that it came from, once.
    unsafe {
        let copy = CStr::from_ptr(id.as_ptr()).to_string_lossy().into_owned();
        sys::rd_kafka_mem_free(client.handle(), id.as_ptr().cast());
        Some(copy)
    }
}

/// The controller's broker id, once any metadata has come; −1 where there is none.
pub fn controller(client: &Client) -> i32 {
    // SAFETY: the client is alive; without a wait it only reads.
    unsafe { sys::rd_kafka_controllerid(client.handle(), 0) }
}

impl<'c> Request<'c> {
    /// Submits a request and reads its answer. `submit` gets the options to complete and the queue for the answer, both
    /// alive as long as it runs; `read` gets an event that is alive as long as it runs, and copies what it wants of it.
    pub(super) fn ask<T>(
        &self,
        operation: sys::rd_kafka_admin_op_t,
        submit: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
        read: impl FnOnce(*mut sys::rd_kafka_event_t) -> Option<T>,
    ) -> Result<T, Failure> {
        self.submit(operation, submit).answer(read)
    }

    /// The first half of `ask`: what is submitted meanwhile is carried out at the same time.
    pub(super) fn submit(
        &self,
        operation: sys::rd_kafka_admin_op_t,
        submit: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
    ) -> Submitted<'c> {
        let queue = Queue::new(self.client);
        // SAFETY: client and queue are alive; the options are made, completed, used (they are copied) and destroyed
        // here, once each. The texts of refused options are not asked for: these ranges are always accepted.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(self.client.handle(), operation);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, milliseconds(self.wait), ptr::null_mut(), 0);
            if let Some(broker) = self.broker {
                sys::rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0);
            }
            submit(options, queue.handle());
            sys::rd_kafka_AdminOptions_destroy(options);
        }
        // The client gives up by itself after the wait.
        Submitted { queue, deadline: Instant::now() + self.wait + Duration::from_secs(1) }
    }

    /// Lets the broker wait until the order is carried out everywhere, a little less long than we wait for it.
    ///
    /// # Safety
    /// `options` must be alive.
    pub(super) unsafe fn wait_until_done(&self, options: *mut sys::rd_kafka_AdminOptions_t) {
        let wait = self.wait.saturating_sub(Duration::from_secs(1));
        // SAFETY: alive by the caller's promise; the text of a refusal is not asked for.
        unsafe { sys::rd_kafka_AdminOptions_set_operation_timeout(options, milliseconds(wait), ptr::null_mut(), 0) };
    }
}

/// A request that is under way; its answer goes with it.
pub(super) struct Submitted<'c> {
    queue: Queue<'c>,
    deadline: Instant,
}

impl Submitted<'_> {
    /// The second half of `Request::ask`.
    pub(super) fn answer<T>(self, read: impl FnOnce(*mut sys::rd_kafka_event_t) -> Option<T>) -> Result<T, Failure> {
        let answer = self.queue.poll(self.deadline.saturating_duration_since(Instant::now()));
        let answer = answer.ok_or_else(|| Failure::of(Code::TIMED_OUT))?;
        answer.failure()?;
        read(answer.handle()).ok_or_else(|| Failure::of(Code::INVALID_ARG))
    }
}

/// Something made by the C library; destroyed when dropped.
pub(super) struct Owned<T> {
    pub(super) handle: *mut T,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes it over; `None` of a null one.
    ///
    /// # Safety
    /// `handle` must be null or something that `destroy` may be called with, and that nobody else destroys.
    pub(super) unsafe fn new(handle: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        (!handle.is_null()).then_some(Self { handle, destroy })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: by `new`'s promise, and once.
        unsafe { (self.destroy)(self.handle) };
    }
}

/// Text for the C library.
pub(super) fn c_text(text: &str) -> Result<CString, Failure> {
    let nul = |_| Failure { code: Code::INVALID_ARG, text: "it contains a NUL character".to_owned() };
    CString::new(text).map_err(nul)
}

/// A copy of a text, if there is one.
///
/// # Safety
/// `text` must be null or NUL-terminated.
pub(super) unsafe fn copied(text: *const c_char) -> Option<String> {
    // SAFETY: not null, so NUL-terminated, by the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The outcome that a code and a text tell; the text may be missing.
///
/// # Safety
/// `text` must be null or NUL-terminated.
pub(super) unsafe fn outcome(code: i32, text: *const c_char) -> Result<(), Failure> {
    let failure = Failure::of(Code(code));
    if failure.code == Code::NONE {
        return Ok(());
    }
    // SAFETY: by the caller's promise.
    let text = unsafe { copied(text) }.unwrap_or(failure.text);
    Err(Failure { text, ..failure })
}
