//! The answers to operators' requests, by request id, so that repeating one is safe.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::command::RequestId;
use super::outcome::Outcome;

/// How many answers are kept: an operator's tool repeats within seconds, not after ten thousand other commands.
pub const REQUESTS_MAX: usize = 10_000;

/// The table of answers. A rejected request is not kept, since it changed nothing and may be tried again.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Requests {
    answers: BTreeMap<RequestId, Outcome>,
    oldest_first: VecDeque<RequestId>,
}

impl Requests {
    /// What was answered to this request, if it is known.
    pub fn answer(&self, request: RequestId) -> Option<&Outcome> {
        self.answers.get(&request)
    }

    /// Keeps an answer and forgets the oldest beyond the bound.
    pub fn remember(&mut self, request: RequestId, outcome: Outcome) {
        if self.answers.insert(request, outcome).is_none() {
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
