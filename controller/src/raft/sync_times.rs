//! How long the disk takes to make something durable, over the last few hundred times, and whether that is too long. Pure:
//! durations in, what is to be said out.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many times are looked at: the slowest one of a hundred is among them.
const WINDOW: usize = 200;
/// With fewer than these nothing is said: one slow time is none.
const ENOUGH: usize = 10;
/// What takes longer delays heartbeats: openraft waits for the disk in the same loop. A tenth of the shortest election
/// timeout (`RaftTuning`), as openraft's guide wants it ("frequent elections").
pub(super) const P99_MAX: Duration = Duration::from_millis(50);
/// How often it is said that it is still so.
const AGAIN: Duration = Duration::from_secs(300);

/// The last few hundred times.
#[derive(Debug, Default)]
pub(super) struct SyncTimes {
    window: VecDeque<Duration>,
    /// When it was last said that they are too long, if they are.
    slow_since: Option<Instant>,
}

/// What is to be said of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Of a hundred times, the slowest takes this long, which is too long.
    Slow(Duration),
    /// It was too long, and is no more.
    Fine(Duration),
}

impl SyncTimes {
    /// Takes in how long it took.
    pub fn add(&mut self, took: Duration, now: Instant) -> Option<Verdict> {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(took);
        if self.window.len() < ENOUGH {
            return None;
        }
        let p99 = self.p99();
        match self.slow_since {
            _ if p99 <= P99_MAX => self.slow_since.take().map(|_| Verdict::Fine(p99)),
            Some(said) if now.duration_since(said) < AGAIN => None,
            _ => {
                self.slow_since = Some(now);
                Some(Verdict::Slow(p99))
            }
        }
    }

    /// Whether they were too long when that was looked at last.
    pub fn is_slow(&self) -> bool {
        self.slow_since.is_some()
    }

    /// The slowest of a hundred, or of those that there are.
    pub fn p99(&self) -> Duration {
        let mut sorted: Vec<_> = self.window.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 99).div_ceil(100);
        rank.checked_sub(1).map_or(Duration::ZERO, |rank| sorted[rank])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::settings::RaftTuning;

    const FAST: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(80);

    #[test]
    fn the_bound_is_a_tenth_of_the_shortest_election_timeout() {
        assert_eq!(P99_MAX.as_millis() * 10, u128::from(RaftTuning::default().election_ms.start));
    }

    #[test]
    fn a_slow_disk_is_told_once_and_again_while_it_stays_so_and_once_it_is_not() {
        let (mut times, start) = (SyncTimes::default(), Instant::now());
        let mut add = |took, after: u64| times.add(took, start + Duration::from_secs(after));
        assert_eq!([(); ENOUGH - 1].map(|()| add(SLOW, 0)), [None; ENOUGH - 1]);
        assert_eq!(add(SLOW, 0), Some(Verdict::Slow(SLOW)));
        assert_eq!(add(SLOW, 299), None);
        assert_eq!(add(SLOW, 300), Some(Verdict::Slow(SLOW)));
        let said: Vec<_> = (0..WINDOW).filter_map(|_| add(FAST, 301)).collect();
        assert_eq!(said, [Verdict::Fine(FAST)]);
    }

    #[test]
    fn two_slow_ones_in_two_hundred_are_no_slow_disk_and_three_are() {
        let (mut times, now) = (SyncTimes::default(), Instant::now());
        for _ in 0..WINDOW {
            assert_eq!(times.add(FAST, now), None);
        }
        assert_eq!([(); 2].map(|()| times.add(SLOW, now)), [None; 2]);
        assert_eq!(times.add(SLOW, now), Some(Verdict::Slow(SLOW)));
    }
}
