//! One worker's connection, from its hello to its end.

use common::assignment::{Down, Hello, Up};
use common::ids::SessionId;
use common::net::WorkerLink;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::super::command_log::ProposeError;
use super::super::context::Context;
use super::super::net::Net;
use super::super::tasks::{End, Tasks};
use crate::state::{Command, Effect, Rejection};

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
            down.send_replace(Some(Down::Refused("the first message must be a hello".into())));
            return None;
        }
        Ok(None) | Err(_) => return None,
    };
    let (session, worker) = (hello.session, hello.worker.clone());
    match register(&context, hello).await {
        Ok(()) => {}
        Err(ProposeError::NotLeader) => return Some(End::NotLeader),
        Err(refusal) => {
            warn!(%worker, %session, %refusal, "worker refused");
            down.send_replace(Some(Down::Refused(refusal.to_string())));
            return None;
        }
    }
    info!(%worker, %session, "worker attached");
    let number = context.board.attach(session, down, Instant::now() + context.config.lease);
    let end = listen(&context, session, number, &mut up).await;
    context.board.detach(session, number, Instant::now() + context.config.reconnect_grace);
    info!(%worker, %session, "worker detached");
    end
}

/// Takes messages until the connection ends or is no longer the session's.
async fn listen(context: &Context, session: SessionId, number: u64, up: &mut mpsc::Receiver<Up>) -> Option<End> {
    let Context { board, config, .. } = context;
    while let Some(message) = up.recv().await {
        if !board.renew(session, number, Instant::now() + config.lease) {
            return None;
        }
        match message {
            Up::Hello(_) | Up::Heartbeat => {}
            Up::Inventory(inventory) => board.set_inventory(session, inventory),
            Up::Progress(progress) => board.add_progress(session, progress),
            Up::Draining => {
                if let Err(end) = context.propose_or_log(Command::DrainSession { session }).await {
                    return Some(end);
                }
            }
        }
    }
    None
}

/// Puts a session into the table if it is not there. A worker that started anew gets its own partitions back at once,
/// unless its earlier self is still connected.
async fn register(context: &Context, hello: Hello) -> Result<(), ProposeError> {
    let Hello { worker, session, address, software } = hello;
    let replaces = context.log.read().session_of(&worker).filter(|current| *current != session);
    if let Some(current) = replaces.filter(|current| context.board.is_attached(*current)) {
        return Err(Rejection::WorkerInUse { worker, session: current }.into());
    }
    let command = Command::RegisterSession { session, worker, address, software, replaces };
    let outcome = context.propose(command).await?;
    match replaces {
        Some(replaced) => context.board.remove(replaced, "its worker started anew"),
        None if outcome.effect == Effect::Done => context.add_balance_budget(join_budget(context)),
        None => {}
    }
    Ok(())
}

/// What a join may move: the newcomer's even share.
fn join_budget(context: &Context) -> usize {
    let state = context.log.read();
    let working = state.sessions().values().filter(|session| !session.draining).count();
    state.slots().len().div_ceil(working.max(1))
}
