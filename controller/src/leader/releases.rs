//! Since when each release is waited for, by this leader's clock. For people to see: nothing is decided by it, since a
//! worker that has not given a partition back may still write it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use common::ids::{Epoch, Revision, RoutePartition, SessionId};
use tokio::time::Instant;

/// A partition that a session was told to give back.
pub(crate) struct Releasing<'a> {
    /// Which.
    pub partition: &'a RoutePartition,
    /// Who is to give it back.
    pub session: SessionId,
    /// The epoch it was granted under.
    pub epoch: Epoch,
    /// The change that said so.
    pub since: Revision,
}

/// The releases that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Releases(Mutex<BTreeMap<RoutePartition, (Revision, Instant)>>);

impl Releases {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RoutePartition, (Revision, Instant)>> {
        self.0.lock().expect("nothing panics while it is locked")
    }

    /// Takes note of those that go on, and forgets those that have ended.
    pub fn note(&self, releasing: &[Releasing<'_>], now: Instant) {
        let mut known = self.lock();
        let before = std::mem::take(&mut *known);
        for Releasing { partition, since, .. } in releasing {
            let entry = before.get(*partition).filter(|(release, _)| release == since);
            known.insert((*partition).clone(), entry.copied().unwrap_or((*since, now)));
        }
    }

    /// Those that have lasted at least so long, and how long.
    pub fn overdue(&self, now: Instant, at_least: Duration) -> BTreeMap<RoutePartition, Duration> {
        let lasted = |(_, since): &(Revision, Instant)| now.saturating_duration_since(*since);
        let all = self.lock();
        let overdue = all.iter().map(|(id, entry)| (id.clone(), lasted(entry)));
        overdue.filter(|(_, lasted)| *lasted >= at_least).collect()
    }
}
