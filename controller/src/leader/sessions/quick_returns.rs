//! How often a worker may start anew and get its own partitions back at once. One that keeps crashing would else keep
//! its partitions from being copied.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::ids::WorkerId;
use tokio::time::Instant;

/// The time in which returns are counted.
const WITHIN: Duration = Duration::from_secs(60);
/// How many quick returns a worker has in that time. After them a new start is a death and a join.
const RETURNS_MAX: usize = 3;

/// The recent quick returns of each worker.
#[derive(Debug, Default)]
pub(crate) struct QuickReturns(Mutex<BTreeMap<WorkerId, VecDeque<Instant>>>);

impl QuickReturns {
    /// Whether a worker may return at once now; counts it if so.
    pub fn allow(&self, worker: &WorkerId, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, returns| {
            returns.retain(|at| now.saturating_duration_since(*at) < WITHIN);
            !returns.is_empty()
        });
        let returns = all.entry(worker.clone()).or_default();
        if returns.len() >= RETURNS_MAX {
            return false;
        }
        returns.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_returns_three_times_a_minute() {
        let (returns, start) = (QuickReturns::default(), Instant::now());
        let (one, other) = (WorkerId::new("w1").expect("legal"), WorkerId::new("w2").expect("legal"));
        let allow = |worker, second| returns.allow(worker, start + Duration::from_secs(second));
        assert!(allow(&one, 0) && allow(&one, 1) && allow(&one, 2));
        assert!(!allow(&one, 3) && allow(&other, 3));
        assert!(allow(&one, 60));
        assert!(!allow(&one, 60));
    }
}
