//! Why something stands still, in JSON.

use proto::v1::Reason;
use serde::Serialize;

/// A reason as scripts read it.
#[derive(Serialize)]
pub struct ReasonRow {
    /// A stable word.
    kind: String,
    /// For people: what, and what to do about it.
    text: String,
    /// Whether it goes on by itself once the cause is gone.
    heals: bool,
    /// The numbers and names in it, by kind.
    data: serde_json::Value,
}

impl From<Reason> for ReasonRow {
    fn from(reason: Reason) -> Self {
        let data = serde_json::from_str(&reason.json).unwrap_or_default();
        Self { kind: reason.kind, text: reason.text, heals: reason.heals, data }
    }
}

/// What a person is told of it; nothing if there is none.
pub fn text(reason: Option<&ReasonRow>) -> String {
    reason.map(|reason| reason.text.clone()).unwrap_or_default()
}
