//! The keeper on a thread of its own, and each lane's line to it.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::time::Instant;

use crate::engine::board::Board;
use crate::engine::keeper::Keeper;
use crate::engine::ledger::{Answer, Ledger, Question};

/// Sets of questions that may wait for the keeper: each lane has one open at a time, and there are fewer lanes.
const OPEN_MAX: usize = 1_024;

struct Request {
    questions: Vec<Question>,
    reply: Sender<Vec<Answer>>,
}

/// A keeper that answers until all lines to it are dropped.
pub struct KeeperThread {
    requests: Sender<Request>,
    thread: JoinHandle<()>,
}

/// A lane's line to its keeper.
pub struct LedgerHandle {
    requests: Sender<Request>,
    reply: Sender<Vec<Answer>>,
    answers: Receiver<Vec<Answer>>,
}

impl KeeperThread {
    /// Starts the thread.
    pub fn start(mut keeper: Keeper, board: &Arc<Board>) -> Self {
        let (requests, incoming) = bounded::<Request>(OPEN_MAX);
        let name = format!("keeper-{}", keeper.route.name);
        let watchdog = board.watch_thread(&name);
        let work = move || {
            let _watchdog = watchdog;
            for Request { questions, reply } in incoming {
                let answers = keeper.answer(&questions, Instant::now());
                // A lane that has gone needs no answer.
                let _ = reply.send(answers);
            }
        };
        let thread = std::thread::Builder::new().name(name).spawn(work).expect("the system has room for a thread");
        Self { requests, thread }
    }

    /// A line for one more lane.
    pub fn line(&self) -> LedgerHandle {
        let (reply, answers) = bounded(1);
        LedgerHandle { requests: self.requests.clone(), reply, answers }
    }

    /// Waits until the last question is answered. All lines must be dropped before.
    pub fn join(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the keeper's thread panicked");
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
