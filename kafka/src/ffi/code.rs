//! Error codes, as numbers. A broker may send a code that this binding does not know, so they are never read as the
//! binding's `enum`.

use std::ffi::{CStr, c_char};
use std::fmt;

use rdkafka_sys::rd_kafka_error_t;
use rdkafka_sys::rd_kafka_resp_err_t as Known;

/// An error code of the client (negative) or the Kafka protocol (positive).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($name:ident = $known:ident),* $(,)?) => {
        #[allow(missing_docs)]
        impl Code {
            $(pub const $name: Self = Self(Known::$known as i32);)*
        }
    };
}

codes! {
    ALL_BROKERS_DOWN = RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
    AUTHENTICATION = RD_KAFKA_RESP_ERR__AUTHENTICATION,
    AUTO_OFFSET_RESET = RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
    BROKER_NOT_AVAILABLE = RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
    CLUSTER_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    COORDINATOR_LOAD_IN_PROGRESS = RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    COORDINATOR_NOT_AVAILABLE = RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    DUPLICATE_SEQUENCE_NUMBER = RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER,
    FATAL = RD_KAFKA_RESP_ERR__FATAL,
    FENCED = RD_KAFKA_RESP_ERR__FENCED,
    FENCED_INSTANCE_ID = RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
    FENCED_MEMBER_EPOCH = RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH,
    GAPLESS_GUARANTEE = RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE,
    GROUP_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    ILLEGAL_GENERATION = RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
    ILLEGAL_SASL_STATE = RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE,
    INCONSISTENT = RD_KAFKA_RESP_ERR__INCONSISTENT,
    INVALID_ARG = RD_KAFKA_RESP_ERR__INVALID_ARG,
    INVALID_COMMIT_OFFSET_SIZE = RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE,
    INVALID_CONFIG = RD_KAFKA_RESP_ERR_INVALID_CONFIG,
    INVALID_DIFFERENT_RECORD = RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD,
    INVALID_PRODUCER_EPOCH = RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
    INVALID_RECORD = RD_KAFKA_RESP_ERR_INVALID_RECORD,
    INVALID_TIMESTAMP = RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
    LEADER_NOT_AVAILABLE = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    LOG_TRUNCATION = RD_KAFKA_RESP_ERR__LOG_TRUNCATION,
    MSG_SIZE_TOO_LARGE = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    MSG_TIMED_OUT = RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
    NETWORK_EXCEPTION = RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
    NONE = RD_KAFKA_RESP_ERR_NO_ERROR,
    NON_EMPTY_GROUP = RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP,
    NOT_COORDINATOR = RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    NOT_IMPLEMENTED = RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED,
    NOT_LEADER_FOR_PARTITION = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    OFFSET_METADATA_TOO_LARGE = RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE,
    OFFSET_OUT_OF_RANGE = RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
    OUT_OF_ORDER_SEQUENCE_NUMBER = RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
    PARTITION_EOF = RD_KAFKA_RESP_ERR__PARTITION_EOF,
    POLICY_VIOLATION = RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    PREV_IN_PROGRESS = RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
    PRODUCER_FENCED = RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
    PURGE_INFLIGHT = RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
    PURGE_QUEUE = RD_KAFKA_RESP_ERR__PURGE_QUEUE,
    QUEUE_FULL = RD_KAFKA_RESP_ERR__QUEUE_FULL,
    REBALANCE_IN_PROGRESS = RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
    RECORD_LIST_TOO_LARGE = RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
    REQUEST_TIMED_OUT = RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    RESOLVE = RD_KAFKA_RESP_ERR__RESOLVE,
    SASL_AUTHENTICATION_FAILED = RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
    SSL = RD_KAFKA_RESP_ERR__SSL,
    STALE_MEMBER_EPOCH = RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH,
    STATE = RD_KAFKA_RESP_ERR__STATE,
    TIMED_OUT = RD_KAFKA_RESP_ERR__TIMED_OUT,
    TIMED_OUT_QUEUE = RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
    TOPIC_ALREADY_EXISTS = RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
    TOPIC_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    TRANSPORT = RD_KAFKA_RESP_ERR__TRANSPORT,
    UNKNOWN_MEMBER_ID = RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
    UNKNOWN_PARTITION = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
    UNKNOWN_PRODUCER_ID = RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
    UNKNOWN_TOPIC = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    UNKNOWN_TOPIC_ID = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PART = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    UNSUPPORTED_FEATURE = RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
    UNSUPPORTED_FOR_MESSAGE_FORMAT = RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
    UNSUPPORTED_SASL_MECHANISM = RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM,
    UNSUPPORTED_VERSION = RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION,
    WAIT_COORD = RD_KAFKA_RESP_ERR__WAIT_COORD,
}

// The binding's declarations of these speak of its `enum`; the C functions take and return an `int`.
unsafe extern "C" {
    fn rd_kafka_err2str(code: i32) -> *const c_char;
    fn rd_kafka_error_code(error: *const rd_kafka_error_t) -> i32;
}

impl fmt::Display for Code {
    /// The client's own words for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: takes any number and returns a NUL-terminated text: a static one, or for a number it does not know
        // one in storage of this thread that lives until its next call.
        let text = unsafe { CStr::from_ptr(rd_kafka_err2str(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

/// Reads the code in memory that the binding declares as its `enum`.
///
/// # Safety
/// `code` must point to a readable, aligned code.
pub(super) unsafe fn read(code: *const Known) -> Code {
    // SAFETY: the enum is `repr(i32)`, so the place is readable as one, whatever its value.
    Code(unsafe { code.cast::<i32>().read() })
}

/// A failure as the C library reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Its code.
    pub code: Code,
    /// The client's words; a code's general text if there were none.
    pub text: String,
}

impl Failure {
    /// A failure of which only the code is known.
    pub fn of(code: Code) -> Self {
        Self { code, text: code.to_string() }
    }

    /// `Err` unless the code is `NONE`.
    pub fn check(code: Code) -> Result<(), Self> {
        if code == Code::NONE { Ok(()) } else { Err(Self::of(code)) }
    }
}

/// Takes an error object apart; null is no error.
///
/// # Safety
/// `error` must be null or an error object that nobody else destroys.
pub(super) unsafe fn take(error: *mut rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so a live error object; its text lives as long as it does and is copied before it is destroyed.
    let failure = unsafe {
        let text = CStr::from_ptr(rdkafka_sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        Failure { code: Code(rd_kafka_error_code(error)), text }
    };
    // SAFETY: ours to destroy, by the caller's promise, and not used after this.
    unsafe { rdkafka_sys::rd_kafka_error_destroy(error) };
    Err(failure)
}

/// The failure in an error object that stays with its owner; null is no error.
///
/// # Safety
/// `error` must be null or point to a live error object.
pub(super) unsafe fn peek(error: *const rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: live by the caller's promise; the text is copied.
    let (code, text) = unsafe { (Code(rd_kafka_error_code(error)), rdkafka_sys::rd_kafka_error_string(error)) };
    // SAFETY: NUL-terminated and alive as long as the error object.
    Err(Failure { code, text: unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() })
}
