//! What to say of a property that is on no list.

use super::table;

/// Edits up to which another name is taken for what was meant: a swapped pair of letters is two.
const DISTANCE_MAX: usize = 2;

/// The refusal of an unknown property. Its value is not shown: it may be a secret under a mistyped name.
pub(super) fn unknown(key: &str) -> String {
    let nearest = table::names().map(|name| (distance(key, name), name)).min();
    match nearest.filter(|(distance, _)| *distance <= DISTANCE_MAX) {
        Some((_, name)) => format!("property {key:?} is not known: did you mean {name}?"),
        None => format!("property {key:?} is not one of the client properties that can be set: remove it"),
    }
}

/// Levenshtein's distance of two texts, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_names_what_was_meant_and_a_far_one_nothing() {
        assert!(unknown("bootstap.servers").contains("did you mean bootstrap.servers?"));
        assert!(unknown("linger_ms").contains("did you mean linger.ms?"));
        assert!(!unknown("my.own.invention").contains("did you mean"));
        assert_eq!([distance("", "abc"), distance("abc", "abc"), distance("kitten", "sitting")], [3, 0, 3]);
    }
}
