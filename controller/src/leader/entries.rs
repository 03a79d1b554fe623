//! Cuts what a command carries into entries of the log of a bounded size, so that none holds up the others.

use serde::Serialize;

/// How many items go into one entry: applying it takes milliseconds.
const ITEMS_MAX: usize = 5_000;

/// How many bytes go into one entry: with what stands around them less than 1 MiB.
const BYTES_MAX: usize = 1_000_000;

/// Cuts items into entries. An item counts as many as `weight` says; one that is too large by itself makes an entry of
/// its own.
pub(crate) fn entries<T: Serialize>(items: Vec<T>, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut entries: Vec<Vec<T>> = Vec::new();
    let (mut count, mut bytes) = (usize::MAX, usize::MAX);
    for item in items {
        let (more, size) = (weight(&item), bytes_of(&item));
        count = count.saturating_add(more);
        bytes = bytes.saturating_add(size);
        if count > ITEMS_MAX || bytes > BYTES_MAX {
            entries.push(Vec::new());
            (count, bytes) = (more, size);
        }
        entries.last_mut().expect("the first item begins an entry").push(item);
    }
    entries
}

/// The size of an item in the log.
fn bytes_of<T: Serialize>(item: &T) -> usize {
    let counter = postcard::ser_flavors::Size::default();
    postcard::serialize_with_flavor(item, counter).expect("what goes into the log can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_cut_by_count_and_by_bytes_and_lose_nothing() {
        assert_eq!(entries(Vec::<u8>::new(), |_| 1), Vec::<Vec<u8>>::new());
        let many: Vec<u32> = (0..12_000).collect();
        let cut = entries(many.clone(), |_| 1);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [5_000, 5_000, 2_000]);
        assert_eq!(cut.concat(), many);
        let heavy = entries(vec![3_000usize, 3_000, 9_000, 1], |weight| *weight);
        assert_eq!(heavy, [vec![3_000], vec![3_000], vec![9_000], vec![1]]);
        let long = vec!["x".repeat(300_000); 7];
        let cut = entries(long, |_| 1);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    }
}
