//! A C client and the one queue that its events come from.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka_sys as sys;

use super::code::{self, Code, Failure};
use super::event::Event;
use super::log;
use super::partitions::PartitionList;
use super::timestamp::ZeroTimestamps;

/// What a client is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Reading; its queue hands out records, errors and everything else.
    Consumer,
    /// Writing; its queue hands out delivery reports and errors.
    Producer,
}

/// A C client. Shared between threads freely, as librdkafka promises.
#[derive(Debug)]
pub struct Client {
    handle: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    zero_timestamps: Box<ZeroTimestamps>,
}

// SAFETY: librdkafka's functions lock what they share ("the library is completely thread safe"); what is not its own,
// `ZeroTimestamps`, is made of atomics.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Makes a client and starts its threads. It connects in the background. The error's text holds no value of a
    /// property.
    pub fn new(kind: Kind, properties: &[(&str, &str)]) -> Result<Self, String> {
        let zero_timestamps = Box::<ZeroTimestamps>::default();
        let config = Config::new(properties)?;
        let role = match kind {
            Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            Kind::Producer => {
                zero_timestamps.register(config.0);
                sys::rd_kafka_type_t::RD_KAFKA_PRODUCER
            }
        };
        let mut reason = [0 as c_char; 512];
        // SAFETY: the configuration is alive, and the buffer's true size is given.
        let handle = unsafe { sys::rd_kafka_new(role, config.0, reason.as_mut_ptr(), reason.len()) };
        let Some(handle) = NonNull::new(handle) else {
            return Err(text_of(&reason)); // the configuration stays ours and is dropped here
        };
        std::mem::forget(config); // it belongs to the client now
        let queue = match kind {
            // SAFETY: a fresh consumer; forwarding its main queue makes one queue of both.
            Kind::Consumer => unsafe {
                sys::rd_kafka_poll_set_consumer(handle.as_ptr());
                sys::rd_kafka_queue_get_consumer(handle.as_ptr())
            },
            // SAFETY: a fresh client.
            Kind::Producer => unsafe { sys::rd_kafka_queue_get_main(handle.as_ptr()) },
        };
        let queue = NonNull::new(queue).expect("a client with a group id has a consumer queue");
        Ok(Self { handle, queue, zero_timestamps })
    }

    pub(super) fn handle(&self) -> *mut sys::rd_kafka_t {
        self.handle.as_ptr()
    }

    pub(super) fn zero_timestamps(&self) -> &ZeroTimestamps {
        &self.zero_timestamps
    }

    /// The next event, waiting for it up to `wait`.
    #[inline]
    pub fn poll(&self, wait: Duration) -> Option<Event<'_>> {
        let wait = c_int::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX);
        // SAFETY: the queue lives as long as `self`; the event it hands out is ours.
        unsafe { Event::own(self, sys::rd_kafka_queue_poll(self.queue.as_ptr(), wait)) }
    }

    /// Adds partitions to what is read, each from its offset.
    pub fn incremental_assign(&self, list: &PartitionList) -> Result<(), Failure> {
        // SAFETY: client and list are alive, the list is copied, and the error object is handed to us.
        unsafe { code::take(sys::rd_kafka_incremental_assign(self.handle(), list.handle())) }
    }

    /// Moves partitions that are read to other offsets, and waits up to `wait` until that has begun. Unlike an assignment
    /// this has the broker check that the offset was written under its leader epoch. Refused while the client has not begun
    /// to read a partition (`STATE`), or still stops it (`PREV_IN_PROGRESS`).
    pub fn seek(&self, list: &mut PartitionList, wait: Duration) -> Result<(), Failure> {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: client and list are alive; outcomes are written to the list, which is borrowed mutably, before the call
        // returns; the error object is handed to us.
        unsafe { code::take(sys::rd_kafka_seek_partitions(self.handle(), list.handle(), wait)) }?;
        list.first_failure()
    }

    /// Takes partitions out of what is read.
    pub fn incremental_unassign(&self, list: &PartitionList) -> Result<(), Failure> {
        // SAFETY: as for `incremental_assign`.
        unsafe { code::take(sys::rd_kafka_incremental_unassign(self.handle(), list.handle())) }
    }

    /// Holds the records of partitions back.
    pub fn pause(&self, list: &mut PartitionList) -> Result<(), Failure> {
        // SAFETY: client and list are alive; outcomes are written to the list, which is borrowed mutably.
        unsafe { sys::rd_kafka_pause_partitions(self.handle(), list.handle()) };
        list.first_failure()
    }

    /// Goes on with paused partitions.
    pub fn resume(&self, list: &mut PartitionList) -> Result<(), Failure> {
        // SAFETY: as for `pause`.
        unsafe { sys::rd_kafka_resume_partitions(self.handle(), list.handle()) };
        list.first_failure()
    }

    /// Asks for a topic's metadata, so that the client knows its leaders, and waits for the answer up to `wait`. Gives
    /// the number of its partitions or the cluster's refusal; `None` without an answer.
    pub fn learn_topic(&self, topic: &CStr, wait: Duration) -> Option<Result<u32, Code>> {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        let mut metadata: *const sys::rd_kafka_metadata = ptr::null();
        // SAFETY: the name is NUL-terminated and copied; no topic configuration means the default one.
        let topic = unsafe { sys::rd_kafka_topic_new(self.handle(), topic.as_ptr(), ptr::null_mut()) };
        if topic.is_null() {
            return None;
        }
        // SAFETY: client and topic are alive, and the topic handle is ours from the call above. What is written to
        // `metadata`, if anything, is ours to destroy once read, and lists as many topics as it says.
        unsafe {
            rd_kafka_metadata(self.handle(), 0, topic, &mut metadata, wait);
            sys::rd_kafka_topic_destroy(topic);
            if metadata.is_null() {
                return None;
            }
            let answer = ((*metadata).topic_cnt > 0).then(|| {
                let topic = (*metadata).topics;
                match code::read(&raw const (*topic).err) {
                    Code::NONE => Ok(u32::try_from((*topic).partition_cnt).unwrap_or(0)),
                    code => Err(code),
                }
            });
            sys::rd_kafka_metadata_destroy(metadata);
            answer
        }
    }

    /// The error that made the client useless, if one did.
    pub fn fatal_error(&self) -> Option<Failure> {
        let mut reason = [0 as c_char; 512];
        // SAFETY: the client is alive, and the buffer's true size is given.
        let code = Code(unsafe { rd_kafka_fatal_error(self.handle(), reason.as_mut_ptr(), reason.len()) });
        (code != Code::NONE).then(|| Failure { code, text: text_of(&reason) })
    }
}

