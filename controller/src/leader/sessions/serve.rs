//! One worker's connection, from its hello to its end.

use std::pin::pin;

use common::assignment::{Down, Hello, PROTOCOL, Refusal, RefusalKind, Running, Up};
use common::ids::{SessionId, WorkerId};
use common::net::WorkerLink;
use futures_util::future::OptionFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::super::command_log::ProposeError;
use super::super::context::Context;
use super::super::net::Net;
use super::super::tasks::{End, Tasks};
use super::leave::leave;
use super::quick_returns::{RETURNS_MAX, Return};
use crate::metrics::{MOVES_TOTAL, QUICK_RETURNS_TOTAL};
use crate::state::{Cause, Command, Effect, EventKind, NewEvent, Outcome, Rejection, State};

/// Accepts connections and serves each in a task of its own.
pub(crate) async fn accept(context: Context, mut net: Box<dyn Net>) -> Option<End> {
    let mut connections = Tasks::default();
    loop {
        tokio::select! {
            link = net.accept() => match link {
                Some(link) => connections.spawn(serve(context.clone(), link)),
                None => return Some(End::NetClosed),
            },
            end = connections.ended() => return Some(end),
        }
    }
}

async fn serve(context: Context, link: WorkerLink) -> Option<End> {
    let (mut up, down) = link.split();
    let hello = match timeout(context.config.lease, up.recv()).await {
        Ok(Some(Up::Hello(hello))) => hello,
        Ok(Some(_)) => {
            down.send(refused(&context, RefusalKind::Fatal, "the first message must be a hello"));
            return None;
        }
        Ok(None) | Err(_) => return None,
    };
    let (session, worker) = (hello.session, hello.worker.clone());
    // It is back, however long the registration takes.
    context.board.hold(session, Instant::now() + context.config.lease);
    match register(&context, hello).await {
        Ok(()) => {}
        Err(Unregistered::NotLeader) => return Some(End::NotLeader),
        Err(Unregistered::Unknown(why)) => {
            warn!(%worker, %session, why, "a registration has no known outcome; the worker dials again");
            return None;
        }
        Err(Unregistered::Refused(kind, text)) => {
            // That one asks once a second, and was told of already.
            if kind != RefusalKind::OtherFleet {
                warn!(%worker, %session, why = text, "worker refused");
            }
            down.send(refused(&context, kind, text));
            return None;
        }
    }
    info!(%worker, %session, "worker attached");
    let config = &context.config;
    down.send(Down::Renewed(context.renewal(0)));
    let number = context.board.attach(session, down, Instant::now() + config.lease);
    let (end, leaves) = listen(&context, session, number, &mut up).await;
    context.board.detach(session, number, Instant::now() + config.reconnect_grace);
    info!(%worker, %session, "worker detached");
    if end.is_none() && leaves { leave(&context, session).await.err() } else { end }
}

fn refused(context: &Context, kind: RefusalKind, text: impl Into<String>) -> Down {
    Down::Refused(Refusal { kind, lease: context.config.lease, text: text.into() })
}

/// Takes messages until the connection ends or is no longer the session's. Returns whether the worker said that it is
/// about to leave.
async fn listen(
    context: &Context,
    session: SessionId,
    number: u64,
    up: &mut mpsc::Receiver<Up>,
) -> (Option<End>, bool) {
    let Context { board, config, .. } = context;
    let mut leaves = false;
    // Beside the messages: a proposal may take as long as a lease.
    let mut draining = pin!(OptionFuture::default());
    loop {
        let message = tokio::select! {
            message = up.recv() => message,
            Some(outcome) = &mut draining => match outcome {
                Ok(_) => {
                    draining.set(None.into());
                    continue;
                }
                Err(end) => return (Some(end), leaves),
            },
        };
        let Some(message) = message else { return (None, leaves) };
        if !board.renew(session, number, Instant::now() + config.lease) {
            return (None, false);
        }
        match message {
            Up::Hello(_) => {}
            Up::Heartbeat(heartbeat) => board.answer(session, heartbeat, context.renewal(heartbeat.number)),
            Up::Inventory(mut inventory) => {
                if board.is_news(session, &inventory) {
                    share_names(&context.log.read(), &mut inventory.running);
                    board.set_inventory(session, inventory);
                }
            }
            Up::Progress(progress) => board.add_progress(session, progress),
            Up::Draining => {
                leaves = true;
                draining.set(Some(drain(context, session)).into());
            }
        }
    }
}

