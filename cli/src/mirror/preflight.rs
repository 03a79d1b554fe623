//! What must be true before anything is copied, checked in an order in which each answer makes the next question
//! meaningful: both clusters answer, they are two, nobody else consumes under the group, there is a place to begin, and
//! the target has room for what will come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::identity::{StoredBy, StoredOffset};
use common::ids::{Partition, TopicName, TopicPartition};
use common::offsets::NextOffset;
use common::reason::Side;
use kafka::admin::OffsetQuery;
use kafka::clients::Clients;
use kafka::error::ErrorKind;
use kafka::offsets::GroupOffset;
use tokio::time::{Instant, sleep};

use super::args::MirrorArgs;
use super::config::MirrorConfig;
use super::peer::{Peer, RETRY_INTERVAL};
use super::same_cluster;
use super::watch::{MEMBERS_PATIENCE, NO_END};
use crate::failure::Failure;
use crate::output;

/// How often it is asked whether the group's members are gone.
const MEMBERS_INTERVAL: Duration = Duration::from_secs(1);

/// How long an end that can't be read at once is asked for again.
const ENDS_PATIENCE: Duration = Duration::from_secs(10);

/// What was found at the start.
pub struct Found {
    /// The source's topics that match, with their partition counts.
    pub topics: BTreeMap<TopicName, u32>,
    /// Where each of their partitions ended, if `--until-end` asks for it.
    pub ends: Option<BTreeMap<TopicPartition, NextOffset>>,
}

/// Checks everything; blocks no thread of the runtime.
pub async fn check<C: Clients>(config: &MirrorConfig, args: &MirrorArgs, clients: &Arc<C>) -> Result<Found, Failure> {
    let source = Peer::new(Side::Source, &config.source, &args.consumer_config, clients.as_ref())?;
    let target = Peer::new(Side::Target, &config.target, &args.producer_config, clients.as_ref())?;
    same_cluster::check(&source, &target).await?;
    wait_for_members(&source, &config.settings.group).await?;
    let all = source.ask("listing topics", |admin| admin.topics()).await?.unwrap_or_default();
    let mut topics = all.clone();
    topics.retain(|topic, _| config.whitelist.matches(topic));
    if topics.is_empty() {
        let text = no_topic(args, &all);
        if args.until_end {
            return Err(Failure::failed(text));
        }
        tracing::warn!("{text}; waiting for one");
    }
    let stored = stored_offsets(config, &source, clients, &topics).await?;
    if config.needs_stored_offset && stored.is_empty() {
        return Err(Failure::failed(format!(
            "group {} holds no offset and auto.offset.reset is none, so there is no place to begin: set it to earliest \
             or latest in {}",
            config.settings.group,
            args.consumer_config.display()
        )));
    }
    check_room(config, &target, &topics, &stored).await?;
    let ends = if args.until_end { Some(ends(&source, &topics).await?) } else { None };
    Ok(Found { topics, ends })
}

/// Waits until the group has no members. A consumer that was killed stays one for its session timeout.
async fn wait_for_members(source: &Peer, group: &str) -> Result<(), Failure> {
    let start = Instant::now();
    let mut named = BTreeSet::new();
    loop {
        let asked = group.to_owned();
        let members = source.ask("describing the group", move |admin| admin.group_members(&asked)).await?;
        let members = members.unwrap_or_default();
        if members.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<_> = members
            .iter()
            .map(|member| format!("{} at {} ({})", member.client_id, member.host, member.member_id))
            .collect();
        let list = names.iter().cloned().collect::<Vec<_>>().join(", ");
        if start.elapsed() >= MEMBERS_PATIENCE {
            return Err(Failure::conflict(format!(
                "group {group} still has members after {} s: {list}; stop them (a MirrorMaker 1 that runs, for \
                 example), or give the mirror a group.id of its own in {}",
                MEMBERS_PATIENCE.as_secs(),
                source.file
            )));
        }
        if names != named {
            output::note(format!(
                "group {group} has members: {list}; waiting for them to leave, up to {} s",
                MEMBERS_PATIENCE.saturating_sub(start.elapsed()).as_secs_f64().ceil()
            ));
            named = names;
        }
        sleep(MEMBERS_INTERVAL).await;
    }
}

/// What to say when nothing matches.
fn no_topic(args: &MirrorArgs, all: &BTreeMap<TopicName, u32>) -> String {
    const NAMED_MAX: usize = 5;
    let visible: Vec<_> = all.keys().filter(|topic| !topic.is_internal()).map(TopicName::as_str).collect();
    let has = match visible.len() {
        0 => "the source shows no topic to this user".to_owned(),
        count if count > NAMED_MAX => {
            format!("the source has {count} topics, such as {}", visible[..NAMED_MAX].join(", "))
        }
        _ => format!("the source has {}", visible.join(", ")),
    };
    format!(
        "no topic matches {} {:?}, which must match a whole name ('test.*' matches all that begin with test); {has}",
        args.topics_flag(),
        args.topics()
    )
}

