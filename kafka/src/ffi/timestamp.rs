//! Timestamp 0, the one thing about a record that the C interface cannot say.
//!
//! `rd_kafka_produceva` takes 0 for "now" (librdkafka 2.12.1 `rdkafka_msg.c`: `rd_kafka_msg_new0`). So a record of the
//! first millisecond of 1970 is produced with a stand-in, and before the message is queued an interceptor writes 0 over
//! it. The place is private to the C library, but its version is pinned and built in; the public getter is asked before
//! and after the write, and the process stops if it disagrees, since a wrong timestamp must not reach the target.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka_sys as sys;

/// What a record with timestamp 0 is produced with, until the interceptor has seen it.
pub(super) const STAND_IN: i64 = i64::MIN + 1;

/// librdkafka 2.12.1, whose private layout is known here.
const KNOWN_VERSION: i32 = 0x020c_01ff;

/// Where `rd_kafka_msg_t` (`rdkafka_msg.h`) keeps the timestamp: after the public message, two pointers and two `int`s.
const PLACE: usize = size_of::<sys::rd_kafka_message_t>() + 2 * size_of::<*const ()>() + 2 * size_of::<i32>();

/// Says whether the record that is being produced has timestamp 0. A producer is used by one thread at a time.
#[derive(Debug, Default)]
pub struct ZeroTimestamps {
    is_next: AtomicBool,
}

impl ZeroTimestamps {
    /// Has the future client of a configuration call the interceptor. `self` must outlive the client.
    pub(super) fn register(&self, config: *mut sys::rd_kafka_conf_t) {
        let own = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the configuration is alive; the name is copied; `self` is boxed beside the client, which is destroyed
        // first (see `Client`), and is only read as what it is.
        unsafe { sys::rd_kafka_conf_interceptor_add_on_new(config, NAME.as_ptr(), Some(on_new), own) };
    }

    /// Says that the next record produced has timestamp 0; false if that can't be done with this library.
    pub(super) fn announce(&self) -> bool {
        // SAFETY: no precondition.
        let is_known = unsafe { sys::rd_kafka_version() } == KNOWN_VERSION;
        self.is_next.store(is_known, Ordering::Relaxed);
        is_known
    }

    /// Forgets what was announced, if it was not used.
    pub(super) fn revoke(&self) {
        self.is_next.store(false, Ordering::Relaxed);
    }
}

const NAME: &std::ffi::CStr = c"timestamp-zero";

unsafe extern "C" fn on_new(
    client: *mut sys::rd_kafka_t,
    _config: *const sys::rd_kafka_conf_t,
    own: *mut c_void,
    _reason: *mut c_char,
    _reason_bytes: usize,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: called while the client is made, which is when interceptors are added.
    unsafe { sys::rd_kafka_interceptor_add_on_send(client, NAME.as_ptr(), Some(on_send), own) }
}

unsafe extern "C" fn on_send(
    _client: *mut sys::rd_kafka_t,
    message: *mut sys::rd_kafka_message_t,
    own: *mut c_void,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: `own` is what `register` passed, still alive since its client is.
    let own = unsafe { &*own.cast::<ZeroTimestamps>() };
    if own.is_next.load(Ordering::Relaxed) {
        own.is_next.store(false, Ordering::Relaxed);
        // SAFETY: librdkafka calls this in `rd_kafka_msg_new0` with the first field of an `rd_kafka_msg_t`, which nobody
        // else knows of yet. The version is the known one (`announce`), so the place lies inside that allocation, is
        // aligned and an `int64_t`.
        unsafe {
            let read = || sys::rd_kafka_message_timestamp(message, ptr::null_mut());
            let place = message.cast::<u8>().add(PLACE).cast::<i64>();
            assert_eq!((place.read(), read()), (STAND_IN, STAND_IN), "the timestamp is elsewhere");
            place.write(0);
            assert_eq!(read(), 0, "the timestamp is elsewhere");
        }
    }
    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}
