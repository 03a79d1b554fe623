//! How long ago the leader last renewed this worker's lease: what tells an attached worker from a detached one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::assignment::Renewal;

use crate::moment::Moment;

/// What a worker assumes before its leader has told it.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// The same.
const LEASE: Duration = Duration::from_secs(5);

/// The worker's tie to its leader. Shared between the session, which learns of renewals, and the copying threads, which
/// are more careful without one. A lease is no right to write: nothing stops copying because it ran out.
#[derive(Debug)]
pub struct Tether(Mutex<Tie>);

#[derive(Clone, Copy, Debug)]
struct Tie {
    /// Whether nothing is known to have cut the connection since the last renewal.
    connected: bool,
    renewed: Moment,
    every: Duration,
    lease: Duration,
}

impl Tether {
    /// A tie that counts as renewed just now.
    pub fn new(now: Moment) -> Self {
        Self(Mutex::new(Tie { connected: true, renewed: now, every: HEARTBEAT_EVERY, lease: LEASE }))
    }

    fn tie(&self) -> Tie {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a renewal by something that was sent at `sent`.
    pub fn renew(&self, renewal: &Renewal, sent: Moment) {
        let mut tie = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = tie.renewed.max(sent);
        *tie = Tie { connected: true, renewed, every: renewal.every, lease: renewal.lease };
    }

    /// Notes that the connection is gone.
    pub fn cut(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).connected = false;
    }

    /// Whether no leader is known to keep the session: the connection is gone, or nothing was renewed for two heartbeats.
    pub fn is_detached(&self, now: Moment) -> bool {
        let tie = self.tie();
        !tie.connected || now.since(tie.renewed) > tie.every * 2
    }

    /// How often the leader wants to hear from the worker.
    pub fn every(&self) -> Duration {
        self.tie().every
    }

    /// How long the leader keeps a silent session's partitions.
    pub fn lease(&self) -> Duration {
        self.tie().lease
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_renewal_counts_from_when_the_heartbeat_was_sent() {
        let instant = Instant::now();
        let start = Moment::at(instant);
        let tether = Tether::new(start);
        let every = Duration::from_millis(200);
        tether.renew(
            &Renewal { heartbeat: 1, every, lease: every * 5, ..Renewal::default() },
            Moment::at(instant + every),
        );
        assert!(!tether.is_detached(Moment::at(instant + every * 3)));
        assert!(tether.is_detached(Moment::at(instant + every * 3 + Duration::from_millis(1))));
        tether.renew(&Renewal { heartbeat: 0, every, lease: every * 5, ..Renewal::default() }, start);
        assert!(!tether.is_detached(Moment::at(instant + every * 3)), "an older renewal takes nothing away");
        tether.cut();
        assert!(tether.is_detached(Moment::at(instant + every)), "at once");
        tether.renew(
            &Renewal { heartbeat: 2, every, lease: every * 5, ..Renewal::default() },
            Moment::at(instant + every),
        );
        assert!(!tether.is_detached(Moment::at(instant + every)));
    }
}
