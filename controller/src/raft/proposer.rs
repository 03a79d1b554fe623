//! Proposals, gathered into entries: openraft commits one entry after the other, so many commands must share one.

use std::sync::Arc;
use std::sync::RwLockReadGuard;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::ids::Revision;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::table::Table;
use super::types::{Batch, Metrics, Raft};
use crate::leader::command_log::{BoxFuture, CommandLog, ProposeError};
use crate::state::{Envelope, Outcome, Rejection, State};

/// How many commands one entry holds.
const ENVELOPES_MAX: usize = 1_000;
/// How many bytes they have: an entry must reach a peer within one heartbeat.
const BYTES_MAX: usize = 1024 * 1024;
/// How many proposals wait. More wait at the sender.
const QUEUE: usize = 4 * ENVELOPES_MAX;
/// After this long the outcome is called unknown.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// One command that waits for its outcome.
struct Proposal {
    envelope: Envelope,
    bytes: usize,
    answer: oneshot::Sender<Result<Outcome, ProposeError>>,
}

/// The log, as the leader sees it.
pub(super) struct RaftLog {
    table: Arc<Table>,
    queue: mpsc::Sender<Proposal>,
    /// The term of the last entry that this process proposed and saw committed; 0 before.
    written_term: Arc<AtomicU64>,
    shown: watch::Receiver<Metrics>,
}

impl RaftLog {
    /// Starts the task that proposes. It ends with the last owner of the log.
    pub fn start(raft: Raft, table: Arc<Table>) -> Self {
        let (queue, proposals) = mpsc::channel(QUEUE);
        let (written_term, shown) = (Arc::new(AtomicU64::new(0)), raft.metrics());
        tokio::spawn(propose_all(raft, proposals, written_term.clone()));
        Self { table, queue, written_term, shown }
    }

    /// The term of the last entry that this process proposed and saw committed; 0 before.
    pub fn written_term(&self) -> u64 {
        self.written_term.load(Ordering::Acquire)
    }

    async fn propose_one(&self, envelope: Envelope) -> Result<Outcome, ProposeError> {
        let size = postcard::ser_flavors::Size::default();
        let bytes = postcard::serialize_with_flavor(&envelope, size).map_err(|error| unknown(&error))?;
        if bytes > BYTES_MAX {
            return Err(Rejection::TooLarge { bytes, bytes_max: BYTES_MAX }.into());
        }
        let (answer, outcome) = oneshot::channel();
        let proposed = async {
            // Both fail only once the task is gone, and what it never took it never proposed.
            self.queue.send(Proposal { envelope, bytes, answer }).await.map_err(|_| ProposeError::NotLeader)?;
            outcome.await.map_err(|_| ProposeError::Unknown("the log has stopped".into()))?
        };
        timeout(PATIENCE, proposed).await.unwrap_or_else(|_| Err(no_answer()))
    }
}

fn unknown(error: &impl ToString) -> ProposeError {
    ProposeError::Unknown(error.to_string())
}

/// Nothing came of a change in time; it may yet happen.
pub(super) fn no_answer() -> ProposeError {
    ProposeError::Unknown(format!("not committed within {} s", PATIENCE.as_secs()))
}

impl CommandLog for RaftLog {
    fn propose(&self, envelope: Envelope) -> BoxFuture<'_, Result<Outcome, ProposeError>> {
        Box::pin(self.propose_one(envelope))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.table.read()
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.table.revisions()
    }

    fn controllers(&self) -> Vec<String> {
        let membership = self.shown.borrow().membership_config.clone();
        membership.nodes().map(|(_, member)| member.address.clone()).collect()
    }
}

/// Takes what waits, makes one entry of it, and waits for that before it makes the next.
async fn propose_all(raft: Raft, mut proposals: mpsc::Receiver<Proposal>, written_term: Arc<AtomicU64>) {
    let mut left_over = None;
    loop {
        let first = match left_over.take() {
            Some(proposal) => proposal,
            None => match proposals.recv().await {
                Some(proposal) => proposal,
                None => return,
            },
        };
        let mut bytes = first.bytes;
        let mut gathered = vec![first];
        while gathered.len() < ENVELOPES_MAX {
            match proposals.try_recv() {
                Ok(next) if bytes + next.bytes <= BYTES_MAX => {
                    bytes += next.bytes;
                    gathered.push(next);
                }
                Ok(next) => {
                    left_over = Some(next);
                    break;
                }
                Err(_) => break,
            }
        }
        // Nobody waits for these any more, so that they may as well never happen.
        gathered.retain(|proposal| !proposal.answer.is_closed());
        if !gathered.is_empty() {
            commit(&raft, gathered, &written_term).await;
        }
    }
}

async fn commit(raft: &Raft, gathered: Vec<Proposal>, written_term: &AtomicU64) {
    let (envelopes, answers): (Vec<_>, Vec<_>) =
        gathered.into_iter().map(|proposal| (proposal.envelope, proposal.answer)).unzip();
    match write(raft, envelopes, written_term).await {
        Ok(outcomes) => {
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // The proposer may have given up.
                let _ = answer.send(outcome.map_err(Into::into));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

async fn write(
    raft: &Raft,
    envelopes: Vec<Envelope>,
    written_term: &AtomicU64,
) -> Result<Vec<Result<Outcome, Rejection>>, ProposeError> {
    let batch = Batch::new(envelopes);
    let logged = batch.logged();
    let error = match timeout(PATIENCE, raft.client_write(batch)).await {
        Ok(Ok(written)) => {
            written_term.store(written.log_id.leader_id.term, Ordering::Release);
            return Ok(written.data);
        }
        Ok(Err(error)) => error,
        Err(_) => return Err(no_answer()),
    };
    // Once it was in the log it may still be committed, by another leader that has it.
    let never_logged = !logged.load(Ordering::Acquire);
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) | RaftError::Fatal(_) if never_logged => {
            Err(ProposeError::NotLeader)
        }
        error => Err(unknown(&error)),
    }
}
