//! Series of a gauge that come and go. A recorder takes no series back: what is no longer so is shown as 0, once.

use std::collections::{BTreeMap, BTreeSet};

/// The series that were shown last, by what tells them apart.
#[derive(Debug)]
pub struct Shown<K>(BTreeSet<K>);

impl<K> Default for Shown<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord> Shown<K> {
    /// Shows what is so now, and 0 for what was so before. `set` sets one series.
    pub fn show(&mut self, now: impl IntoIterator<Item = (K, f64)>, set: impl Fn(&K, f64)) {
        let now: BTreeMap<K, f64> = now.into_iter().collect();
        self.0.iter().filter(|before| !now.contains_key(before)).for_each(|gone| set(gone, 0.0));
        now.iter().for_each(|(series, value)| set(series, *value));
        self.0 = now.into_keys().collect();
    }

    /// Whether all is shown as 0.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_is_no_longer_so_is_shown_as_zero_once() {
        let (mut shown, told) = (Shown::default(), RefCell::new(Vec::new()));
        for now in [vec![("a", 5.0), ("b", 7.0)], vec![("b", 8.0)], vec![]] {
            shown.show(now, |series, value| told.borrow_mut().push((*series, value)));
        }
        shown.show([], |series, value| told.borrow_mut().push((*series, value)));
        assert_eq!(told.into_inner(), [("a", 5.0), ("b", 7.0), ("a", 0.0), ("b", 8.0), ("b", 0.0)]);
    }
}
