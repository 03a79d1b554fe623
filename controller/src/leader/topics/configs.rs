//! Which settings of a source topic its target topic is created with.

use std::collections::BTreeMap;

use kafka::admin::TopicConfigs;

/// Settings that Apache Kafka knows and that mean the same on any cluster. Not among them: what speaks of the source's
/// brokers (`min.insync.replicas`, throttles, placement), of its tiered storage (`remote.*`, `local.*`), or of one
/// vendor.
const COPIED: &[&str] = &[
    "cleanup.policy",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.downconversion.enable",
    "message.format.version",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.difference.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "preallocate",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
    "unclean.leader.election.enable",
];

const TIMESTAMP_TYPE: &str = "message.timestamp.type";

/// The settings to create a target topic with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Name and value.
    pub configs: BTreeMap<String, String>,
    /// What was changed on the way, for people.
    pub notes: Vec<String>,
}

/// Selects the source topic's own settings, as far as they mean the same on the target.
pub fn select(source: &TopicConfigs) -> Selection {
    let mut selection = Selection::default();
    for (key, config) in source.0.iter().filter(|(key, config)| config.is_override && COPIED.contains(&key.as_str())) {
        let Some(value) = &config.value else { continue };
        let value = if key == TIMESTAMP_TYPE && value == "LogAppendTime" {
            selection.notes.push(format!("{TIMESTAMP_TYPE} is CreateTime, not LogAppendTime: else timestamps change"));
            "CreateTime"
        } else {
            value
        };
        selection.configs.insert(key.clone(), value.to_owned());
    }
    selection
}

/// Takes out what the target refused: the settings its message names, or all if it names none. False if there is
/// nothing left to take out.
pub fn drop_refused(selection: &mut Selection, refusal: &str) -> bool {
    if selection.configs.is_empty() {
        return false;
    }
    let names = |key: &str| {
        refusal.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').any(|word| word.trim_end_matches('.') == key)
    };
    let mut guilty: Vec<String> = selection.configs.keys().filter(|key| names(key)).cloned().collect();
    if guilty.is_empty() {
        guilty = selection.configs.keys().cloned().collect();
    }
    for key in guilty {
        let value = selection.configs.remove(&key).expect("just listed");
        selection.notes.push(format!("{key}={value} is not carried over, the target refuses it: {refusal}"));
    }
    true
}

#[cfg(test)]
mod tests {
    use kafka::admin::TopicConfig;

    use super::*;

    fn configs(entries: &[(&str, &str, bool)]) -> TopicConfigs {
        let config = |value: &str, is_override| TopicConfig { value: Some(value.to_owned()), is_override };
        TopicConfigs(entries.iter().map(|(key, value, own)| ((*key).to_owned(), config(value, *own))).collect())
    }

    #[test]
    fn only_own_portable_settings_are_copied() {
        let selection = select(&configs(&[
            ("retention.ms", "5", true),
            ("segment.ms", "7", false),
            ("min.insync.replicas", "2", true),
            ("leader.replication.throttled.replicas", "*", true),
            ("follower.replication.throttled.replicas", "*", true),
            ("remote.storage.enable", "true", true),
            ("local.retention.ms", "1", true),
            ("confluent.placement.constraints", "{}", true),
        ]));
        assert_eq!(selection.configs, BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]));
        assert_eq!(selection.notes, Vec::<String>::new());
    }

    #[test]
    fn append_time_becomes_create_time_with_a_note() {
        let selection = select(&configs(&[(TIMESTAMP_TYPE, "LogAppendTime", true)]));
        assert_eq!(selection.configs[TIMESTAMP_TYPE], "CreateTime");
        assert_eq!(selection.notes.len(), 1);
    }

    #[test]
    fn the_refused_setting_goes_and_the_others_stay() {
        let mut selection = select(&configs(&[("segment.ms", "1", true), ("retention.ms", "2", true)]));
        assert!(drop_refused(&mut selection, "Invalid value 1 for configuration segment.ms: too small"));
        assert_eq!(selection.configs.keys().collect::<Vec<_>>(), ["retention.ms"]);
        assert!(drop_refused(&mut selection, "the policy says no"), "an unnamed one is among all");
        assert!(selection.configs.is_empty() && selection.notes.len() == 2);
        assert!(!drop_refused(&mut selection, "again"));
    }
}
