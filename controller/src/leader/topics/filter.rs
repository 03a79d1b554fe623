//! Which source topics a route copies without their being named.

use common::config::TopicFilter;
use common::ids::TopicName;
use regex::Regex;

/// A filter ready to match. Patterns are matched whole: `test` is not `my-test-2`.
#[derive(Clone, Debug)]
pub struct TopicMatcher {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl TopicMatcher {
    /// Checks the patterns; the edges do so before a route is proposed.
    pub fn new(filter: &TopicFilter) -> Result<Self, regex::Error> {
        let compile = |patterns: &[String]| -> Result<Vec<Regex>, regex::Error> {
            patterns.iter().map(|pattern| whole(pattern)).collect()
        };
        Ok(Self { include: compile(&filter.include)?, exclude: compile(&filter.exclude)? })
    }

    /// Whether the topic is to be copied. Kafka's own topics never are.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let any = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(topic.as_str()));
        !topic.is_internal() && any(&self.include) && !any(&self.exclude)
    }
}

fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // On its own first, so that an error names what the user wrote and a stray parenthesis can't escape the group.
    Regex::new(pattern)?;
    Regex::new(&format!(r"\A(?:{pattern})\z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_and_never_internal_topics() {
        let filter = |include: &[&str], exclude: &[&str]| {
            let patterns = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
            TopicMatcher::new(&TopicFilter { include: patterns(include), exclude: patterns(exclude) })
        };
        for (include, exclude, topic, expected) in [
            ("test", "x", "test", true),
            ("test", "x", "my-test-2", false),
            ("a|b", "x", "b", true),
            ("a|b", "x", "ab", false),
            (".*", "x", "__consumer_offsets", false),
            ("__.*", "x", "__consumer_offsets", false),
            (".*", "x", "_schemas", true),
            (".*", "secret.*", "secret-1", false),
        ] {
            let matcher = filter(&[include], &[exclude]).unwrap();
            assert_eq!(matcher.matches(&TopicName::new(topic).unwrap()), expected, "{include} !{exclude} {topic}");
        }
        assert!(filter(&["a)|(b"], &[]).is_err());
        assert!(!filter(&[], &[]).unwrap().matches(&TopicName::new("a").unwrap()), "nothing is included by default");
    }
}
