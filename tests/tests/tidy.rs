//! The rules of the tree that no compiler checks: file length, foreign libraries and `unsafe` only in their room, no
//! clock, randomness or unordered map in the islands, nothing unfinished. Reads what git tracks; never runs Kafka.

use std::fs;
use std::path::Path;
use std::process::Command;

const LINES_MAX: usize = 500;

/// The pure places: no clock, no randomness, no I/O, no async, ordered maps and whole numbers only.
const ISLANDS: &[&str] = &[
    "controller/src/state/",
    "controller/src/state.rs",
    "controller/src/planner/",
    "controller/src/planner.rs",
    "worker/src/supervisor/plan.rs",
    "worker/src/supervisor/plan/",
    "worker/src/engine/lane/in_flight.rs",
    "worker/src/engine/lane/in_flight/",
];
const NOT_IN_ISLANDS: &[&str] = &[
    "HashMap",
    "HashSet",
    "SystemTime",
    "Instant",
    "rand",
    "async",
    "tokio",
    "fs::",
    "net::",
    "std::fs",
    "std::net",
    "f32",
    "f64",
];
/// Where the two ends of a gRPC connection are.
const GRPC_ROOMS: &[&str] = &[
    "proto/",
    "controller/src/api/",
    "controller/src/node/",
    "controller/src/node.rs",
    "controller/src/raft/",
    "worker/src/dial.rs",
    "worker/src/dial/",
    "cli/src/admin/",
    "tests/src/fleet/wire/",
    "tests/scale/src/operator.rs",
    "tests/sim/src/hosts/",
    "tests/sim/src/wire.rs",
];
const UNSAFE_ROOMS: &[&str] = &["kafka/src/ffi/", "kafka/src/ffi.rs", "tests/src/child.rs"];
/// This file names what it looks for.
const OWN_PATH: &str = "tests/tests/tidy.rs";

/// A tracked Rust file: its lines, with comments and the insides of string literals blanked in `code`.
struct RustFile {
    path: String,
    text: String,
    code: Vec<String>,
}

impl RustFile {
    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("_test.rs")
    }

    /// The lines of code outside `#[cfg(test)] mod … { … }`, with their numbers.
    fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut depth = 0_i64;
        let mut test_module_at: Option<i64> = None;
        let mut marked = false;
        self.code.iter().enumerate().filter_map(move |(index, line)| {
            let trimmed = line.trim();
            if trimmed.starts_with("#[cfg(test)]") || trimmed.starts_with("#[cfg(all(test") {
                marked = true;
            } else if marked && !trimmed.is_empty() && !trimmed.starts_with("#[") {
                if trimmed.contains('{') && test_module_at.is_none() {
                    test_module_at = Some(depth);
                }
                marked = false;
            }
            let inside = test_module_at.is_some() || marked;
            depth += line.matches('{').count() as i64 - line.matches('}').count() as i64;
            if test_module_at.is_some_and(|start| depth <= start) {
                test_module_at = None;
            }
            (!inside).then_some((index + 1, line.as_str()))
        })
    }
}

#[test]
fn rust_files_are_short() {
    check("is too long: split it by type or verb", |file| {
        let lines = file.text.lines().count();
        if lines > LINES_MAX { vec![(lines, format!("{lines} lines of at most {LINES_MAX}"))] } else { vec![] }
    });
}

#[test]
fn foreign_libraries_stay_in_their_rooms() {
    check(
        "belongs in its room: rdkafka in kafka/, openraft and sled in controller/src/raft/, tonic at the ends",
        |file| {
            let mut banned = Vec::new();
            if !file.is_in(&["kafka/", "tests/"]) {
                banned.extend(["rdkafka", "rdkafka_sys"]);
            }
            if !file.is_in(&["controller/src/raft/", "controller/src/raft.rs"])
                && !file.path.starts_with("controller/tests/")
            {
                banned.extend(["openraft", "sled"]);
            }
            if !file.is_in(GRPC_ROOMS) {
                banned.push("tonic");
            }
            words(file.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str())), &banned)
        },
    );
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    check("is allowed in kafka/src/ffi/ and tests/src/child.rs only", |file| {
        let lines = file.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()));
        if file.is_in(UNSAFE_ROOMS) { vec![] } else { words(lines, &["unsafe", "allow(unsafe_code)"]) }
    });
}

#[test]
fn islands_are_pure() {
    check("has no place in an island", |file| {
        if file.is_in(ISLANDS) && !file.is_test() { words(file.product_code(), NOT_IN_ISLANDS) } else { vec![] }
    });
}

#[test]
fn nothing_is_left_unfinished() {
    check("is unfinished", |file| {
        let lines = file.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()));
        words(lines, &["todo!", "unimplemented!"])
    });
    assert_no_text("is unfinished", |line| {
        let found = words(std::iter::once((0, line)), &["TODO", "FIXME", "XXX"]);
        found.into_iter().map(|(_, word)| word).next()
    });
}

