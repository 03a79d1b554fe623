//! How often a worker may start anew and get its own partitions back at once. One that keeps crashing would else keep
//! its partitions from being copied.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{SessionId, WorkerId};
use tokio::time::Instant;

/// The time in which returns are counted.
const WITHIN: Duration = Duration::from_secs(60);
/// How many quick returns a worker has in that time. After them a new start is a death and a join.
pub(crate) const RETURNS_MAX: usize = 3;

/// Whether a worker that started anew gets its own partitions back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Return {
    /// At once.
    Quick,
    /// Others get them first.
    TooMany {
        /// Whether this is the first refusal since the session before was last seen.
        is_news: bool,
    },
}

/// The recent quick returns of each worker.
#[derive(Debug, Default)]
pub(crate) struct QuickReturns(Mutex<BTreeMap<WorkerId, Recent>>);

#[derive(Debug, Default)]
struct Recent {
    returns: VecDeque<Instant>,
    /// The session whose place was refused last.
    refused: Option<SessionId>,
}

impl Recent {
    /// Forgets what is past. Whether anything is left.
    fn prune(&mut self, now: Instant) -> bool {
        self.returns.retain(|at| now.saturating_duration_since(*at) < WITHIN);
        !self.returns.is_empty()
    }
}

impl QuickReturns {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Recent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a worker may take the place of its session before now; counts it if so.
    pub fn judge(&self, worker: &WorkerId, before: SessionId, now: Instant) -> Return {
        let mut all = self.lock();
        all.retain(|_, recent| recent.prune(now));
        let recent = all.entry(worker.clone()).or_default();
        if recent.returns.len() >= RETURNS_MAX {
            return Return::TooMany { is_news: recent.refused.replace(before) != Some(before) };
        }
        recent.returns.push_back(now);
        Return::Quick
    }

    /// The workers that have used all their returns up: they start anew again and again.
    pub fn flapping(&self, now: Instant) -> Vec<WorkerId> {
        let mut all = self.lock();
        all.retain(|_, recent| recent.prune(now));
        all.iter().filter(|(_, recent)| recent.returns.len() >= RETURNS_MAX).map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_returns_three_times_a_minute() {
        let (returns, start) = (QuickReturns::default(), Instant::now());
        let (one, other) = (WorkerId::new("w1").expect("legal"), WorkerId::new("w2").expect("legal"));
        let at = |second| start + Duration::from_secs(second);
        let judge = |worker, session, second| returns.judge(worker, SessionId::from_number(session), at(second));
        for second in 0..3 {
            assert_eq!(returns.flapping(at(second)), []);
            assert_eq!(judge(&one, u128::from(second), second), Return::Quick);
        }
        assert_eq!(returns.flapping(at(3)), std::slice::from_ref(&one));
        assert_eq!(judge(&one, 3, 3), Return::TooMany { is_news: true });
        assert_eq!(judge(&one, 3, 4), Return::TooMany { is_news: false }, "it tries on for a lease");
        assert_eq!(judge(&one, 4, 5), Return::TooMany { is_news: true });
        assert_eq!(judge(&other, 9, 5), Return::Quick);
        assert_eq!(judge(&one, 5, 60), Return::Quick);
        assert_eq!(judge(&one, 6, 60), Return::TooMany { is_news: true });
        assert_eq!(returns.flapping(at(200)), []);
    }
}