/// Every offset that the group holds; of the topics' partitions alone where the cluster does not list them all.
async fn stored_offsets<C: Clients>(
    config: &MirrorConfig,
    source: &Peer,
    clients: &Arc<C>,
    topics: &BTreeMap<TopicName, u32>,
) -> Result<BTreeMap<TopicPartition, GroupOffset>, Failure> {
    let (clients, cluster, group) = (clients.clone(), config.source.clone(), config.settings.group.clone());
    let asked: Vec<_> = partitions(topics).collect();
    let doing = format!("reading the offsets of group {}", config.settings.group);
    let request = move || {
        let mut offsets = clients.offsets(&cluster, &group)?;
        match offsets.read_all() {
            Err(error) if error.kind == ErrorKind::Unsupported => {
                let found = offsets.read(&asked)?;
                let known = asked.iter().cloned().zip(found);
                Ok(known.filter_map(|(partition, offset)| Some((partition, offset?))).collect())
            }
            answer => answer.map(|all| all.into_iter().collect()),
        }
    };
    source.patiently(&doing, request).await.map_err(|error| source.failure(&doing, &error))
}

/// Fails when a target topic has fewer partitions than its source and was not made by a mirror, which would grow it.
async fn check_room(
    config: &MirrorConfig,
    target: &Peer,
    topics: &BTreeMap<TopicName, u32>,
    stored: &BTreeMap<TopicPartition, GroupOffset>,
) -> Result<(), Failure> {
    let has = target.ask("listing topics", |admin| admin.topics()).await?.unwrap_or_default();
    let mut short = Vec::new();
    for (topic, count) in topics {
        let Some(target_count) = has.get(topic).filter(|target_count| *target_count < count) else { continue };
        if !(config.settings.manage_topics && was_mirrored(target, topic, stored).await?) {
            short.push((topic, count, target_count));
        }
    }
    if short.is_empty() {
        return Ok(());
    }
    let lines: String = short
        .into_iter()
        .map(|(topic, count, target_count)| {
            format!(
                "\n  topic {topic}: partitions on the target {target_count}, on the source {count}\n    kafka-topics \
                 --bootstrap-server {} --alter --topic {topic} --partitions {count}",
                target.bootstrap
            )
        })
        .collect();
    Err(Failure::conflict(format!(
        "the target has too few partitions, and a record keeps its partition; grow these topics first (records that are \
         there already stay where they are):{lines}"
    )))
}

/// Whether a mirror stored offsets for just this topic of the target.
async fn was_mirrored(
    target: &Peer,
    topic: &TopicName,
    stored: &BTreeMap<TopicPartition, GroupOffset>,
) -> Result<bool, Failure> {
    let of_topic = stored.iter().filter(|(partition, _)| partition.topic == *topic).map(|(_, offset)| offset);
    let ids: BTreeSet<_> = of_topic
        .map(|offset| StoredOffset::parse(offset.next_offset, offset.leader_epoch, &offset.metadata).stored_by)
        .filter_map(|stored_by| match stored_by {
            StoredBy::Us(identity) => Some(identity.target_topic_id),
            StoredBy::OtherTool | StoredBy::Unreadable(_) => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(false);
    }
    let asked = [topic.clone()];
    let described = target.ask("describing topics", move |admin| admin.describe_topics(&asked)).await?;
    let id = described.and_then(|described| Some(described.into_iter().next()?.ok()?.id)).unwrap_or_default();
    Ok(ids.into_iter().any(|mirrored| !mirrored.contradicts(id)))
}

/// Where each partition ends for a reader of committed records.
async fn ends(
    source: &Peer,
    topics: &BTreeMap<TopicName, u32>,
) -> Result<BTreeMap<TopicPartition, NextOffset>, Failure> {
    let start = Instant::now();
    let mut ends = BTreeMap::new();
    let mut missing: Vec<_> = partitions(topics).collect();
    while !missing.is_empty() {
        let queries: Vec<_> = missing.into_iter().map(|partition| (partition, OffsetQuery::LastStable)).collect();
        let asked = queries.clone();
        let answers = source.ask("looking up ends", move |admin| admin.offsets(&asked)).await?.ok_or_else(|| {
            Failure::failed("the source cluster can't tell where its partitions end, which --until-end must know")
        })?;
        missing = Vec::new();
        for ((partition, _), answer) in queries.into_iter().zip(answers) {
            match answer {
                Ok(end) => drop(ends.insert(partition, end)),
                Err(error) if error.is_retryable() && start.elapsed() < ENDS_PATIENCE => missing.push(partition),
                Err(error) => {
                    tracing::warn!(topic = %partition.topic, partition = %partition.partition, %error, "can't read the end");
                    ends.insert(partition, NO_END);
                }
            }
        }
        if !missing.is_empty() {
            sleep(RETRY_INTERVAL).await;
        }
    }
    Ok(ends)
}

/// All partitions of the topics.
fn partitions(topics: &BTreeMap<TopicName, u32>) -> impl Iterator<Item = TopicPartition> {
    topics.iter().flat_map(|(topic, count)| {
        (0..*count).map(|partition| TopicPartition::new(topic.clone(), Partition(partition)))
    })
}
