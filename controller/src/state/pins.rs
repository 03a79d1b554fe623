//! Pins: operators' word that a partition belongs with one worker, over that worker's restarts. A pin is a wish of its own:
//! it stands until it is taken back, whether the worker is there or not, and goes with its slot.
//!
//! What follows from it is the planner's: while the worker takes work the partition goes there, and nothing but need takes
//! it away. If the worker comes back in another pool, the pin is as none until it comes back in this one.

use std::collections::BTreeSet;

use common::ids::{RoutePartition, SessionId, WorkerId};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::slots::Slot;

impl State {
    /// The session of the worker that a slot is pinned to, if it has one in the slot's pool.
    pub fn pinned_session(&self, id: &RoutePartition, slot: &Slot) -> Option<SessionId> {
        self.session_of(slot.pin.as_ref()?).filter(|session| self.is_in_pool_of(*session, id))
    }

    /// The workers that pins name.
    pub(super) fn pinned_workers(&self) -> BTreeSet<&WorkerId> {
        self.slots.values().filter_map(|slot| slot.pin.as_ref()).collect()
    }

    /// Pins a partition to a worker, in the place of whatever else was asked for it.
    pub(super) fn pin_partition(
        &mut self,
        stamp: &Stamp,
        id: &RoutePartition,
        worker: WorkerId,
    ) -> Result<Effect, Rejection> {
        if !self.workers.contains_key(&worker) {
            return Err(Rejection::UnknownWorker(worker));
        }
        let slot = self.slots.get(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        if slot.pin.as_ref() == Some(&worker) {
            return Ok(Effect::Exists);
        }
        self.check_pool(&worker, id)?;
        let slot = self.slots.get_mut(id).expect("just looked up");
        let text = format!("{id} is pinned to worker {worker}");
        slot.pin = Some(worker);
        slot.destination = None;
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_partition(id));
        self.forget_workers();
        Ok(Effect::Done)
    }

    /// Takes a pin back. The partition stays where it is.
    pub(super) fn unpin_partition(&mut self, stamp: &Stamp, id: &RoutePartition) -> Result<Effect, Rejection> {
        let slot = self.slots.get_mut(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        let Some(worker) = slot.pin.take() else { return Ok(Effect::Exists) };
        let text = format!("{id} is no longer pinned to worker {worker}");
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_partition(id));
        self.forget_workers();
        Ok(Effect::Done)
    }
}
