//! What all parts of one run share: the time, the trace, what was found wrong, how often each fault bit.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use controller::state::invariants::Violation;

use crate::dice::Dice;
use crate::trace::Trace;

/// One run's world.
#[derive(Debug)]
pub struct World {
    seed: u64,
    /// Microseconds since the run began.
    clock: AtomicU64,
    trace: Mutex<Trace>,
    violation: Mutex<Option<Violation>>,
    bites: Mutex<BTreeMap<&'static str, u64>>,
}

impl World {
    /// The world of a seed, at its beginning.
    pub fn new(seed: u64, prints: bool) -> Self {
        let (clock, violation, bites) = Default::default();
        Self { seed, clock, trace: Mutex::new(Trace::new(prints)), violation, bites }
    }

    /// The dice of one use.
    pub fn dice(&self, of: &str) -> Dice {
        Dice::new(self.seed, of)
    }

    /// How long the run has gone on.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.clock.load(Ordering::Relaxed))
    }

    /// Time has passed.
    pub fn set_now(&self, now: Duration) {
        self.clock.store(u64::try_from(now.as_micros()).expect("no run takes so long"), Ordering::Relaxed);
    }

    /// Something happened that every run of the seed must repeat.
    pub fn note(&self, who: &str, what: impl Display) {
        lock(&self.trace).note(self.now(), who, what);
    }

    /// The hash of all that was noted.
    pub fn hash(&self) -> u64 {
        lock(&self.trace).hash()
    }

    /// Something is wrong. The first finding ends the run.
    pub fn violated(&self, invariant: &'static str, rule: &'static str, found: impl Into<String>) {
        self.report(Violation { invariant, rule, found: found.into() });
    }

    /// The same, of the product's own invariants.
    pub fn report(&self, violation: Violation) {
        self.note("check", &violation);
        lock(&self.violation).get_or_insert(violation);
    }

    /// What is wrong, if something is.
    pub fn violation(&self) -> Option<Violation> {
        lock(&self.violation).clone()
    }

    /// A fault of this kind made a difference.
    pub fn bit(&self, kind: &'static str) {
        *lock(&self.bites).entry(kind).or_default() += 1;
    }

    /// How often each kind of fault made a difference.
    pub fn bites(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.bites).clone()
    }
}

/// Locks; what a panic left behind is still worth a look.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
