//! Who leads on this node now: what ties the node's leadership loop to the services. The loop takes the seat and leaves
//! it; the services look who sits there, and end what they serve when he leaves.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::leader::LeaderHandle;
use crate::leader::net::Dialer;

/// The seat of the leader on this node. Cheap to clone: all clones are one seat.
#[derive(Clone)]
pub struct Seat(Arc<watch::Sender<Option<Leading>>>);

/// A leadership on this node.
#[derive(Clone)]
pub struct Leading {
    /// The term it holds in.
    pub term: u64,
    /// What operators ask.
    pub handle: LeaderHandle,
    /// Where workers connect.
    pub dialer: Dialer,
    /// Cancelled when it ends.
    pub over: CancellationToken,
}

impl Default for Seat {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

impl Seat {
    /// Begins a leadership. The barrier stands in the log already.
    pub fn take(&self, term: u64, handle: LeaderHandle, dialer: Dialer) {
        self.0.send_replace(Some(Leading { term, handle, dialer, over: CancellationToken::new() }));
    }

    /// Ends the leadership, if there is one, and with it all that was served in its name.
    pub fn leave(&self) {
        if let Some(leading) = self.0.send_replace(None) {
            leading.over.cancel();
        }
    }

    /// The leadership of this moment.
    pub fn leading(&self) -> Option<Leading> {
        self.0.borrow().clone()
    }

    /// Changes when a leadership begins or ends.
    pub fn changes(&self) -> watch::Receiver<Option<Leading>> {
        self.0.subscribe()
    }
}
