//! Random content from a seed. Owns the generator (SplitMix64); never reads a clock but to pick the first seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// The environment variable that repeats a random test with the seed it printed.
pub const SEED_VARIABLE: &str = "REPLISOME_TEST_SEED";

/// A small deterministic generator: the same seed gives the same values for ever, on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator with the seed of [`SEED_VARIABLE`], else with a fresh one; prints the line that repeats `test`.
    pub fn for_test(test: &str) -> Self {
        let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |age| age.as_nanos() as u64);
        let seed = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or_else(fresh);
        eprintln!("seed {seed}; repeat with: {SEED_VARIABLE}={seed} cargo test -p replisome-tests {test}");
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a number below 0 was asked for");
        self.next_u64() % bound
    }

    /// True once in `n` calls, on average.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
