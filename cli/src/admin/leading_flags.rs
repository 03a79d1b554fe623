//! Fleet options before the noun: `replisome -o json route list` is as good as `replisome route list -o json`.

use std::ffi::OsString;

/// The options that may lead; each takes a value.
const LONG: [&str; 3] = ["--controllers", "--output", "--timeout"];
const SHORT: &str = "-o";

/// Moves leading fleet options, with their values, behind the rest of a command line.
pub fn behind_the_noun(line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = line.into_iter().collect();
    let mut end = 1;
    while let Some(words) = line.get(end).and_then(|word| words_of(&word.to_string_lossy())) {
        end += words;
    }
    if end == 1 || end >= line.len() {
        return line;
    }
    let options: Vec<OsString> = line.drain(1..end).collect();
    let place = line.iter().position(|word| word == "--").unwrap_or(line.len());
    line.splice(place..place, options);
    line
}

/// How many words an option has with its value; `None` if this is none that may lead.
fn words_of(word: &str) -> Option<usize> {
    if LONG.contains(&word) || word == SHORT {
        return Some(2);
    }
    let has_value = word.split_once('=').is_some_and(|(name, _)| LONG.contains(&name));
    let is_short = word.len() > SHORT.len() && word.starts_with(SHORT) && !word.starts_with("--");
    (has_value || is_short).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleet_options_may_come_before_the_noun() {
        for (given, taken) in [
            ("r --controllers a:1 status", "r status --controllers a:1"),
            ("r -o json --timeout=1s route list", "r route list -o json --timeout=1s"),
            ("r -ojson topic add -- -x", "r topic add -ojson -- -x"),
            ("r status -o json", "r status -o json"),
            ("r --version", "r --version"),
            ("r --controllers a:1", "r --controllers a:1"),
            ("r --nonsense status", "r --nonsense status"),
            ("r", "r"),
        ] {
            let line = behind_the_noun(given.split(' ').map(OsString::from));
            let line: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
            assert_eq!(line.join(" "), taken);
        }
    }
}
