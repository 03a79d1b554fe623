//! What passes between nodes, and what must not: lost words, late words, deposed leaders, and everything that a user or a
//! node of another kind can say wrongly.

#[path = "fleet_protocol/claims.rs"]
mod claims;
#[path = "fleet_protocol/conflicts.rs"]
mod conflicts;
#[path = "fleet_protocol/files.rs"]
mod files;
#[path = "fleet_protocol/leaders.rs"]
mod leaders;
#[path = "fleet_protocol/mass_loss.rs"]
mod mass_loss;
#[path = "fleet_protocol/refusals.rs"]
mod refusals;
#[path = "fleet_protocol/releases.rs"]
mod releases;
#[path = "fleet_protocol/snapshots.rs"]
mod snapshots;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A fleet on a machine with two cores is company enough.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
