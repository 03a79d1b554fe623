//! Which topics a mirror copies: Kafka's `IncludeList` (`kafka.utils.TopicFilter`), to the letter, up to the regular
//! expression. That is Java's there; `java_regex` says what of it can be kept.

use common::ids::TopicName;
use regex::Regex;

use super::java_regex;
use crate::failure::Failure;

/// A whitelist, ready to match.
#[derive(Clone, Debug)]
pub struct Whitelist {
    pattern: String,
    whole: Regex,
}

impl Whitelist {
    /// Reads a whitelist as MirrorMaker does: a comma separates alternatives, blanks count for nothing, quotes around
    /// the whole are stripped (property files and shells bring them). `flag` is what a refusal names.
    pub fn parse(flag: &str, raw: &str) -> Result<Self, Failure> {
        let java = raw
            .trim_matches(|c: char| c <= ' ')
            .replace(',', "|")
            .replace(' ', "")
            .trim_start_matches(['"', '\''])
            .trim_end_matches(['"', '\''])
            .to_owned();
        let refuse = |text: String| Failure::usage(format!("{flag} {raw:?}: {text}"));
        if java.is_empty() {
            return Err(refuse("it is empty and would match no topic; '.*' matches all".to_owned()));
        }
        if java == "*" || java.split('|').any(|alternative| alternative.starts_with('*')) {
            return Err(refuse(
                "'*' alone is a file pattern, not a regular expression: write '.*' for \"anything\"".to_owned(),
            ));
        }
        let pattern = java_regex::translate(&java).map_err(|error| refuse(error.to_string()))?;
        let whole = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
            let mut text = format!("it is not a valid regular expression: {}", last_line(&error.to_string()));
            if raw.contains(',') && java.contains('{') {
                text.push_str("; MirrorMaker turns every ',' into '|', so a {n,m} can't be written");
            }
            refuse(text)
        })?;
        Ok(Self { pattern, whole })
    }

    /// The regular expression, to be matched whole.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the topic is copied. Kafka's own topics never are.
    pub fn matches(&self, topic: &TopicName) -> bool {
        !topic.is_internal() && self.whole.is_match(topic.as_str())
    }
}

/// The sentence of a many-line parser error that says what is wrong.
fn last_line(error: &str) -> &str {
    let line = error.lines().last().unwrap_or(error).trim();
    line.strip_prefix("error: ").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(whitelist: &str, topic: &str) -> bool {
        let whitelist = Whitelist::parse("--whitelist", whitelist).unwrap_or_else(|failure| panic!("{failure}"));
        whitelist.matches(&TopicName::new(topic).expect("legal"))
    }

    /// The cases of Kafka's `TopicFilterTest.testIncludeLists` that need no lookahead, then our own.
    #[test]
    fn topics_match_as_in_kafkas_topic_filter() {
        let cases = [
            ("yes1,yes2", "yes2", true),
            ("yes1,yes2", "no1", false),
            (".+", "alltopics", true),
            (".+", "__consumer_offsets", false),
            ("included-topics.+", "included-topics1", true),
            ("included-topics.+", "no1", false),
            ("test", "test", true),
            ("test", "my-test-2", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("a, b", "b", true),
            (" 'a' ", "a", true),
            ("\"a|b\"", "a", true),
            ("__consumer_offsets,a", "__consumer_offsets", false),
            ("__consumer_offsets,a", "a", true),
            ("orders[0-9]{2}", "orders17", true),
            ("(?i)Orders", "ORDERS", true),
            ("t.st", "test", true),
            ("\\w+\\.east", "orders.east", true),
            ("^test$", "test", true),
        ];
        for (whitelist, topic, expected) in cases {
            assert_eq!(matches(whitelist, topic), expected, "{whitelist} {topic}");
        }
    }

    #[test]
    fn a_file_pattern_is_answered_with_what_was_meant() {
        for glob in ["*", "'*'", "a,*"] {
            let failure = Whitelist::parse("--whitelist", glob).expect_err(glob);
            assert!(failure.text.contains("'.*'"), "{failure}");
        }
    }

    #[test]
    fn a_bad_expression_is_refused_with_its_text() {
        for (bad, word) in
            [("a(b", "unclosed"), ("[a", "unclosed"), ("a{1,3}", "','"), ("", "empty"), ("a)", "unopened")]
        {
            let failure = Whitelist::parse("--whitelist", bad).expect_err(bad);
            assert!(failure.text.contains(word) && failure.text.contains(bad), "{failure}");
            assert_eq!(failure.exit, crate::failure::Exit::Usage);
        }
    }

    #[test]
    fn what_only_java_knows_is_refused_by_name() {
        let failure = Whitelist::parse("--include", "test-(?!bad\\b)[\\w]+").expect_err("lookahead");
        assert!(failure.text.contains("lookahead") && failure.text.contains("position 6"), "{failure}");
    }
}
