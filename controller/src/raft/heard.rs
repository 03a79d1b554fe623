//! What peers lately said to this node, beside the log itself.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// After this long it no longer counts.
const RECENT: Duration = Duration::from_secs(1);
/// Peers repeat themselves every few hundred milliseconds, candidates every second or two.
const MISTAKEN_RECENT: Duration = Duration::from_secs(5);

/// What peers lately said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    leader: Mutex<Option<(u64, Instant)>>,
    mistaken: Mutex<Option<(String, Instant)>>,
}

impl Heard {
    /// A leader's entries or heartbeat were taken.
    pub fn leader(&self, node: u64) {
        *self.leader.lock().expect(NOT_POISONED) = Some((node, Instant::now()));
    }

    /// A peer asked for another store under this node's id.
    pub fn mistaken_for(&self, store: &str) {
        *self.mistaken.lock().expect(NOT_POISONED) = Some((store.to_owned(), Instant::now()));
    }

    /// The leader that was heard within the last second.
    pub fn recent_leader(&self) -> Option<u64> {
        let heard = *self.leader.lock().expect(NOT_POISONED);
        heard.filter(|(_, at)| at.elapsed() < RECENT).map(|(node, _)| node)
    }

    /// The store that peers lately took this one for.
    pub fn recent_mistake(&self) -> Option<String> {
        let mistaken = self.mistaken.lock().expect(NOT_POISONED);
        mistaken.as_ref().filter(|(_, at)| at.elapsed() < MISTAKEN_RECENT).map(|(store, _)| store.clone())
    }
}

const NOT_POISONED: &str = "nothing panics while it is locked";
