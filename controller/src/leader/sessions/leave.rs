//! A worker that shut down in good order: it drained, said that it leaves, and its connection ended.

use std::collections::BTreeSet;

use common::ids::SessionId;

use super::super::context::Context;
use super::super::entries::entries;
use super::super::reconcile::{count_moves, give_back, given_back_by};
use super::super::tasks::End;
use super::leases::moves_of;
use crate::state::command::Release;
use crate::state::{Cause, Command, Move};

/// Ends its session: nothing is to be waited for. It may have gone before its releases were noticed, so that the table still
/// shows what it gave back; that it runs nothing is what counts. What it had goes to others in the entry that ends it, if nobody
/// else is leaving just now; what many had is placed by the next plan, all of it at once.
pub(super) async fn leave(context: &Context, session: SessionId) -> Result<(), End> {
    if !has_left(context, session) {
        return Ok(());
    }
    let alone = context.leaving.try_lock();
    let (released, moves) = if alone.is_ok() { legacy(context, session).await } else { Default::default() };
    if !has_left(context, session) {
        return Ok(());
    }
    let mut released = entries(released, |_| 1);
    let last = released.pop().unwrap_or_default();
    for entry in released {
        give_back(context, entry).await?;
    }
    let reason = "it gave everything back and left".to_owned();
    let end = Command::ExpireSession { session, reason: reason.clone(), moves: moves.clone() };
    // One after the other into the queue, and so mostly into one entry: first what it gave back, then its end.
    let (given_back, ended) = tokio::join!(biased; give_back(context, last), context.propose_or_log(end));
    given_back?;
    // Without an outcome it is found overdue after its grace.
    if let Some(outcome) = ended? {
        count_moves(&moves, Some(&outcome));
        context.board.remove(session, &reason);
    }
    Ok(())
}

fn has_left(context: &Context, session: SessionId) -> bool {
    context.board.runs_nothing(session) && !context.board.is_attached(session)
}

/// What it gave back that the table does not know of, and where all that it had goes.
async fn legacy(context: &Context, session: SessionId) -> (Vec<Release>, Vec<Move>) {
    let (of, mut work) = (context.clone(), context.table_work());
    let look = move || {
        let mut moves = moves_of(&of, session, &BTreeSet::from([session])).unwrap_or_default();
        moves.iter_mut().filter(|step| step.cause == Cause::SessionLost).for_each(|step| step.cause = Cause::Released);
        (given_back_by(&of, session), moves)
    };
    work.run(look).await
}
