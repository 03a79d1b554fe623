//! Java's regular expressions (`java.util.regex.Pattern`) in the words of Rust's `regex`. What both write alike is left
//! alone; what means another thing there is rewritten; what can't be said without backtracking is refused by name and
//! position, since leaving it out would copy other topics than the user means.

use std::fmt;

/// A construct that only Java knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JavaOnly {
    construct: &'static str,
    position: usize,
}

impl fmt::Display for JavaOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at position {} is Java-only syntax that is not supported; say it without, for example by listing the \
             topics with '|'",
            self.construct, self.position
        )
    }
}

/// Translates a pattern.
pub fn translate(java: &str) -> Result<String, JavaOnly> {
    let mut rust = String::with_capacity(java.len());
    // How many brackets of character classes are open.
    let mut class_depth = 0_usize;
    let mut position = 0;
    while let Some(char) = java[position..].chars().next() {
        let rest = &java[position..];
        let refuse = |construct| Err(JavaOnly { construct, position: position + 1 });
        let taken = if char == '\\' {
            match escape(rest, class_depth > 0) {
                Ok((text, taken)) => {
                    rust.push_str(&text);
                    taken
                }
                Err(construct) => return refuse(construct),
            }
        } else if class_depth > 0 {
            match char {
                '[' if rest.starts_with("[:") => return refuse("a bracket expression '[:…:]'"),
                '[' => class_depth += 1,
                ']' => class_depth -= 1,
                _ => {}
            }
            // Rust subtracts sets with these, Java takes the characters.
            if let Some(doubled) = ["--", "~~"].into_iter().find(|doubled| rest.starts_with(doubled)) {
                rust.push_str(&format!("{char}\\{char}"));
                doubled.len()
            } else {
                rust.push(char);
                char.len_utf8()
            }
        } else {
            if let Some(construct) = group(rest).or_else(|| possessive(rest)) {
                return refuse(construct);
            }
            if char == '[' {
                class_depth = 1;
            }
            rust.push(char);
            char.len_utf8()
        };
        position += taken;
    }
    Ok(rust)
}

/// A group that looks around or never gives back.
fn group(rest: &str) -> Option<&'static str> {
    let constructs = [
        ("(?=", "a lookahead '(?=…)'"),
        ("(?!", "a negative lookahead '(?!…)'"),
        ("(?<=", "a lookbehind '(?<=…)'"),
        ("(?<!", "a negative lookbehind '(?<!…)'"),
        ("(?>", "an atomic group '(?>…)'"),
    ];
    if let Some((_, construct)) = constructs.into_iter().find(|(start, _)| rest.starts_with(start)) {
        return Some(construct);
    }
    // U means another thing on each side, d only Java knows.
    let flags = rest.strip_prefix("(?")?;
    let flags = &flags[..flags.find([')', ':'])?];
    let all_flags = flags.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    (all_flags && flags.contains(['U', 'd'])).then_some("an inline flag '(?U)' or '(?d)'")
}

/// A quantifier that never gives back: a second `+` behind a first quantifier. Rust would read it as a repetition of a
/// repetition.
fn possessive(rest: &str) -> Option<&'static str> {
    let second = rest.strip_prefix(['*', '+', '?', '}'])?;
    second.starts_with('+').then_some("a possessive quantifier ('*+', '++', '?+' or '}+')")
}

/// An escape in Rust's words, with the bytes of it.
fn escape(rest: &str, in_class: bool) -> Result<(String, usize), &'static str> {
    let Some(char) = rest[1..].chars().next() else {
        // The parser has a good text for a pattern that ends here.
        return Ok(("\\".to_owned(), 1));
    };
    let two = 1 + char.len_utf8();
    match char {
        '1'..='9' | 'k' => Err("a back-reference"),
        'Q' | 'E' => Err("quoting with '\\Q…\\E'"),
        'G' => Err("'\\G'"),
        'R' => Err("'\\R'"),
        'X' => Err("'\\X'"),
        'h' | 'H' | 'V' => Err("'\\h', '\\H' or '\\V'"),
        'c' => Err("a control character '\\c'"),
        'N' => Err("a named character '\\N'"),
        '0' => Err("an octal number '\\0'"),
        // A topic's name has no line ends, so the end before a last line end is the end.
        'Z' => Ok(("\\z".to_owned(), two)),
        'e' => Ok(("\\x1B".to_owned(), two)),
        'p' | 'P' => Ok(posix_class(rest, char == 'P', in_class).unwrap_or_else(|| (rest[..two].to_owned(), two))),
        // Rust reads `\<` and `\>` as the edges of a word, Java as the characters.
        '<' | '>' => Ok((char.to_string(), two)),
        _ => Ok((rest[..two].to_owned(), two)),
    }
}

/// Java's ASCII classes (`\p{Alpha}`), which Rust writes as bracket expressions. `None` for any other `\p`.
fn posix_class(rest: &str, negated: bool, in_class: bool) -> Option<(String, usize)> {
    let name = rest[2..].strip_prefix('{')?;
    let name = &name[..name.find('}')?];
    let names = [
        "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank", "Cntrl", "XDigit",
        "Space",
    ];
    let name = names.into_iter().find(|known| *known == name)?;
    let class = format!("[:{}{}:]", if negated { "^" } else { "" }, name.to_ascii_lowercase());
    let text = if in_class { class } else { format!("[{class}]") };
    Some((text, "\\p{}".len() + name.len()))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn what_both_write_alike_is_left_alone() {
        for pattern in ["a.*b", "[a-z]+", "(?:a|b)c?", "[a-z&&[^b]]+", "a*?", "a{2}", "(?<name>a)", "\\d\\.", "(?i:a)"]
        {
            assert_eq!(translate(pattern).as_deref(), Ok(pattern));
            Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn what_differs_is_rewritten() {
        let cases = [
            ("\\p{Alpha}+", "[[:alpha:]]+"),
            ("[\\p{Digit}x]", "[[:digit:]x]"),
            ("\\P{Punct}", "[[:^punct:]]"),
            ("a\\Z", "a\\z"),
            ("[+--]", "[+-\\-]"),
            ("\\p{L}", "\\p{L}"),
        ];
        for (java, rust) in cases {
            assert_eq!(translate(java).as_deref(), Ok(rust));
            Regex::new(rust).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn what_only_java_knows_is_named_with_its_place() {
        let cases = [
            ("a(?!b)", "negative lookahead", 2),
            ("(?=b)", "lookahead", 1),
            ("x(?<=b)", "lookbehind", 2),
            ("x(?<!b)", "negative lookbehind", 2),
            ("(?>a)", "atomic", 1),
            ("ab++", "possessive", 3),
            ("a*+b", "possessive", 2),
            ("a{2}+", "possessive", 4),
            ("(a)\\1", "back-reference", 4),
            ("\\k<a>", "back-reference", 1),
            ("\\Qa.b\\E", "quoting", 1),
            ("[[:alpha:]]", "bracket", 2),
            ("(?U)a", "flag", 1),
        ];
        for (java, construct, position) in cases {
            let text = translate(java).expect_err(java).to_string();
            assert!(text.contains(construct) && text.contains(&format!("position {position} ")), "{java}: {text}");
        }
    }

    #[test]
    fn an_escaped_or_bracketed_sign_is_no_construct() {
        for pattern in ["a\\++", "[+]+", "[a*+]", "\\(?=", "[(?=]"] {
            assert!(translate(pattern).is_ok(), "{pattern}");
        }
    }
}