// Declared here with plain numbers as results: see `code`.
unsafe extern "C" {
    pub(super) fn rd_kafka_metadata(
        client: *mut sys::rd_kafka_t,
        all_topics: c_int,
        only: *mut sys::rd_kafka_topic_t,
        metadata: *mut *const sys::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> i32;
    fn rd_kafka_fatal_error(client: *mut sys::rd_kafka_t, reason: *mut c_char, reason_bytes: usize) -> i32;
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the queue handle is destroyed first, then the client, each once. No event, topic or other handle of
        // it is left: they borrow the client, or are kept beside it in a type of this folder that drops them first. Without the flag a consumer would wait
        // for its group to say goodbye.
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy_flags(self.handle.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

/// A configuration on its way to a client.
struct Config(*mut sys::rd_kafka_conf_t);

impl Config {
    fn new(properties: &[(&str, &str)]) -> Result<Self, String> {
        // SAFETY: no precondition; the C library aborts the process if it has no memory.
        let config = Self(unsafe { sys::rd_kafka_conf_new() });
        for (name, value) in properties {
            config.set(name, value)?;
        }
        let events = sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_ERROR | sys::RD_KAFKA_EVENT_OFFSET_COMMIT;
        // SAFETY: the configuration is alive; the callback has the declared type and is a function, so it lives on.
        unsafe {
            sys::rd_kafka_conf_set_events(config.0, events);
            sys::rd_kafka_conf_set_log_cb(config.0, Some(log::line));
        }
        Ok(config)
    }

    fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let wrong = |text: &str| format!("property {name} is not valid: {text}");
        let nul = |_| wrong("it contains a NUL character");
        let (c_name, c_value) = (CString::new(name).map_err(nul)?, CString::new(value).map_err(nul)?);
        let mut reason = [0 as c_char; 512];
        // SAFETY: the configuration is alive, the strings are copied, and the buffer's true size is given.
        let result = unsafe {
            sys::rd_kafka_conf_set(self.0, c_name.as_ptr(), c_value.as_ptr(), reason.as_mut_ptr(), reason.len())
        };
        match result {
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            // The library's words repeat the value, which may be a secret.
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Err(wrong("the client does not know it")),
            _ => Err(wrong("the client refuses its value")),
        }
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: made by `new`, given to no client (`forget` is called then), destroyed once.
        unsafe { sys::rd_kafka_conf_destroy(self.0) };
    }
}

fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|c| c.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
