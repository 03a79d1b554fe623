//! What a target topic refuses, so that a refusal is foreseen before a record is produced. An unforeseen one costs the
//! whole lane its producer; a foreseen one holds a single partition.

use common::reason::Reason;
use kafka::admin::TopicConfigs;
use kafka::record::Record;

/// The settings of a target topic by which a broker refuses records
/// (`org.apache.kafka.storage.internals.log.LogValidator`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `max.message.bytes`: the largest batch, in bytes.
    pub batch_bytes_max: u64,
    /// Whether `cleanup.policy` contains `compact`: then each record needs a key.
    pub compacted: bool,
    /// How old a timestamp may be, in milliseconds.
    pub timestamp_before_ms_max: i64,
    /// How far in the future a timestamp may be, in milliseconds.
    pub timestamp_after_ms_max: i64,
}

impl Limits {
    /// A topic that refuses nothing: for clusters that do not tell their settings.
    pub const NONE: Self = Self {
        batch_bytes_max: u64::MAX,
        compacted: false,
        timestamp_before_ms_max: i64::MAX,
        timestamp_after_ms_max: i64::MAX,
    };

    /// Reads them from the topic's settings. What is missing refuses nothing.
    pub fn read(configs: &TopicConfigs) -> Self {
        let number = |key| configs.value(key).and_then(|value| value.parse::<i64>().ok());
        let stamped_by_broker = configs.value("message.timestamp.type") == Some("LogAppendTime");
        // The one setting of brokers before Kafka 3.6 (KIP-937), which has both directions.
        let difference = number("message.timestamp.difference.max.ms").unwrap_or(i64::MAX);
        let window = |key| if stamped_by_broker { i64::MAX } else { number(key).unwrap_or(difference) };
        Self {
            batch_bytes_max: number("max.message.bytes").and_then(|max| u64::try_from(max).ok()).unwrap_or(u64::MAX),
            compacted: configs.value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            timestamp_before_ms_max: window("message.timestamp.before.max.ms"),
            timestamp_after_ms_max: window("message.timestamp.after.max.ms"),
        }
    }

    /// Why the topic will refuse the record, if it will. `now_ms` is the wall clock.
    pub fn refusal(&self, record: &RecordShape, now_ms: i64) -> Option<Reason> {
        let offset = record.offset;
        if record.batch_bytes > self.batch_bytes_max {
            return Some(Reason::RecordTooLarge { offset, size: record.batch_bytes, limit: self.batch_bytes_max });
        }
        if self.compacted && !record.has_key {
            return Some(Reason::KeyMissing { offset });
        }
        let timestamp_ms = record.timestamp_ms?;
        let refused = |key: &str, max| {
            let setting = format!("{key}={max}");
            Some(Reason::TimestampRefused { offset, timestamp_ms, setting })
        };
        if now_ms.saturating_sub(timestamp_ms) > self.timestamp_before_ms_max {
            return refused("message.timestamp.before.max.ms", self.timestamp_before_ms_max);
        }
        if timestamp_ms.saturating_sub(now_ms) > self.timestamp_after_ms_max {
            return refused("message.timestamp.after.max.ms", self.timestamp_after_ms_max);
        }
        None
    }
}

/// What the limits look at in a record: small enough to be kept while its partition is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordShape {
    /// Its source offset.
    pub offset: i64,
    /// Bytes of a batch that holds it alone; 0 where the producer compresses, since that is only known afterwards.
    pub batch_bytes: u64,
    /// Its timestamp.
    pub timestamp_ms: Option<i64>,
    /// Whether its key is not null.
    pub has_key: bool,
}

impl RecordShape {
    /// The shape of a record; `compressed` tells whether the producer compresses.
    pub fn of(record: &Record<'_>, compressed: bool) -> Self {
        Self {
            offset: record.offset,
            batch_bytes: if compressed { 0 } else { record.batch_bytes() },
            timestamp_ms: record.timestamp_ms,
            has_key: record.key.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka::admin::TopicConfig;

    use super::*;

    fn configs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> TopicConfigs {
        let config = |value: &str| TopicConfig { value: Some(value.to_owned()), is_override: true };
        TopicConfigs(pairs.into_iter().map(|(key, value)| (key.to_owned(), config(value))).collect())
    }

    const PLAIN: RecordShape = RecordShape { offset: 7, batch_bytes: 100, timestamp_ms: Some(10_000), has_key: true };

    #[test]
    fn a_batch_at_the_limit_passes_and_one_byte_more_does_not() {
        let limits = Limits::read(&configs([("max.message.bytes", "100")]));
        assert_eq!(limits.refusal(&PLAIN, 10_000), None);
        let refusal = limits.refusal(&RecordShape { batch_bytes: 101, ..PLAIN }, 10_000);
        assert_eq!(refusal, Some(Reason::RecordTooLarge { offset: 7, size: 101, limit: 100 }));
    }

    #[test]
    fn a_compacted_topic_refuses_a_null_key() {
        let limits = Limits::read(&configs([("cleanup.policy", "compact,delete")]));
        assert_eq!(limits.refusal(&PLAIN, 10_000), None);
        let refusal = limits.refusal(&RecordShape { has_key: false, ..PLAIN }, 10_000);
        assert_eq!(refusal, Some(Reason::KeyMissing { offset: 7 }));
    }

    #[test]
    fn timestamps_are_refused_outside_the_window_alone() {
        let window = [("message.timestamp.before.max.ms", "1000"), ("message.timestamp.after.max.ms", "500")];
        let limits = Limits::read(&configs(window));
        for (now, refused) in [(10_000, false), (11_000, false), (11_001, true), (9_500, false), (9_499, true)] {
            assert_eq!(limits.refusal(&PLAIN, now).is_some(), refused, "at {now}");
        }
        assert_eq!(limits.refusal(&RecordShape { timestamp_ms: None, ..PLAIN }, 99_999), None);
        let stamped = Limits::read(&configs(window.into_iter().chain([("message.timestamp.type", "LogAppendTime")])));
        assert_eq!(stamped.refusal(&PLAIN, 99_999), None);
    }

    #[test]
    fn unknown_settings_refuse_nothing() {
        assert_eq!(Limits::read(&TopicConfigs::default()), Limits::NONE);
    }
}
