//! The C library's log lines, given to `tracing`. They come from its own threads.
//!
//! Broken connections are debug lines here: they come back as events, and who reads those knows what they mean.

use std::ffi::{CStr, c_char, c_int};

use rdkafka_sys::rd_kafka_t;
use tracing::{debug, warn};

/// Lines up to this level of syslog ("warning") are warnings, if they aren't of a noisy kind.
const WARNING: c_int = 4;

/// Kinds that accompany every broken connection or slow answer, or comment on settings that are chosen on purpose.
const NOISY: [&[u8]; 8] = [b"FAIL", b"ERROR", b"DISCONN", b"REQTMOUT", b"TIMEOUT", b"FATAL", b"GETPID", b"CONFWARN"];

/// The callback for log lines.
pub(super) unsafe extern "C" fn line(
    _client: *const rd_kafka_t,
    level: c_int,
    kind: *const c_char,
    text: *const c_char,
) {
    // SAFETY: librdkafka passes NUL-terminated strings that live until the callback returns.
    let (kind, text) = unsafe { (CStr::from_ptr(kind), CStr::from_ptr(text)) };
    let noisy = NOISY.contains(&kind.to_bytes());
    let (kind, text) = (kind.to_string_lossy(), text.to_string_lossy());
    if level <= WARNING && !noisy {
        warn!(target: "librdkafka", kind = &*kind, "{}", text.trim());
    } else {
        debug!(target: "librdkafka", kind = &*kind, "{}", text.trim());
    }
}
