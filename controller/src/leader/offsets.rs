//! Notes in the table how far partitions are stored, slowly: Kafka forgets an offset that nobody stores again for a week, and
//! the table does not. See `state::offsets`.
//!
//! What changed since the last round is noted in this one, some thousand offsets at a time with a rest between: a large fleet's
//! would fill the log and the memory of all controllers at once. So a round comes a minute after the last, and takes five for a
//! hundred thousand partitions: a dozen kilobytes a second. What a round lost is noted by the next.

use std::time::Duration;

use common::ids::SessionId;
use tokio::time::{Instant, sleep, sleep_until};

use super::context::Context;
use super::entries::entries;
use super::tasks::End;
use crate::state::{Command, Life, NotedOffset};

/// How long after the begin of the leadership the first round comes: workers have come and reported by then.
const FIRST_AFTER: Duration = Duration::from_secs(10);
/// How many offsets are noted at once; those of one session are not parted.
const AT_ONCE: usize = 5_000;
/// How long each puts the next ones off.
const REST_FOR_EACH: Duration = Duration::from_millis(3);

/// Notes offsets until the leadership is over.
pub(crate) async fn run(context: Context) -> Option<End> {
    let mut work = context.table_work();
    sleep(FIRST_AFTER.min(context.config.offsets_interval)).await;
    loop {
        let next_round = Instant::now() + context.config.offsets_interval;
        let mut sessions = context.board.sessions();
        while !sessions.is_empty() {
            let of = context.clone();
            let noted;
            (noted, sessions) = work.run(move || changed(&of, sessions)).await;
            let rest = REST_FOR_EACH * u32::try_from(noted.len()).unwrap_or(u32::MAX);
            for entry in entries(noted, |_| 1) {
                if let Err(end) = context.propose_or_log(Command::NoteOffsets(entry)).await {
                    return Some(end);
                }
            }
            sleep(rest).await;
        }
        sleep_until(next_round).await;
    }
}

/// What is stored otherwise than it was noted, of as many sessions as make enough of it, and the sessions that are left.
fn changed(context: &Context, mut sessions: Vec<SessionId>) -> (Vec<NotedOffset>, Vec<SessionId>) {
    let mut changed = Vec::new();
    while changed.len() < AT_ONCE
        && let Some(session) = sessions.pop()
    {
        let progress = context.board.progress_of(session);
        let state = context.log.read();
        for of in progress {
            let Some((stored, slot)) = of.stored_offset.zip(state.slots().get(&of.partition)) else { continue };
            let is_its_own = slot.life == (Life::Assigned { session, epoch: of.epoch });
            let is_news = is_its_own && slot.noted_offset.get() != Some(stored);
            let noted = NotedOffset { partition: of.partition, epoch: of.epoch, stored };
            if is_news && state.check_noted(&noted).is_ok() {
                changed.push(noted);
            }
        }
    }
    (changed, sessions)
}
