//! How roughly a cluster treats its clients: rates, drawn from a seed.

use crate::error::ErrorKind;

/// What goes wrong by itself, and how often. All rates are in thousandths; the default is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Where the drawing starts. The same seed and the same calls have the same results.
    pub seed: u64,
    /// A queued record, and with it all later ones of its partition, is not yet written in this `serve`.
    pub write_delay: u32,
    /// A written record, and with it all later ones of its partition, is not yet acknowledged in this `serve`.
    pub acknowledgement_delay: u32,
    /// A record is refused for good, with one of `refusals`.
    pub refused: u32,
    /// What a refused record can fail with.
    pub refusals: Vec<ErrorKind>,
    /// The record after a refused one was in the same batch and fails with the same kind.
    pub same_batch: u32,
    /// When a sink ends (fatal, purged or dropped), a record that was queued is written nevertheless.
    pub late_write: u32,
    /// A commit fails and stores nothing.
    pub commit_lost: u32,
    /// A commit stores everything and fails nevertheless.
    pub commit_unknown: u32,
}

impl Faults {
    /// None at all.
    pub fn none() -> Self {
        Self {
            seed: 0,
            write_delay: 0,
            acknowledgement_delay: 0,
            refused: 0,
            refusals: vec![ErrorKind::RecordTooLarge],
            same_batch: 0,
            late_write: 0,
            commit_lost: 0,
            commit_unknown: 0,
        }
    }

    /// Delays, late writes and failing commits, now and then a refused record.
    pub fn rough(seed: u64) -> Self {
        Self {
            seed,
            write_delay: 300,
            acknowledgement_delay: 300,
            refused: 5,
            refusals: vec![ErrorKind::RecordTooLarge, ErrorKind::InvalidRecord, ErrorKind::InvalidTimestamp],
            same_batch: 300,
            late_write: 500,
            commit_lost: 100,
            commit_unknown: 100,
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

/// How one commit fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitFault {
    /// Nothing was stored.
    Lost,
    /// Everything was stored; only the answer was lost.
    Unknown,
    /// The answer was lost, and everything is stored later: when the cluster is told to (`store_late_commits`).
    Late,
}

/// A xorshift generator: small, and the same on every machine.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // zero is xorshift's one fixed point, and small seeds would begin alike
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD134_2543_DE82_EF95) | 1)
    }

    /// Whether something that happens `rate` times in a thousand happens now. Draws nothing for never.
    pub(super) fn hits(&mut self, rate: u32) -> bool {
        rate > 0 && self.draw() % 1000 < u64::from(rate)
    }

    /// One of these, if there is any.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let count = u64::try_from(choices.len()).ok().filter(|count| *count > 0)?;
        choices.get(usize::try_from(self.draw() % count).ok()?).copied()
    }

    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_seed_repeats_itself() {
        let draws = |seed| {
            let mut dice = Dice::new(seed);
            (0..10_000).map(|_| dice.hits(300)).collect::<Vec<_>>()
        };
        for seed in [0, 1, 2, u64::MAX] {
            let hits = draws(seed).iter().filter(|hit| **hit).count();
            assert!((2_700..3_300).contains(&hits), "seed {seed}: {hits}");
        }
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }
}
