//! How full a session is: its partitions by its weight. Compared without dividing, so that nothing is rounded.

use std::cmp::Ordering;

use common::weight::Weight;

/// How full a session is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Its partitions.
    pub count: usize,
    /// Its weight.
    pub weight: Weight,
}

impl Level {
    /// Of nothing at all, whatever the weight.
    pub fn zero() -> Self {
        Self { count: 0, weight: Weight::default() }
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |count: usize, weight: Weight| count as u128 * u128::from(weight.number());
        product(self.count, other.weight).cmp(&product(other.count, self.weight))
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Level {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_compared_as_fractions() {
        let level = |count, weight| Level { count, weight: Weight::try_from(weight).unwrap() };
        assert!(level(1, 2) < level(2, 3) && level(2, 3) < level(1, 1) && level(1, 1) == level(7, 7));
        assert!(level(0, 5) == Level::zero() && level(usize::MAX, 1) > level(usize::MAX, 2));
    }
}
