//! The administration of a cluster in memory.

use std::collections::BTreeMap;

use common::ids::{TopicName, TopicPartition};
use common::offsets::NextOffset;

use crate::admin::{ClusterAdmin, GroupMember, NewTopic, OffsetQuery, TopicConfig, TopicConfigs, TopicDescription};
use crate::error::{Error, ErrorKind};
use crate::memory::cluster::MemoryCluster;
use crate::memory::log::Log;
use crate::memory::state::{DEFAULT_CONFIGS, State, Topic, error};

/// An administrator of a cluster in memory.
#[derive(Debug)]
pub struct MemoryAdmin(MemoryCluster);

impl MemoryAdmin {
    pub(crate) fn new(cluster: MemoryCluster) -> Self {
        Self(cluster)
    }
}

impl ClusterAdmin for MemoryAdmin {
    fn cluster_id(&self) -> Result<Option<String>, Error> {
        let state = self.0.state();
        state.reach()?;
        Ok(Some(state.cluster_id.clone()))
    }

    fn topics(&self) -> Result<BTreeMap<TopicName, u32>, Error> {
        let state = self.0.state();
        state.reach()?;
        let visible = state.topics.iter().filter(|(name, _)| !is_hidden(&state, name));
        Ok(visible.map(|(name, topic)| (name.clone(), partitions(topic))).collect())
    }

    fn describe_topics(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        let state = self.0.state();
        check(&state, "describe topics")?;
        let describe = |name: &TopicName| {
            let topic = find(&state, "describe", name)?;
            Ok(TopicDescription {
                id: topic.id,
                partitions: partitions(topic),
                may_read: !state.read_denied.contains(name),
                may_write: !state.write_denied.contains(name),
            })
        };
        Ok(topics.iter().map(describe).collect())
    }

    fn topic_configs(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicConfigs, Error>>, Error> {
        let state = self.0.state();
        check(&state, "describe settings")?;
        let describe = |name: &TopicName| Ok(configs(find(&state, "describe the settings of", name)?));
        Ok(topics.iter().map(describe).collect())
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), Error> {
        let mut state = self.0.state();
        check(&state, "create topics")?;
        let refused = |kind| Err(error(kind, "create", &topic.name));
        if state.create_denied {
            return refused(ErrorKind::TopicDenied);
        }
        if state.topics.contains_key(&topic.name) {
            return refused(ErrorKind::TopicExists);
        }
        check_configs(&state, &topic.name, &topic.configs)?;
        state.create(&topic.name, topic.partitions, topic.configs.clone());
        Ok(())
    }

    fn grow_topic(&self, topic: &TopicName, partitions_in_all: u32) -> Result<(), Error> {
        let mut state = self.0.state();
        check_change(&state, "grow", topic)?;
        let grown = find_mut(&mut state, topic)?;
        if partitions_in_all <= partitions(grown) {
            return Err(error(ErrorKind::InvalidConfig, "grow", topic));
        }
        grown.logs.resize_with(partitions_in_all as usize, Log::new);
        Ok(())
    }

    fn set_topic_configs(&self, topic: &TopicName, configs: &BTreeMap<String, String>) -> Result<(), Error> {
        let mut state = self.0.state();
        check_change(&state, "set up", topic)?;
        check_configs(&state, topic, configs)?;
        find_mut(&mut state, topic)?.configs.extend(configs.clone());
        Ok(())
    }

    fn offsets(&self, queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Result<NextOffset, Error>>, Error> {
        let state = self.0.state();
        state.reach()?;
        let look_up = |(partition, query): &(TopicPartition, OffsetQuery)| {
            let doing = "look up an offset of";
            find(&state, doing, &partition.topic)?;
            let log = state.log(partition).ok_or_else(|| error(ErrorKind::UnknownTopic, doing, partition))?;
            Ok(NextOffset(match query {
                OffsetQuery::Earliest => log.start,
                OffsetQuery::LastStable => log.last_stable(),
                OffsetQuery::HighWatermark => log.end,
                OffsetQuery::Time(time) => log.first_since(*time).unwrap_or(log.last_stable()),
            }))
        };
        Ok(queries.iter().map(look_up).collect())
    }

    fn group_members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        let state = self.0.state();
        check(&state, "describe groups")?;
        match state.groups.get(group) {
            Some(found) if found.is_denied => Err(error(ErrorKind::GroupDenied, "describe group", group)),
            found => Ok(found.map(|group| group.members.clone()).unwrap_or_default()),
        }
    }

    fn delete_group(&self, group: &str) -> Result<(), Error> {
        let mut state = self.0.state();
        check(&state, "delete groups")?;
        let refusal = state.groups.get(group).and_then(|found| match found {
            found if found.is_denied => Some(ErrorKind::GroupDenied),
            found if !found.members.is_empty() => Some(ErrorKind::GroupHasMembers),
            _ => None,
        });
        if let Some(kind) = refusal {
            return Err(error(kind, "delete group", group));
        }
        state.groups.remove(group);
        Ok(())
    }
}

fn check(state: &State, doing: &str) -> Result<(), Error> {
    state.reach()?;
    if state.lacks_admin_calls {
        return Err(error(ErrorKind::Unsupported, doing, "of this cluster"));
    }
    Ok(())
}

fn check_change(state: &State, doing: &str, topic: &TopicName) -> Result<(), Error> {
    check(state, doing)?;
    find(state, doing, topic)?;
    if state.create_denied { Err(error(ErrorKind::TopicDenied, doing, topic)) } else { Ok(()) }
}

fn check_configs(state: &State, topic: &TopicName, configs: &BTreeMap<String, String>) -> Result<(), Error> {
    match configs.keys().find(|key| state.refused_configs.contains(*key)) {
        Some(key) => Err(error(ErrorKind::InvalidConfig, "set", format_args!("{key} of {topic}"))),
        None => Ok(()),
    }
}

/// Who may neither read nor write a topic may not see it: each of the two rights includes describing.
fn is_hidden(state: &State, topic: &TopicName) -> bool {
    state.read_denied.contains(topic) && state.write_denied.contains(topic)
}

fn find<'a>(state: &'a State, doing: &str, name: &TopicName) -> Result<&'a Topic, Error> {
    if is_hidden(state, name) {
        return Err(error(ErrorKind::TopicDenied, doing, name));
    }
    state.topics.get(name).ok_or_else(|| error(ErrorKind::UnknownTopic, doing, name))
}

fn find_mut<'a>(state: &'a mut State, name: &TopicName) -> Result<&'a mut Topic, Error> {
    state.topics.get_mut(name).ok_or_else(|| error(ErrorKind::UnknownTopic, "change", name))
}

fn partitions(topic: &Topic) -> u32 {
    u32::try_from(topic.logs.len()).expect("grown from a u32")
}

fn configs(topic: &Topic) -> TopicConfigs {
    let defaults = DEFAULT_CONFIGS.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()), false));
    let overrides = topic.configs.iter().map(|(key, value)| (key.clone(), Some(value.clone()), true));
    let all = defaults.chain(overrides);
    TopicConfigs(all.map(|(key, value, is_override)| (key, TopicConfig { value, is_override })).collect())
}
