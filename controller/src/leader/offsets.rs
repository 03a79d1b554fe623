//! Notes in the table how far partitions are stored, slowly: Kafka forgets an offset that nobody stores again for a week, and
//! the table does not. See `state::offsets`.
//!
//! What changed since the last round is noted in this one. A round comes a minute after the last, and in a large fleet more
//! seldom, so that the log grows by a few hundred offsets a second at most (a dozen kilobytes). What a round lost is noted by the
//! next.

use std::time::Duration;

use tokio::time::sleep;

use super::context::Context;
use super::entries::entries;
use super::tasks::End;
use crate::state::{Command, Life, NotedOffset};

/// How long after the begin of the leadership the first round comes: workers have come and reported by then.
const FIRST_AFTER: Duration = Duration::from_secs(10);
/// How long each partition of the table puts the next round off: a hundred thousand are gone through in five minutes.
const REST_FOR_EACH: Duration = Duration::from_millis(3);

/// Notes offsets until the leadership is over.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut work = context.table_work();
    let mut rest = FIRST_AFTER.min(context.config.offsets_interval);
    loop {
        sleep(rest).await;
        let of = context.clone();
        for entry in work.run(move || entries(changed(&of), |_| 1)).await {
            if let Err(end) = context.propose_or_log(Command::NoteOffsets(entry)).await {
                return Some(end);
            }
        }
        let partitions = u32::try_from(context.log.read().slots().len()).unwrap_or(u32::MAX);
        rest = context.config.offsets_interval.max(REST_FOR_EACH * partitions);
    }
}

/// What is stored otherwise than it was noted, session by session: each is locked for a moment only.
fn changed(context: &Context) -> Vec<NotedOffset> {
    let mut changed = Vec::new();
    for session in context.board.sessions() {
        let progress = context.board.progress_of(session);
        let state = context.log.read();
        for of in progress {
            let Some((stored, slot)) = of.stored_offset.zip(state.slots().get(&of.partition)) else { continue };
            if slot.life == (Life::Assigned { session, epoch: of.epoch }) && slot.noted_offset != Some(stored) {
                changed.push(NotedOffset { partition: of.partition, epoch: of.epoch, stored });
            }
        }
    }
    changed
}
