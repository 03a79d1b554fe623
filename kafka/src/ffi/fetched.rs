//! A record inside the event that brought it.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::ptr;
use std::slice;

use common::offsets::LeaderEpoch;
use rdkafka_sys as sys;

use super::code::{self, Code};
use super::event::Event;
use crate::record::{Header, Record};

/// A fetched record; what it lends lives as long as this value.
#[derive(Debug)]
pub struct Fetched<'c> {
    message: *const sys::rd_kafka_message_t,
    /// Keeps the message alive.
    _event: Event<'c>,
}

// SAFETY: the message belongs to the event, which is tied to no thread.
unsafe impl Send for Fetched<'_> {}

/// A topic as one client knows it. The same number may mean another topic once none of its partitions is assigned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TopicKey(usize);

impl<'c> Fetched<'c> {
    pub(super) fn new(event: Event<'c>) -> Option<Self> {
        // SAFETY: the event is alive; the one message in it lives as long as the event, which is kept beside it.
        let message = unsafe { sys::rd_kafka_event_message_next(event.handle()) };
        (!message.is_null()).then_some(Self { message, _event: event })
    }

    /// `NONE` for a proper record.
    pub fn code(&self) -> Code {
        // SAFETY: the message is alive.
        unsafe { code::read(&raw const (*self.message).err) }
    }

    /// Which topic and partition it is from.
    #[inline]
    pub fn origin(&self) -> (TopicKey, i32) {
        // SAFETY: the message is alive.
        unsafe { (TopicKey((*self.message).rkt as usize), (*self.message).partition) }
    }

    /// The topic's name.
    pub fn topic(&self) -> String {
        // SAFETY: the message keeps its topic alive; the name is NUL-terminated and copied.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name((*self.message).rkt)) }.to_string_lossy().into_owned()
    }

    /// Its offset.
    #[inline]
    pub fn offset(&self) -> i64 {
        // SAFETY: the message is alive.
        unsafe { (*self.message).offset }
    }

    /// The record. Its headers are listed in `headers`, which is emptied first.
    #[inline]
    pub fn record<'a>(&'a self, headers: &'a mut HeaderList) -> Record<'a> {
        headers.fill(self);
        let message = self.message;
        // SAFETY: the message is alive and its key and value are null or have the lengths beside them; all lent for as
        // long as `self` is borrowed.
        unsafe {
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let timestamp = sys::rd_kafka_message_timestamp(message, &mut kind);
            let epoch = sys::rd_kafka_message_leader_epoch(message);
            Record {
                offset: (*message).offset,
                leader_epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)),
                // A record without a timestamp is CreateTime −1 in message format 2.
                timestamp_ms: (timestamp != -1).then_some(timestamp),
                key: bytes((*message).key, (*message).key_len),
                value: bytes((*message).payload, (*message).len),
                headers: &headers.0,
            }
        }
    }
}

/// Room for the headers of one record after another.
#[derive(Default)]
pub struct HeaderList(Vec<Header<'static>>);

impl fmt::Debug for HeaderList {
    /// Without the headers: their record may be gone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderList").finish_non_exhaustive()
    }
}

impl HeaderList {
    /// Empties it.
    #[inline]
    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    fn fill(&mut self, fetched: &Fetched<'_>) {
        self.0.clear();
        let mut headers: *mut sys::rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive; the list of headers stays its own.
        let has_some = unsafe { rd_kafka_message_headers(fetched.message, &mut headers) } == Code::NONE.0;
        if has_some {
            self.read(headers);
        }
    }

    fn read(&mut self, headers: *const sys::rd_kafka_headers_t) {
        let (mut name, mut value, mut value_bytes) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0);
        for index in 0.. {
            // SAFETY: the list belongs to a live message, and the three places are written if there is such a header.
            // The slices are given out by `Fetched::record` only, which ties them to the message's life; between
            // records they stay unread.
            unsafe {
                if rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut value_bytes) != Code::NONE.0 {
                    return;
                }
                let name_bytes = name_bytes(name, value.cast());
                let name = slice::from_raw_parts(name.cast(), name_bytes);
                self.0.push(Header { name, value: bytes(value, value_bytes) });
            }
        }
    }
}

/// The length of a header's name, which may contain NUL characters: the value follows the name and its terminator in
/// one allocation (librdkafka `rdkafka_header.h`: `rd_kafka_header_s`). For a null value the first NUL ends the name.
///
/// # Safety
/// `name` and `value` must come from one call of `rd_kafka_header_get_all`.
unsafe fn name_bytes(name: *const c_char, value: *const c_char) -> usize {
    // SAFETY: the name is NUL-terminated.
    let shortest = unsafe { CStr::from_ptr(name) }.to_bytes().len();
    let to_value = (value as usize).wrapping_sub(name as usize);
    if value.is_null() || to_value <= shortest || to_value > isize::MAX as usize { shortest } else { to_value - 1 }
}

/// # Safety
/// `start` must be null or point to `length` bytes that live for `'a`.
#[inline]
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_not_looked_at_when_their_list_is_printed() {
        let headers = HeaderList(vec![Header { name: b"name", value: Some(b"value") }]);
        assert_eq!(format!("{headers:?}"), "HeaderList { .. }");
    }
}

// Declared here with plain numbers as results: see `code`.
unsafe extern "C" {
    fn rd_kafka_message_headers(
        message: *const sys::rd_kafka_message_t,
        headers: *mut *mut sys::rd_kafka_headers_t,
    ) -> i32;
    fn rd_kafka_header_get_all(
        headers: *const sys::rd_kafka_headers_t,
        index: usize,
        name: *mut *const c_char,
        value: *mut *const c_void,
        value_bytes: *mut usize,
    ) -> i32;
}