#[test]
fn unwrap_is_for_tests() {
    check("is for tests: handle the error, or expect with the reason why it cannot fail", |file| {
        let lines = file.product_code();
        if file.is_test() { vec![] } else { words(lines, &[".unwrap()", ".unwrap_err()"]) }
    });
}

#[test]
fn modules_say_what_they_own() {
    check("a module starts with //!: what it owns and what it never does", |file| {
        let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        // Unit tests beside their module belong to what that module says.
        let exempt = first.starts_with("//!") || file.path.ends_with("_test.rs");
        if exempt { vec![] } else { vec![(1, first.to_owned())] }
    });
}

#[test]
fn no_tracked_file_names_a_place_outside_the_tree() {
    let banned = [("..", "shared"), ("", "work"), ("", "root")].map(|(before, name)| format!("{before}/{name}"));
    assert_no_text("names a place outside the tree", |line| {
        banned.iter().find(|place| names_place(line, place)).cloned()
    });
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for path in tracked().into_iter().filter(|path| path.ends_with(".md")) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let is_dead = |target: &&str| {
            let is_local = !target.is_empty() && !target.contains("://");
            is_local && !root().join(&path).with_file_name(target).exists()
        };
        dead.extend(targets.filter(is_dead).map(|target| format!("{path}: {target}")));
    }
    assert!(dead.is_empty(), "leads nowhere\n{}", dead.join("\n"));
}

/// Looks through every tracked text file, of whatever kind.
#[track_caller]
fn assert_no_text(rule: &str, find: impl Fn(&str) -> Option<String>) {
    let mut found = Vec::new();
    for path in tracked().into_iter().filter(|path| path != OWN_PATH) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        let lines = text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, find(line)?)));
        found.extend(lines.map(|(number, what)| format!("{path}:{number}: {what}")));
    }
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// True when `line` names `place` as the start of a path: `/root/x`, but not `a/root/x`, nor `/roots`.
fn names_place(line: &str, place: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.}$~".contains(c);
    line.match_indices(place)
        .any(|(start, _)| !line[..start].ends_with(is_name) && !line[start + place.len()..].starts_with(is_name))
}

#[track_caller]
fn check(rule: &str, find: impl Fn(&RustFile) -> Vec<(usize, String)>) {
    let mut found = Vec::new();
    for path in tracked().into_iter().filter(|path| path.ends_with(".rs") && path != OWN_PATH) {
        // A file that git still lists and someone has just removed is no finding.
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        let file = RustFile { path, code: code_lines(&text), text };
        found.extend(find(&file).into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.path)));
    }
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// Where one of `banned` stands as a word of its own.
fn words<'a>(lines: impl Iterator<Item = (usize, &'a str)>, banned: &[&str]) -> Vec<(usize, String)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let stands_alone = |line: &str, word: &str| {
        line.match_indices(word).any(|(start, _)| {
            let before = word.starts_with(is_name) && line[..start].ends_with(is_name);
            let after = word.ends_with(is_name) && line[start + word.len()..].starts_with(is_name);
            !before && !after
        })
    };
    let mut found = Vec::new();
    for (number, line) in lines {
        found.extend(banned.iter().filter(|word| stands_alone(line, word)).map(|word| (number, (*word).to_owned())));
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

fn tracked() -> Vec<String> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("run git");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// The lines of a file with comments and the insides of strings and character literals taken out.
fn code_lines(text: &str) -> Vec<String> {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            quoted_len(rest)
        } else if let Some(hashes) = raw_string_hashes(rest).filter(|_| !ends_with_name(&code)) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
        } else {
            char_literal_len(rest)
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].matches('\n'));
            rest = &rest[skipped..];
        }
    }
    code.lines().map(str::to_owned).collect()
}

fn ends_with_name(code: &str) -> bool {
    // `br"…"` is a raw string too, and its `b` a name of one letter: harmless either way.
    code.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && !code.ends_with('b')
}

fn quoted_len(text: &str) -> usize {
    let mut escaped = true;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string_hashes(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of `'x'` or `'\n'`; 0 for a lifetime.
fn char_literal_len(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('\'') else { return 0 };
    let mut chars = inside.char_indices();
    match chars.next() {
        Some((_, '\\')) => inside[2..].find('\'').map_or(0, |end| end + 4),
        Some((_, c)) if inside[c.len_utf8()..].starts_with('\'') => c.len_utf8() + 2,
        _ => 0,
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a // unsafe\n\"un\\\"safe\" b '\"' c r#\"un\nsafe\"# d /* x\n*/ e 'a f '\\n' g";
    let lines = code_lines(text);
    let squeezed: Vec<String> =
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(squeezed, ["a", "b c", "d", "e 'a f g"]);
}

#[test]
fn test_modules_are_no_product_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod other;\nfn d() {}";
    let file = RustFile { path: "x.rs".to_owned(), text: text.to_owned(), code: code_lines(text) };
    let numbers: Vec<usize> = file.product_code().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 6, 8, 9]);
}
