//! Waiting for a condition. Owns the one place where a test may sleep; never waits without a deadline or a name.

use std::time::{Duration, Instant};

/// The pause between two looks at a condition: short against what the tests measure, long against a look's cost.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Looks until `look` gives a value, and returns it.
///
/// # Panics
/// When `deadline` has passed, naming `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    match until_or_none(deadline, &mut look) {
        Some(value) => value,
        None => panic!("waited {deadline:?} in vain until {what}"),
    }
}

/// Lets a stretch of time pass that is itself what is measured: a baseline, or the absence of something.
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// Like [`until`], for a plain condition.
#[track_caller]
pub fn until_true(what: &str, deadline: Duration, mut look: impl FnMut() -> bool) {
    until(what, deadline, || look().then_some(()));
}

/// Like [`until`], but gives `None` when the deadline has passed.
pub fn until_or_none<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return Some(value);
        }
        if started.elapsed() >= deadline {
            return None;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}
