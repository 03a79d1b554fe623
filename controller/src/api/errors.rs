//! Why a request has no answer, and the one map from that to gRPC's status.

use common::ids::InvalidName;
use proto::{LEADER_METADATA, Malformed};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::leader::command_log::ProposeError;
use crate::state::Rejection;

/// Why a request has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApiError {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It speaks of something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// This node does not lead, or can't show that it does.
    #[error("{0}")]
    NotLeading(String),
    /// It may or may not have happened.
    #[error(
        "the outcome is unknown: {0}; it may have happened, now or later: look with `replisome event list`, or repeat \
         it, which is safe: what is there already exists"
    )]
    Unknown(String),
}

impl ApiError {
    /// What the caller is told, with the leader's address where it helps.
    pub fn into_status(self, leader: Option<&str>) -> Status {
        let code = match self {
            Self::Invalid(_) => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::Conflict(_) => Code::FailedPrecondition,
            Self::NotLeading(_) => Code::Unavailable,
            Self::Unknown(_) => Code::DeadlineExceeded,
        };
        let mut status = Status::new(code, self.to_string());
        if let Some(leader) = leader.filter(|_| code == Code::Unavailable) {
            put_leader(status.metadata_mut(), leader);
        }
        status
    }
}

/// Names the leader's address in an answer.
pub fn put_leader(metadata: &mut MetadataMap, leader: &str) {
    // An address that no header can carry helps nobody.
    if let Ok(leader) = MetadataValue::try_from(leader) {
        metadata.insert(LEADER_METADATA, leader);
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let text = rejection.to_string();
        match rejection {
            Rejection::UnknownCluster(_)
            | Rejection::UnknownRoute(_)
            | Rejection::UnknownTopic { .. }
            | Rejection::UnknownPartition(_)
            | Rejection::UnknownWorker(_)
            | Rejection::UnknownSession(_) => Self::NotFound(text),
            _ => Self::Conflict(text),
        }
    }
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Rejected(rejection) => rejection.into(),
            ProposeError::NotLeader => Self::NotLeading(error.to_string()),
            ProposeError::Unknown(why) => Self::Unknown(why),
        }
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<Malformed> for ApiError {
    fn from(error: Malformed) -> Self {
        Self::Invalid(error.to_string())
    }
}
