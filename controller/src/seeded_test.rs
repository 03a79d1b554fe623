use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

/// So many cases from a seed that a failing test prints, with the line that repeats it.
pub fn cases(cases: u32) -> Config {
    let mut config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(cases),
    };
    println!("seed {seed}; repeat with PROPTEST_RNG_SEED={seed} cargo test -p replisome-controller");
    config.rng_seed = RngSeed::Fixed(seed);
    config
}
