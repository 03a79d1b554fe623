//! Files in the format of `java.util.Properties`, as `--consumer.config` and `--producer.config` are given.

use common::config::ClientProperties;

use crate::error::{Error, ErrorKind};

/// Reads a `.properties` file: comments, continued lines, escapes and separators as Java has them; of a name given
/// twice the last value counts.
///
/// # Errors
/// `Config`, with the number of the line and nothing of its text, since that may be a secret.
pub fn parse_java_properties(text: &str) -> Result<ClientProperties, Error> {
    let mut properties = ClientProperties::default();
    let mut lines = natural_lines(text).enumerate();
    while let Some((at, line)) = lines.next() {
        let start = line.trim_start_matches(is_blank);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while ends_with_a_free_backslash(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let (key, value) = split(&logical);
        let unescaped = |text| unescape(text).ok_or_else(|| wrong(at + 1));
        properties.0.insert(unescaped(key)?, unescaped(value)?);
    }
    Ok(properties)
}

fn wrong(line: usize) -> Error {
    Error::new(ErrorKind::Config, format_args!("line {line}: \\u must be followed by the 4 hex digits of a character"))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{C}')
}

/// Lines that end with \n, \r or both.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn ends_with_a_free_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Splits at the first `=`, `:` or blank that no backslash protects. The value's trailing blanks belong to it.
fn split(line: &str) -> (&str, &str) {
    let mut is_protected = false;
    let end = line.find(|c| {
        let ends = !is_protected && (is_blank(c) || matches!(c, '=' | ':'));
        is_protected = c == '\\' && !is_protected;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_blank))
}

/// Undoes escapes; nothing for a broken \u.
fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let push = |units: &mut Vec<u16>, c: char| units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut units, c);
            continue;
        }
        match chars.next() {
            None => {}
            Some('t') => push(&mut units, '\t'),
            Some('n') => push(&mut units, '\n'),
            Some('r') => push(&mut units, '\r'),
            Some('f') => push(&mut units, '\u{C}'),
            Some('u') => {
                let digits = chars.as_str().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
                units.push(u16::from_str_radix(digits, 16).ok()?);
                chars.nth(3);
            }
            Some(other) => push(&mut units, other),
        }
    }
    // characters beyond \uFFFF are written as two escapes
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_java_reads_them() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("# a=b\n! c=d\n \t# e=f\n\n", &[]),
            ("a=b", &[("a", "b")]),
            ("a:b\r\nc d\re = f", &[("a", "b"), ("c", "d"), ("e", "f")]),
            ("a", &[("a", "")]),
            ("  a  =  b  ", &[("a", "b  ")]),
            ("a==b", &[("a", "=b")]),
            ("a : = b", &[("a", "= b")]),
            ("a=1\na=2", &[("a", "2")]),
            ("a=b\\\n   c\\\n\td\ne=f", &[("a", "bcd"), ("e", "f")]),
            ("a=b\\\n# c\nd=e", &[("a", "b# c"), ("d", "e")]),
            ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
            ("# a\\\nb=c", &[("b", "c")]),
            ("a\\ b\\=c\\:d=e", &[("a b=c:d", "e")]),
            ("a=\\t\\n\\x\\u0041\\uD83D\\uDE00", &[("a", "\t\nxA\u{1F600}")]),
            ("a=ü${file:C:\\\\x}", &[("a", "ü${file:C:\\x}")]),
            ("a=b\\", &[("a", "b")]),
        ];
        for (text, expected) in cases {
            let expected: ClientProperties = expected.iter().copied().collect();
            assert_eq!(parse_java_properties(text).unwrap().0, expected.0, "{text:?}");
        }
    }

    #[test]
    fn a_broken_escape_is_named_by_its_line_and_nothing_else() {
        for text in ["a=b\n\nSECRET=SECRET\\u12G4", "a=\\\nb\nSECRET=\\uD83D", "a=b\n#\nSECRET\\u1"] {
            let error = parse_java_properties(text).unwrap_err();
            assert!(error.text.starts_with("line 3:") && !error.text.contains("SECRET"), "{}", error.text);
        }
    }
}
