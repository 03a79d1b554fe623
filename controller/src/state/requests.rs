//! The answers to operators' requests, by request id, so that repeating one is safe. An id names one command: another
//! one under the same id is refused, not taken for done.

use std::collections::{BTreeMap, VecDeque};

use common::ids::Revision;
use serde::{Deserialize, Serialize};

use super::command::{Command, RequestId};
use super::outcome::{Outcome, Rejection};

/// How many answers are kept: an operator's tool repeats within seconds, not after ten thousand other commands.
pub const REQUESTS_MAX: usize = 10_000;

/// Tells one command from another.
pub type Fingerprint = u64;

/// The fingerprint of a command: FNV-1a over its written form, the same on every controller.
pub fn fingerprint(command: &Command) -> Fingerprint {
    let bytes = postcard::to_allocvec(command).expect("what goes into the log can be written");
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The table of answers. A rejected request is not kept, since it changed nothing and may be tried again.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Requests {
    answers: BTreeMap<RequestId, (Fingerprint, Outcome)>,
    oldest_first: VecDeque<RequestId>,
}

impl Requests {
    /// What is answered to a request that was done before; `None` for a new one.
    pub fn answer(&self, request: RequestId, asked: Fingerprint) -> Option<Result<Outcome, Rejection>> {
        let (known, outcome) = self.answers.get(&request)?;
        Some(if *known == asked { Ok(outcome.clone()) } else { Err(Rejection::RequestReused(request)) })
    }

    /// The change that a request made.
    pub fn change_of(&self, request: RequestId) -> Option<Revision> {
        self.answers.get(&request).map(|(_, outcome)| outcome.revision)
    }

    /// Keeps an answer and forgets the oldest beyond the bound.
    pub fn remember(&mut self, request: RequestId, asked: Fingerprint, outcome: Outcome) {
        if self.answers.insert(request, (asked, outcome)).is_none() {
            self.oldest_first.push_back(request);
        }
        while self.oldest_first.len() > REQUESTS_MAX {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }

    /// How many answers are kept.
    pub fn len(&self) -> usize {
        self.answers.len()
    }
}
