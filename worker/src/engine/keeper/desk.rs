//! Where a keeper answers, and each lane's line to it.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::time::Instant;

use crate::engine::board::{Board, Watchdog};
use crate::engine::keeper::Keeper;
use crate::engine::ledger::{Answer, Ledger, Question};
use crate::host::{Turn, Work};

/// Sets of questions that may wait for the keeper: each lane has one open at a time, and there are fewer lanes.
const OPEN_MAX: usize = 1_024;
/// How long a keeper waits for questions before it looks around; there is nothing to see.
const WAIT_IDLE: Duration = Duration::from_secs(3_600);

struct Request {
    questions: Vec<Question>,
    reply: Sender<Vec<Answer>>,
}

/// A keeper that answers until all lines to it are dropped.
pub(crate) struct Desk {
    keeper: Keeper,
    requests: Receiver<Request>,
    _watchdog: Watchdog,
}

/// The lines to a keeper.
pub(crate) struct Exchange(Sender<Request>);

/// A lane's line to its keeper.
pub struct LedgerHandle {
    requests: Sender<Request>,
    reply: Sender<Vec<Answer>>,
    answers: Receiver<Vec<Answer>>,
}

impl Desk {
    /// A desk for a keeper, and the lines to it. `name` is what a panic is reported under.
    pub(crate) fn new(keeper: Keeper, board: &Arc<Board>, name: &str) -> (Self, Exchange) {
        let (requests, incoming) = bounded(OPEN_MAX);
        let desk = Self { keeper, requests: incoming, _watchdog: board.watch(name) };
        (desk, Exchange(requests))
    }
}

impl Exchange {
    /// A line for one more lane.
    pub(crate) fn line(&self) -> LedgerHandle {
        let (reply, answers) = bounded(1);
        LedgerHandle { requests: self.0.clone(), reply, answers }
    }
}

impl Work for Desk {
    /// Answers one set of questions.
    fn turn(&mut self, patience: Duration) -> Turn {
        match self.requests.recv_timeout(patience) {
            Ok(Request { questions, reply }) => {
                let answers = self.keeper.answer(&questions, Instant::now());
                // A lane that has gone needs no answer.
                let _ = reply.send(answers);
                Turn::Next(WAIT_IDLE)
            }
            Err(RecvTimeoutError::Timeout) => Turn::Next(WAIT_IDLE),
            Err(RecvTimeoutError::Disconnected) => Turn::End,
        }
    }
}

impl Ledger for LedgerHandle {
    fn ask(&mut self, questions: Vec<Question>) {
        let request = Request { questions, reply: self.reply.clone() };
        if self.requests.send(request).is_err() {
            // It panicked, which ends the worker.
            tracing::error!("the keeper is gone");
        }
    }

    fn answers(&mut self) -> Option<Vec<Answer>> {
        self.answers.try_recv().ok()
    }
}
