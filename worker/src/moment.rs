//! Moments whose distance counts the sleep of the machine, too.
//!
//! `Instant` stands still while the machine is suspended: what a worker knew an hour ago would look fresh when it wakes.

use std::time::Duration;

use tokio::time::Instant;

/// Shorter than this no machine sleeps: it is how far apart two clocks were read.
const SUSPENDED_MIN: Duration = Duration::from_millis(100);

/// A moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    instant: Instant,
    /// How long the machine had been suspended by then.
    suspended: Duration,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self::at(Instant::now())
    }

    /// A moment since which the machine was not suspended.
    pub fn at(instant: Instant) -> Self {
        Self { instant, suspended: suspended() }
    }

    /// How much later this moment is than another one.
    pub fn since(self, earlier: Self) -> Duration {
        let suspended = self.suspended.saturating_sub(earlier.suspended);
        let slept = if suspended >= SUSPENDED_MIN { suspended } else { Duration::ZERO };
        self.instant.saturating_duration_since(earlier.instant) + slept
    }

    /// The later of two.
    pub fn max(self, other: Self) -> Self {
        if self.instant + self.suspended > other.instant + other.suspended { self } else { other }
    }
}

/// How long the machine has been suspended since it was started.
#[cfg(target_os = "linux")]
fn suspended() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).expect("a clock that counts from the start");
    read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic))
}

/// Elsewhere there is no such clock, or `Instant` counts it.
#[cfg(not(target_os = "linux"))]
fn suspended() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_machine_grows_older() {
        let (instant, second) = (Instant::now(), Duration::from_secs(1));
        let moment = |after, suspended| Moment { instant: instant + after * second, suspended: suspended * second };
        let earlier = moment(1, 5);
        assert_eq!(moment(3, 5).since(earlier), 2 * second);
        assert_eq!(moment(1, 65).since(earlier), 60 * second);
        assert_eq!(moment(0, 5).since(earlier), Duration::ZERO);
        assert_eq!(earlier.max(moment(0, 6)), moment(0, 6));
        assert_eq!(earlier.max(moment(0, 5)), earlier);
        assert!(Moment::now().since(Moment::now()) < second);
    }
}
