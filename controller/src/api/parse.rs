//! What is in a request, checked once, here: inside, names and numbers are trusted.

use std::str::FromStr;

use common::ids::InvalidName;
use proto::v1;

use super::errors::ApiError;
use crate::state::RequestId;

/// The longest text of a person that is kept in the table (an actor, a reason for a pause).
const TEXT_BYTES_MAX: usize = 1_024;

/// Who asks for a change, and under which id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The same for each repetition.
    pub request: RequestId,
    /// For people.
    pub actor: String,
}

/// Reads the context of a change.
pub fn asked(context: Option<v1::RequestContext>) -> Result<Asked, ApiError> {
    let context =
        context.ok_or_else(|| ApiError::Invalid("context: is missing; a change needs a request id".into()))?;
    let invalid = |error| {
        let id = &context.request_id;
        ApiError::Invalid(format!("context.request_id: {id:?} is no ULID ({error}); make a new one for each request"))
    };
    let request = RequestId(ulid::Ulid::from_string(&context.request_id).map_err(invalid)?);
    Ok(Asked { request, actor: text("context.actor", context.actor)? })
}

/// Reads a text that is for people.
pub fn text(field: &str, value: String) -> Result<String, ApiError> {
    if value.len() > TEXT_BYTES_MAX {
        let found = value.len();
        return Err(ApiError::Invalid(format!("{field}: is {found} bytes long, {TEXT_BYTES_MAX} are the most")));
    }
    Ok(value)
}

/// Reads a controller's node id.
pub fn node(field: &str, value: u64) -> Result<u64, ApiError> {
    if value == 0 {
        return Err(ApiError::Invalid(format!("{field}: 0 stands for no controller; they count from 1")));
    }
    Ok(value)
}

/// Reads a name.
pub fn name<T: FromStr<Err = InvalidName>>(value: &str) -> Result<T, ApiError> {
    Ok(value.parse()?)
}

/// Reads a name that may be left out.
pub fn filter<T: FromStr<Err = InvalidName>>(value: &str) -> Result<Option<T>, ApiError> {
    if value.is_empty() { Ok(None) } else { name(value).map(Some) }
}
