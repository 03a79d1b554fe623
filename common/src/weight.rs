//! How much work a worker takes, in proportion to others.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The greatest weight. A thousand is finer than anybody can measure, and keeps products of counts and weights small.
pub const WEIGHT_MAX: u32 = 1_000;

/// How much work a worker takes, in proportion to others: one of weight 2 takes twice as many partitions as one of
/// weight 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// A weight of 0, or above the greatest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a weight is a whole number from 1 to {WEIGHT_MAX}, not {0}")]
pub struct InvalidWeight(u32);

impl Weight {
    /// The usual one.
    pub const ONE: Self = Self(1);

    /// The weight as a number, from 1.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u32> for Weight {
    type Error = InvalidWeight;

    fn try_from(number: u32) -> Result<Self, InvalidWeight> {
        if (1..=WEIGHT_MAX).contains(&number) { Ok(Self(number)) } else { Err(InvalidWeight(number)) }
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
