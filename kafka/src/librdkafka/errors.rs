//! What an error code means to a caller.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::ffi::code::{Code, Failure};

/// The kind of an error code.
pub(super) fn kind(code: Code) -> ErrorKind {
    match code {
        Code::ALL_BROKERS_DOWN
        | Code::TRANSPORT
        | Code::RESOLVE
        | Code::SSL
        | Code::TIMED_OUT
        | Code::TIMED_OUT_QUEUE
        | Code::MSG_TIMED_OUT
        | Code::WAIT_COORD
        | Code::REQUEST_TIMED_OUT
        | Code::NETWORK_EXCEPTION
        | Code::BROKER_NOT_AVAILABLE
        | Code::LEADER_NOT_AVAILABLE
        | Code::NOT_LEADER_FOR_PARTITION
        | Code::NOT_COORDINATOR
        | Code::COORDINATOR_NOT_AVAILABLE
        | Code::COORDINATOR_LOAD_IN_PROGRESS => ErrorKind::Unreachable,
        Code::AUTHENTICATION
        | Code::SASL_AUTHENTICATION_FAILED
        | Code::UNSUPPORTED_SASL_MECHANISM
        | Code::ILLEGAL_SASL_STATE => ErrorKind::Authentication,
        Code::TOPIC_AUTHORIZATION_FAILED => ErrorKind::TopicDenied,
        Code::GROUP_AUTHORIZATION_FAILED => ErrorKind::GroupDenied,
        Code::CLUSTER_AUTHORIZATION_FAILED | Code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => ErrorKind::ClusterDenied,
        Code::UNKNOWN_TOPIC_OR_PART | Code::UNKNOWN_TOPIC | Code::UNKNOWN_PARTITION | Code::UNKNOWN_TOPIC_ID => {
            ErrorKind::UnknownTopic
        }
        Code::TOPIC_ALREADY_EXISTS => ErrorKind::TopicExists,
        Code::UNKNOWN_MEMBER_ID
        | Code::ILLEGAL_GENERATION
        | Code::REBALANCE_IN_PROGRESS
        | Code::FENCED_INSTANCE_ID
        | Code::FENCED_MEMBER_EPOCH
        | Code::STALE_MEMBER_EPOCH
        | Code::NON_EMPTY_GROUP => ErrorKind::GroupHasMembers,
        Code::MSG_SIZE_TOO_LARGE | Code::RECORD_LIST_TOO_LARGE => ErrorKind::RecordTooLarge,
        Code::INVALID_TIMESTAMP => ErrorKind::InvalidTimestamp,
        Code::INVALID_RECORD | Code::POLICY_VIOLATION => ErrorKind::InvalidRecord,
        Code::OFFSET_OUT_OF_RANGE | Code::AUTO_OFFSET_RESET => ErrorKind::OffsetOutOfRange,
        Code::LOG_TRUNCATION => ErrorKind::Truncated,
        // `INVALID_DIFFERENT_RECORD`: nothing is wrong with this record, but with another one of its batch.
        Code::FATAL
        | Code::GAPLESS_GUARANTEE
        | Code::INCONSISTENT
        | Code::FENCED
        | Code::PRODUCER_FENCED
        | Code::INVALID_PRODUCER_EPOCH
        | Code::OUT_OF_ORDER_SEQUENCE_NUMBER
        | Code::DUPLICATE_SEQUENCE_NUMBER
        | Code::UNKNOWN_PRODUCER_ID
        | Code::INVALID_DIFFERENT_RECORD => ErrorKind::ProducerFatal,
        Code::PURGE_QUEUE | Code::PURGE_INFLIGHT => ErrorKind::Purged,
        Code::QUEUE_FULL => ErrorKind::QueueFull,
        Code::UNSUPPORTED_FEATURE
        | Code::UNSUPPORTED_VERSION
        | Code::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | Code::NOT_IMPLEMENTED => ErrorKind::Unsupported,
        Code::INVALID_ARG => ErrorKind::Config,
        Code::INVALID_CONFIG => ErrorKind::InvalidConfig,
        _ => ErrorKind::Other,
    }
}

/// An error of the kind of `failure`, with what was being done before the client's words.
pub(super) fn error(doing: impl fmt::Display, failure: &Failure) -> Error {
    Error::new(kind(failure.code), format!("{doing}: {}", failure.text))
}
