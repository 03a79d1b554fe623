//! Producing by the C interface.

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_vtype_t as Part;

use super::client::Client;
use super::code::{self, Code, Failure};
use super::timestamp::STAND_IN;
use crate::record::{Header, Record};

/// A target topic as one client knows it.
///
/// Must be dropped before its client: see `Topics`.
#[derive(Debug)]
struct Topic(NonNull<sys::rd_kafka_topic_t>);

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `Producer::topic` and destroyed once, while the client lives (`Producer`'s field order).
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

/// A producing client with handles of its topics.
#[derive(Debug)]
pub struct Producer {
    /// Declared before the client, so dropped before it.
    topics: Vec<Option<Topic>>,
    client: Client,
}

// SAFETY: topic handles are counted and locked by librdkafka; the client is `Send` by itself.
unsafe impl Send for Producer {}

impl Producer {
    /// A producer made of a producing client.
    pub fn new(client: Client) -> Self {
        Self { topics: Vec::new(), client }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Has `index` stand for a topic.
    pub fn open(&mut self, index: usize, topic: &str) -> Result<(), String> {
        let name = CString::new(topic).map_err(|_| "a topic's name contains a NUL character".to_owned())?;
        // SAFETY: the client is alive and the name copied; no topic configuration means the client's default one.
        let topic = unsafe { sys::rd_kafka_topic_new(self.client.handle(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(|| "the client can't make a handle of the topic".to_owned())?;
        if self.topics.len() <= index {
            self.topics.resize_with(index + 1, || None);
        }
        self.topics[index] = Some(Topic(topic));
        Ok(())
    }

    /// Forgets what `index` stands for.
    pub fn close(&mut self, index: usize) {
        if let Some(topic) = self.topics.get_mut(index) {
            *topic = None;
        }
    }

    /// Queues a copy of a record. `UNSUPPORTED_FEATURE` if this library can't carry its timestamp.
    ///
    /// # Panics
    /// If `index` stands for no topic.
    #[inline]
    pub fn produce(&self, index: usize, partition: i32, record: &Record<'_>, opaque: usize) -> Result<(), Failure> {
        let topic = self.topics.get(index).and_then(Option::as_ref).expect("the slot is open");
        let mut timestamp = record.timestamp_ms.unwrap_or(-1);
        if timestamp == 0 {
            if !self.client.zero_timestamps().announce() {
                return Err(Failure::of(Code::UNSUPPORTED_FEATURE));
            }
            timestamp = STAND_IN;
        }
        let headers = if record.headers.is_empty() { ptr::null_mut() } else { headers_of(record.headers) };
        let mut parts = [
            part(Part::RD_KAFKA_VTYPE_RKT, Value { rkt: topic.0.as_ptr() }),
            part(Part::RD_KAFKA_VTYPE_PARTITION, Value { i32_: partition }),
            part(Part::RD_KAFKA_VTYPE_MSGFLAGS, Value { i: sys::RD_KAFKA_MSG_F_COPY }),
            part(Part::RD_KAFKA_VTYPE_KEY, memory(record.key)),
            part(Part::RD_KAFKA_VTYPE_VALUE, memory(record.value)),
            part(Part::RD_KAFKA_VTYPE_TIMESTAMP, Value { i64_: timestamp }),
            part(Part::RD_KAFKA_VTYPE_OPAQUE, Value { ptr: opaque as *mut c_void }),
            part(Part::RD_KAFKA_VTYPE_HEADERS, Value { headers }),
        ];
        let count = if headers.is_null() { parts.len() - 1 } else { parts.len() };
        // SAFETY: client and topic are alive; each part's type names the union's field that was written; key and value
        // are copied (`MSG_F_COPY`), empty ones from a pointer that is not null and not read. Headers become the
        // message's on success and stay ours on failure.
        let outcome = unsafe { code::take(sys::rd_kafka_produceva(self.client.handle(), parts.as_mut_ptr(), count)) };
        if outcome.is_err() {
            self.client.zero_timestamps().revoke();
            if !headers.is_null() {
                // SAFETY: ours, since producing failed, and destroyed once.
                unsafe { sys::rd_kafka_headers_destroy(headers) };
            }
        }
        outcome
    }

    /// Has everything queued, and with `in_flight` everything sent and not yet acknowledged, fail at once. Does not
    /// wait: reports come from the queue.
    pub fn purge(&self, in_flight: bool) {
        let sent = if in_flight { sys::RD_KAFKA_PURGE_F_INFLIGHT } else { 0 };
        // SAFETY: the client is alive and a producer.
        unsafe {
            rd_kafka_purge(
                self.client.handle(),
                sys::RD_KAFKA_PURGE_F_QUEUE | sent | sys::RD_KAFKA_PURGE_F_NON_BLOCKING,
            )
        };
    }
}

type Value = sys::rd_kafka_vu_s__bindgen_ty_1;

fn part(vtype: Part, u: Value) -> sys::rd_kafka_vu_t {
    sys::rd_kafka_vu_t { vtype, u }
}

/// Null stays null; an empty slice has a pointer that is not null, which the C library keeps apart from null.
#[inline]
fn memory(bytes: Option<&[u8]>) -> Value {
    let (ptr, size) = bytes.map_or((ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()));
    Value { mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size } }
}

fn headers_of(headers: &[Header<'_>]) -> *mut sys::rd_kafka_headers_t {
    // SAFETY: no precondition; the C library aborts the process if it has no memory.
    let list = unsafe { sys::rd_kafka_headers_new(headers.len()) };
    for header in headers {
        let value = header.value.map_or(ptr::null(), |value| value.as_ptr().cast::<c_void>());
        let value_bytes = header.value.map_or(0, <[u8]>::len) as isize;
        // SAFETY: the list is alive; name and value are copied from slices with the lengths given; a null value stays
        // null whatever its length.
        unsafe {
            sys::rd_kafka_header_add(list, header.name.as_ptr().cast(), header.name.len() as isize, value, value_bytes)
        };
    }
    list
}

// Declared here with a plain number as result: see `code`.
unsafe extern "C" {
    fn rd_kafka_purge(client: *mut sys::rd_kafka_t, flags: i32) -> i32;
}