/// Has what came over the wire use the table's names: those of a large fleet's partitions are most of what it says.
fn share_names(state: &State, running: &mut [Running]) {
    for running in running {
        if let Some((partition, _)) = state.slots().get_key_value(&running.partition) {
            running.partition = partition.clone();
        }
    }
}

/// Takes everything back from a session.
async fn drain(context: &Context, session: SessionId) -> Result<(), End> {
    let outcome = context.propose_or_log(Command::DrainSession { session }).await?;
    if let Some(Outcome { effect: Effect::Batch { applied, .. }, .. }) = outcome {
        metrics::counter!(MOVES_TOTAL, "reason" => Cause::Drain.name()).increment(applied as u64);
    }
    Ok(())
}

/// Why a session is not registered.
enum Unregistered {
    /// By another leader, perhaps.
    NotLeader,
    /// It may be.
    Unknown(String),
    /// What the worker is told.
    Refused(RefusalKind, String),
}

impl From<ProposeError> for Unregistered {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader => Self::NotLeader,
            ProposeError::Unknown(why) => Self::Unknown(why),
            ProposeError::Rejected(rejection @ Rejection::SessionEnded(_)) => {
                Self::Refused(RefusalKind::SessionEnded, rejection.to_string())
            }
            // Somebody registered in between: the next attempt sees it.
            ProposeError::Rejected(rejection) => Self::Unknown(rejection.to_string()),
        }
    }
}

/// Whether a worker starts anew so often that others get its partitions first. Says so once for each start.
async fn is_flapping(context: &Context, worker: &WorkerId, before: SessionId) -> Result<bool, Unregistered> {
    let judged = context.quick_returns.judge(worker, before, Instant::now());
    let outcome = if judged == Return::Quick { "taken" } else { "refused" };
    match judged {
        Return::Quick => {}
        Return::TooMany { is_news: false } => return Ok(true),
        Return::TooMany { is_news: true } => {
            let text = format!(
                "worker {worker} was started anew more than {RETURNS_MAX} times within a minute: others get its partitions \
                 before it is taken again"
            );
            let event = NewEvent::new(EventKind::Session, text);
            if context.propose_or_log(Command::RecordEvents(vec![event])).await.is_err() {
                return Err(Unregistered::NotLeader);
            }
        }
    }
    metrics::counter!(QUICK_RETURNS_TOTAL, "outcome" => outcome).increment(1);
    Ok(judged != Return::Quick)
}

/// Puts a session into the table if it is not there. A worker that started anew in its pool gets its own partitions back at
/// once, unless its earlier self is still connected, or it starts anew again and again.
async fn register(context: &Context, hello: Hello) -> Result<(), Unregistered> {
    let Hello { protocol, worker, session, address, software, weight, pool, fleet } = hello;
    if protocol != PROTOCOL {
        let text = format!(
            "worker {worker} (version {software}) speaks protocol {protocol}, this controller {PROTOCOL}; run the same \
             version of replisome on both"
        );
        return Err(Unregistered::Refused(RefusalKind::Fatal, text));
    }
    let here = context.log.read().fleet().clone();
    if let Some(its) = fleet.filter(|its| *its != here) {
        let text = format!("the controllers are those of fleet {here}, worker {worker} is of {its}");
        if context.strangers.note(&worker, &its, Instant::now()) {
            warn!(%worker, "{text}");
        }
        return Err(Unregistered::Refused(RefusalKind::OtherFleet, text));
    }
    let replaces = context.log.read().session_of(&worker).filter(|current| *current != session);
    if let Some(current) = replaces {
        let in_use = |why| {
            let holder = context.log.read().sessions().get(&current).map(|session| session.address.clone());
            let holder = holder.unwrap_or_default();
            let text = format!("worker id {worker} is in use by {holder} (session {current}){why}");
            Unregistered::Refused(RefusalKind::InUse, text)
        };
        // A connection on which nothing came for a lease is none: its machine is gone, and nobody told.
        if context.board.is_attached(current) && !context.board.was_overdue(current, Instant::now()) {
            return Err(in_use("; stop it, or give this worker another id"));
        }
        // While moves are held its partitions go to nobody else.
        let is_held = {
            let state = context.log.read();
            state.sessions().get(&current).is_some_and(|session| state.holds().contains_key(&session.pool))
        };
        if !is_held && is_flapping(context, &worker, current).await? {
            return Err(in_use(
                ", and it was started anew too often within a minute: its partitions go to others first",
            ));
        }
    }
    let command = Command::RegisterSession { session, worker, address, software, weight, pool, replaces };
    context.propose(command).await?;
    if let Some(replaced) = replaces {
        context.board.remove(replaced, "its worker started anew");
    }
    Ok(())
}
