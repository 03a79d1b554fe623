//! A worker that shut down in good order: it drained, said that it leaves, and its connection ended.

use std::collections::BTreeSet;

use common::ids::SessionId;

use super::super::context::Context;
use super::super::reconcile::{count_moves, give_back, given_back_by};
use super::super::tasks::End;
use super::leases::moves_of;
use crate::state::{Cause, Command};

/// Ends its session: nothing is to be waited for. It may have gone before its releases were noticed, so that the table still
/// shows what it gave back; that it runs nothing is what counts. What it had goes to others in the entry that ends it.
pub(super) async fn leave(context: &Context, session: SessionId) -> Option<End> {
    if !context.board.runs_nothing(session) || context.board.is_attached(session) {
        return None;
    }
    let (of, mut work) = (context.clone(), context.table_work());
    let found = work.run(move || {
        let mut moves = moves_of(&of, session, &BTreeSet::from([session]))?;
        moves.iter_mut().filter(|step| step.cause == Cause::SessionLost).for_each(|step| step.cause = Cause::Released);
        Some((given_back_by(&of, session), moves))
    });
    let (released, moves) = found.await?;
    let reason = "it gave everything back and left".to_owned();
    let end = Command::ExpireSession { session, reason: reason.clone(), moves: moves.clone() };
    // At once, so that one entry has both: first what it gave back, then its end.
    match tokio::join!(give_back(context, released), context.propose_or_log(end)) {
        (Ok(_), Ok(Some(outcome))) => {
            count_moves(&moves, Some(&outcome));
            context.board.remove(session, &reason);
            None
        }
        // It is found overdue after its grace.
        (Ok(_), Ok(None)) => None,
        (Err(end), _) | (_, Err(end)) => Some(end),
    }
}
