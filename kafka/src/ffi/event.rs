//! What a queue hands out.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

use rdkafka_sys as sys;

use super::client::Client;
use super::code::{self, Code, Failure};
use super::fetched::Fetched;

/// Something that happened to a client that lives for `'c`; destroyed when dropped.
#[derive(Debug)]
pub struct Event<'c>(NonNull<sys::rd_kafka_event_t>, PhantomData<&'c Client>);

// SAFETY: an event belongs to whoever polled it; librdkafka ties it to no thread.
unsafe impl Send for Event<'_> {}

/// An event by its type.
#[derive(Debug)]
pub enum Happened<'c> {
    /// A record.
    Fetched(Fetched<'c>),
    /// An error or the end of a partition.
    Trouble(Box<Trouble>),
    /// Reports on produced records.
    Deliveries(Deliveries<'c>),
    /// The answer to a commit.
    Committed(Event<'c>),
    /// The answer to a question about a group's offsets.
    GroupOffsets(Event<'c>),
    /// Nothing we asked for.
    Other,
}

impl<'c> Event<'c> {
    /// Takes an event over; `None` of a null one.
    ///
    /// # Safety
    /// `event` must be null or an event of this client that nobody else destroys.
    pub(super) unsafe fn own(_client: &'c Client, event: *mut sys::rd_kafka_event_t) -> Option<Self> {
        NonNull::new(event).map(|event| Self(event, PhantomData))
    }

    pub(super) fn handle(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// Looks at the event's type.
    pub fn happened(self) -> Happened<'c> {
        // SAFETY: the event is alive.
        match unsafe { sys::rd_kafka_event_type(self.handle()) } {
            sys::RD_KAFKA_EVENT_FETCH => Fetched::new(self).map_or(Happened::Other, Happened::Fetched),
            sys::RD_KAFKA_EVENT_ERROR => Happened::Trouble(Box::new(Trouble::of(&self))),
            sys::RD_KAFKA_EVENT_DR => Happened::Deliveries(Deliveries(self)),
            sys::RD_KAFKA_EVENT_OFFSET_COMMIT => Happened::Committed(self),
            sys::RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT => Happened::GroupOffsets(self),
            _ => Happened::Other,
        }
    }

    /// The failure that the event as a whole reports.
    pub fn failure(&self) -> Result<(), Failure> {
        // SAFETY: the event is alive.
        let code = Code(unsafe { rd_kafka_event_error(self.handle()) });
        if code == Code::NONE {
            return Ok(());
        }
        // SAFETY: the event is alive; its text is NUL-terminated, lives as long and is copied.
        let text = unsafe { CStr::from_ptr(sys::rd_kafka_event_error_string(self.handle())) };
        Err(Failure { code, text: text.to_string_lossy().into_owned() })
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        // SAFETY: ours by `own`'s promise, destroyed once and before its client; what it lends is tied to it by lifetimes.
        unsafe { sys::rd_kafka_event_destroy(self.handle()) };
    }
}

/// An error of the client or of one partition; the end of a partition is one, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What it is.
    pub failure: Failure,
    /// Whether the client is of no more use.
    pub is_fatal: bool,
    /// Of which partition, and at which offset; none if it concerns the client.
    pub place: Option<Place>,
}

/// A partition and an offset in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset, negative if none is meant.
    pub offset: i64,
}

impl Trouble {
    fn of(event: &Event<'_>) -> Self {
        let failure = event.failure().err().unwrap_or_else(|| Failure::of(Code::NONE));
        // SAFETY: an error event, so the flag is there.
        let is_fatal = unsafe { sys::rd_kafka_event_error_is_fatal(event.handle()) } != 0;
        // SAFETY: the event is alive; what is returned is ours to destroy, below.
        let element = unsafe { sys::rd_kafka_event_topic_partition(event.handle()) };
        let place = (!element.is_null()).then(|| {
            // SAFETY: not null, so a live element with a NUL-terminated topic, which is copied; it is destroyed once.
            unsafe {
                let topic = CStr::from_ptr((*element).topic).to_string_lossy().into_owned();
                let place = Place { topic, partition: (*element).partition, offset: (*element).offset };
                sys::rd_kafka_topic_partition_destroy(element);
                place
            }
        });
        Self { failure, is_fatal, place }
    }
}

/// Reports on produced records.
#[derive(Debug)]
pub struct Deliveries<'c>(Event<'c>);

/// What became of one produced record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What was passed along with the record.
    pub opaque: usize,
    /// The outcome; `NONE` if it was written.
    pub code: Code,
    /// Bytes of its key and value.
    pub payload_bytes: usize,
}

impl Iterator for Deliveries<'_> {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        // SAFETY: the event is alive; a message it hands out lives as long as it does and is read at once. No reference
        // to the whole message is made: its code may be a number that the binding's `enum` does not know.
        unsafe {
            let message = sys::rd_kafka_event_message_next(self.0.handle());
            if message.is_null() {
                return None;
            }
            Some(Report {
                opaque: (*message)._private as usize,
                code: code::read(&raw const (*message).err),
                payload_bytes: (*message).len + (*message).key_len,
            })
        }
    }
}

// Declared here with a plain number as result: see `code`.
unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
}
