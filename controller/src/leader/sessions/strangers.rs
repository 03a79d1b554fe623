//! Workers that ask to join and copy for another fleet: this one was founded anew over the loss of theirs, perhaps. They
//! stay with what they have, and people must hear of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{FleetId, WorkerId};
use tokio::time::Instant;

/// Who has not asked for so long has found its fleet, or is gone: they ask once a second.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);
/// So many are remembered: enough to name some.
const REMEMBERED_MAX: usize = 1_000;

/// Those that asked of late.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<BTreeMap<WorkerId, (FleetId, Instant)>>);

impl Strangers {
    fn recent(&self, now: Instant) -> MutexGuard<'_, BTreeMap<WorkerId, (FleetId, Instant)>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, asked)| now.saturating_duration_since(*asked) < FORGOTTEN_AFTER);
        all
    }

    /// One asks. Whether that is news.
    pub fn note(&self, worker: &WorkerId, fleet: &FleetId, now: Instant) -> bool {
        let mut all = self.recent(now);
        if all.len() >= REMEMBERED_MAX && !all.contains_key(worker) {
            return false;
        }
        all.insert(worker.clone(), (fleet.clone(), now)).is_none_or(|(before, _)| before != *fleet)
    }

    /// All of them, and whose they are.
    pub fn all(&self, now: Instant) -> BTreeMap<WorkerId, FleetId> {
        self.recent(now).iter().map(|(worker, (fleet, _))| (worker.clone(), fleet.clone())).collect()
    }
}
