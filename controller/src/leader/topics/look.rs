//! One look at a route's topics: asks both clusters, creates and grows what the decision says, and reports what is new.
//! Blocks; runs on a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::identity::StoredOffset;
use common::ids::{Epoch, Partition, TopicId, TopicName, TopicPartition};
use common::offsets::{NextOffset, StartPosition};
use common::reason::{Reason, Side};
use kafka::admin::{ClusterAdmin, NewTopic, OffsetQuery, TopicDescription};
use kafka::error::{Error, ErrorKind};
use kafka::offsets::GroupOffset;
use tokio::time::Instant;

use super::super::off_runtime::OffRuntime;
use super::clusters::{ClusterAccess, RouteClients};
use super::configs::{Selection, drop_refused, select};
use super::decide::{Decision, Sight, StoredIds, copy_what_fits, decide, not_created};
use super::filter::TopicMatcher;
use super::view::RouteView;
use crate::state::command::{Finding, TopicReport};
use crate::state::topics::{PartitionFacts, TopicFacts};
use crate::state::{EventKind, NewEvent};

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What the table does not say yet.
    pub reports: Vec<TopicReport>,
    /// What people should know.
    pub events: Vec<NewEvent>,
    /// Whether each topic has its facts or a reason to wait.
    pub is_complete: bool,
    /// Whether something was changed that the next look will see, or is still to be changed.
    pub again: bool,
    /// When the first topic was created or grown.
    changing_since: Option<Instant>,
}

/// Looks at one route, again and again, and remembers what must not be asked twice.
pub(crate) struct Looker {
    access: Arc<dyn ClusterAccess>,
    clients: OffRuntime<RouteClients>,
    may_have_rival: bool,
    first: Option<FirstLook>,
    created: BTreeSet<TopicName>,
    noted: BTreeSet<&'static str>,
}

/// How long one look creates and grows topics: what it found besides waits as long to be reported.
const CHANGES_MAX: Duration = Duration::from_secs(2);

/// What there was when the route was looked at first.
struct FirstLook {
    /// Whether the group held no offset at all.
    is_fresh: bool,
    /// The greatest epoch that it held.
    epoch: Epoch,
    /// The source's topics and how many partitions they had.
    partitions: BTreeMap<TopicName, u32>,
    /// Where partitions ended, for a route that starts at the latest records: what comes after the first look is copied,
    /// however long it takes until a partition can be claimed.
    ends: BTreeMap<TopicPartition, NextOffset>,
}

/// A topic of a cluster: `Ok(None)` if it does not exist.
type Found = Result<Option<TopicDescription>, Error>;

/// What was asked for one look.
struct Answers {
    source: BTreeMap<TopicName, Found>,
    target: BTreeMap<TopicName, Found>,
    stored: BTreeMap<TopicPartition, StoredOffset>,
}

impl Look {
    /// Whether one more topic may be created or grown by this look. If not, the next one follows soon.
    fn may_change(&mut self) -> bool {
        let may = self.changing_since.get_or_insert_with(Instant::now).elapsed() < CHANGES_MAX;
        self.again |= !may;
        may
    }
}

impl Looker {
    pub fn new(access: Arc<dyn ClusterAccess>, may_have_rival: bool) -> Self {
        let clients = OffRuntime::new(access.clone());
        Self { access, clients, may_have_rival, first: None, created: BTreeSet::new(), noted: BTreeSet::new() }
    }

    /// Looks. An error means that nothing was learnt.
    pub fn look(&mut self, view: &RouteView) -> Result<Look, Error> {
        let mut clients = match self.clients.take() {
            Some(clients) => clients,
            None => RouteClients::new(&*self.access, view)?,
        };
        let look = self.look_with(view, &mut clients);
        self.clients.put(clients);
        look
    }

    fn look_with(&mut self, view: &RouteView, clients: &mut RouteClients) -> Result<Look, Error> {
        let mut look = Look { is_complete: true, ..Look::default() };
        let listing = clients.source.topics()?;
        let topics = select_topics(view, &listing)?;
        let answers = self.ask(view, clients, &listing, &topics, &mut look)?;
        for (topic, target) in &topics {
            let finding = match (&answers.source[topic], &answers.target[target]) {
                _ if written_by_other(view, topic, target).is_some() => written_by_other(view, topic, target),
                (Ok(Some(source)), Ok(found)) => {
                    self.settle(view, clients, &answers, (topic, target), (source, found.as_ref()), &mut look)
                }
                (Ok(None), _) => Some(Finding::Waiting(Reason::TopicMissing { side: Side::Source })),
                (Err(error), _) => failed(Side::Source, error),
                (_, Err(error)) => failed(Side::Target, error),
            };
            match finding {
                Some(finding) if is_known(view, topic, &finding) => {}
                Some(finding) => look.reports.push(TopicReport {
                    route: view.route.clone(),
                    incarnation: view.incarnation,
                    seen: view.revision,
                    topic: topic.clone(),
                    target: target.clone(),
                    finding,
                }),
                None => look.is_complete = false,
            }
        }
        look.again |= view.topics.is_empty() && !look.is_complete;
        Ok(look)
    }

    /// Asks both clusters and the group.
    fn ask(
        &mut self,
        view: &RouteView,
        clients: &mut RouteClients,
        listing: &BTreeMap<TopicName, u32>,
        topics: &BTreeMap<TopicName, TopicName>,
        look: &mut Look,
    ) -> Result<Answers, Error> {
        let source = describe(&*clients.source, topics.keys())?;
        let target = describe(&*clients.target, topics.values())?;
        for (side, is_missing) in [("source", source.1), ("target", target.1)] {
            if is_missing && self.noted.insert(side) {
                let text =
                    format!("the {side} cluster can't describe topics: topics that are created again go unnoticed");
                look.events.push(NewEvent::new(EventKind::Topic, text).on_route(&view.route));
            }
        }
        let mut new_partitions = Vec::new();
        for (topic, found) in &source.0 {
            if let Ok(Some(found)) = found {
                let known = known_facts(view, topic).map_or(0, |facts| facts.partitions);
                let new =
                    (known..found.partitions).map(|partition| TopicPartition::new(topic.clone(), Partition(partition)));
                new_partitions.extend(new);
            }
        }
        let stored = self.stored(view, clients, listing, &new_partitions)?;
        Ok(Answers { source: source.0, target: target.0, stored })
    }

    /// The stored offsets of partitions that the table does not have. On the first look all of the group's, since
    /// whether there is any decides where partitions start.
    fn stored(
        &mut self,
        view: &RouteView,
        clients: &mut RouteClients,
        listing: &BTreeMap<TopicName, u32>,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredOffset>, Error> {
        if !view.surveyed && self.first.is_none() {
            let all = match clients.offsets.read_all() {
                Err(error) if error.kind == ErrorKind::Unsupported => {
                    let known = listing.iter().flat_map(|(topic, count)| {
                        (0..*count).map(|partition| TopicPartition::new(topic.clone(), Partition(partition)))
                    });
                    read(clients, &known.collect::<Vec<_>>())?
                }
                all => all?,
            };
            let is_fresh = all.is_empty();
            let ends = match view.settings.start {
                StartPosition::Latest if is_fresh => ends(&*clients.source, partitions)?,
                _ => BTreeMap::new(),
            };
            let stored: BTreeMap<_, _> =
                all.into_iter().map(|(partition, offset)| (partition, parse(&offset))).collect();
            let epoch = stored.values().map(StoredOffset::epoch).max().unwrap_or_default();
            self.first = Some(FirstLook { is_fresh, epoch, partitions: listing.clone(), ends });
            return Ok(stored);
        }
        let read = if partitions.is_empty() { Vec::new() } else { read(clients, partitions)? };
        Ok(read.into_iter().map(|(partition, offset)| (partition, parse(&offset))).collect())
    }

    /// Decides about a topic that the source has, and does what was decided. `None` where the next look knows more.
    fn settle(
        &mut self,
        view: &RouteView,
        clients: &RouteClients,
        answers: &Answers,
        (topic, target_name): (&TopicName, &TopicName),
        (source, target): (&TopicDescription, Option<&TopicDescription>),
        look: &mut Look,
    ) -> Option<Finding> {
        if !source.may_read {
            return Some(Finding::Waiting(Reason::Denied { side: Side::Source }));
        }
        if target.is_some_and(|target| !target.may_write) {
            return Some(Finding::Waiting(Reason::Denied { side: Side::Target }));
        }
        let all =
            TopicPartition::new(topic.clone(), Partition(0))..=TopicPartition::new(topic.clone(), Partition(u32::MAX));
        let sight = Sight {
            target_name,
            source,
            target,
            known: known_facts(view, topic),
            stored: &StoredIds::of(answers.stored.range(all).map(|(_, offset)| offset)),
            is_created_by_us: self.created.contains(target_name),
            manage: view.settings.manage_topics,
            accept_foreign: view.settings.accept_foreign_offsets,
            accept_recreated: is_accepting(view, topic),
        };
        let decision = decide(&sight);
        if matches!(decision, Decision::Create | Decision::Grow) && !look.may_change() {
            return None;
        }
        let decision = match decision {
            Decision::Create => return self.create(view, clients, topic, &sight, look).map(Finding::Waiting),
            Decision::Grow => match clients.target.grow_topic(target_name, source.partitions) {
                Ok(()) => {
                    let text = format!("target topic {target_name} was grown to {} partitions", source.partitions);
                    look.events.push(NewEvent::new(EventKind::Topic, text).on_topic(&view.route, topic));
                    look.again = true;
                    return None;
                }
                Err(error) if error.is_retryable() => return None,
                Err(error) => {
                    let text = format!("the target topic can't be grown to {} partitions: {error}", source.partitions);
                    copy_what_fits(&sight, Reason::Waiting { text })
                }
            },
            decision => decision,
        };
        match decision {
            Decision::Copy { partitions, beyond } => {
                let target = target.expect("only what both sides have is copied");
                Some(self.ready(view, answers, topic, (source.id, target.id), partitions, beyond))
            }
            Decision::Wait(reason) => Some(Finding::Waiting(reason)),
            Decision::Create | Decision::Grow => unreachable!("done above"),
        }
    }

    /// The facts of a topic, with what is known of each partition that is new.
    fn ready(
        &self,
        view: &RouteView,
        answers: &Answers,
        topic: &TopicName,
        (source_topic_id, target_topic_id): (TopicId, TopicId),
        partitions: u32,
        beyond: Option<Reason>,
    ) -> Finding {
        let known = known_facts(view, topic);
        let is_same = known.is_some_and(|known| known.ids() == (source_topic_id, target_topic_id));
        let known_partitions = known.map_or(0, |known| known.partitions);
        // Kafka never shrinks a topic: an answer that says so is an old one.
        let partitions = if is_same { partitions.max(known_partitions) } else { partitions };
        // What a rival has stored since is left alone: it is the greater one for every partition, or for none.
        let first = self.first.as_ref().filter(|_| self.may_have_rival).map(|first| first.epoch);
        let new_partitions = (known_partitions..partitions).map(Partition).map(|partition| {
            let stored = answers.stored.get(&TopicPartition::new(topic.clone(), partition));
            let stored_epoch = first.or_else(|| Some(stored?.epoch())).unwrap_or_default();
            (partition, PartitionFacts { stored_epoch, start: self.start(view, topic, partition) })
        });
        let new_partitions = new_partitions.collect();
        Finding::Ready { facts: TopicFacts { source_topic_id, target_topic_id, partitions }, new_partitions, beyond }
    }

    /// Where a partition begins if no offset is stored.
    fn start(&self, view: &RouteView, topic: &TopicName, partition: Partition) -> StartPosition {
        let known = view.topics.get(topic);
        if let Some(start) = known.filter(|known| known.facts.is_none()).and_then(|known| known.start) {
            return start;
        }
        let Some(first) = self.first.as_ref().filter(|first| first.is_fresh && !view.surveyed) else {
            return StartPosition::Earliest;
        };
        if first.partitions.get(topic).is_none_or(|partitions| partition.0 >= *partitions) {
            return StartPosition::Earliest;
        }
        let end = first.ends.get(&TopicPartition::new(topic.clone(), partition));
        end.map_or(view.settings.start, |end| StartPosition::Offset(*end))
    }

    /// Creates a target topic. Returns why it can't, or `None` where the next look will find it or try again.
    fn create(
        &mut self,
        view: &RouteView,
        clients: &RouteClients,
        topic: &TopicName,
        sight: &Sight<'_>,
        look: &mut Look,
    ) -> Option<Reason> {
        let mut selection = match clients.source.topic_configs(std::slice::from_ref(topic)).map(|mut all| all.pop()) {
            Ok(Some(Ok(configs))) => select(&configs),
            Ok(Some(Err(error))) | Err(error) if error.is_retryable() => return None,
            Ok(Some(Err(error))) | Err(error) => {
                let note = format!("its settings are the target's defaults, the source does not tell its own: {error}");
                Selection { notes: vec![note], ..Selection::default() }
            }
            Ok(None) => return None,
        };
        let (name, partitions) = (sight.target_name.clone(), sight.source.partitions);
        loop {
            let new = NewTopic { name: name.clone(), partitions, configs: selection.configs.clone() };
            match clients.target.create_topic(&new) {
                Ok(()) => break,
                Err(error) if error.kind == ErrorKind::TopicExists => {
                    look.again = true;
                    return None;
                }
                Err(error) if error.kind == ErrorKind::InvalidConfig && drop_refused(&mut selection, &error.text) => {}
                Err(error) if error.kind == ErrorKind::Unreachable => return None,
                Err(error) => return Some(not_created(sight, format_args!("can't be created: {error}"))),
            }
        }
        let text = format!("target topic {name} was created with {partitions} partitions");
        let notes = selection.notes.into_iter().map(|note| format!("target topic {name}: {note}"));
        let events = std::iter::once(text).chain(notes);
        look.events.extend(events.map(|text| NewEvent::new(EventKind::Topic, text).on_topic(&view.route, topic)));
        self.created.insert(name);
        look.again = true;
        None
    }
}

/// The topics to look at, with their target names: those the filter matches and those the table has, without those an
/// operator removed.
fn select_topics(
    view: &RouteView,
    listing: &BTreeMap<TopicName, u32>,
) -> Result<BTreeMap<TopicName, TopicName>, Error> {
    let matcher = TopicMatcher::new(&view.settings.filter).map_err(|error| Error::new(ErrorKind::Config, error))?;
    let matched = listing.keys().filter(|name| matcher.matches(name) && !view.removed_topics.contains(*name));
    let mut topics: BTreeMap<TopicName, TopicName> = matched.map(|name| (name.clone(), name.clone())).collect();
    for (name, topic) in &view.topics {
        if topic.leaving {
            topics.remove(name);
        } else {
            topics.insert(name.clone(), topic.target.clone());
        }
    }
    Ok(topics)
}

/// Describes topics; where the cluster can't, by its listing, without ids. The flag says so.
fn describe<'a>(
    admin: &dyn ClusterAdmin,
    names: impl Iterator<Item = &'a TopicName>,
) -> Result<(BTreeMap<TopicName, Found>, bool), Error> {
    let names: Vec<TopicName> = names.cloned().collect();
    if names.is_empty() {
        return Ok((BTreeMap::new(), false));
    }
    match admin.describe_topics(&names) {
        Ok(described) => {
            let found = described.into_iter().map(|found| match found {
                Ok(description) => Ok(Some(description)),
                Err(error) if error.kind == ErrorKind::UnknownTopic => Ok(None),
                Err(error) => Err(error),
            });
            Ok((names.into_iter().zip(found).collect(), false))
        }
        Err(error) if error.kind == ErrorKind::Unsupported => {
            let listing = admin.topics()?;
            let found = |name: &TopicName| {
                let partitions = *listing.get(name)?;
                Some(TopicDescription { id: TopicId::NONE, partitions, may_read: true, may_write: true })
            };
            Ok((names.into_iter().map(|name| (name.clone(), Ok(found(&name)))).collect(), true))
        }
        Err(error) => Err(error),
    }
}

/// What a topic that could not be described means: a right that is missing is a reason to wait, all else passes.
fn failed(side: Side, error: &Error) -> Option<Finding> {
    match error.kind {
        ErrorKind::TopicDenied => Some(Finding::Waiting(Reason::Denied { side })),
        _ if error.is_retryable() => None,
        _ => Some(Finding::Waiting(Reason::Waiting { text: format!("the {side} can't describe it: {error}") })),
    }
}

/// Why a topic waits whose target topic another one writes.
fn written_by_other(view: &RouteView, topic: &TopicName, target: &TopicName) -> Option<Finding> {
    let other = view.sources.get(target).filter(|other| *other != topic)?;
    let route = &view.route;
    let text = format!(
        "target topic {target} is written by topic {other}; give this one another: replisome topic add --route {route} \
         {topic} --target NAME, or remove one of the two"
    );
    Some(Finding::Waiting(Reason::Waiting { text }))
}

/// Whether the table says it already.
fn is_known(view: &RouteView, topic: &TopicName, finding: &Finding) -> bool {
    let Some(known) = view.topics.get(topic) else { return false };
    match finding {
        Finding::Ready { facts, beyond, .. } => {
            let is_fulfilled = known.waiting.is_none() && known.accepting.is_none();
            known.facts == Some(*facts) && known.beyond == *beyond && is_fulfilled
        }
        Finding::Waiting(reason) => known.waiting.as_ref() == Some(reason),
    }
}

/// Where partitions end for a reader of committed records. Those that can't tell now are left out.
fn ends(
    admin: &dyn ClusterAdmin,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, NextOffset>, Error> {
    let queries: Vec<_> = partitions.iter().map(|partition| (partition.clone(), OffsetQuery::LastStable)).collect();
    let found = match admin.offsets(&queries) {
        Err(error) if error.kind == ErrorKind::Unsupported => return Ok(BTreeMap::new()),
        found => found?,
    };
    Ok(partitions.iter().cloned().zip(found).filter_map(|(partition, end)| Some((partition, end.ok()?))).collect())
}

/// Whether an operator accepts another topic under the name.
fn is_accepting(view: &RouteView, topic: &TopicName) -> bool {
    view.topics.get(topic).is_some_and(|known| known.accepting.is_some())
}

fn known_facts(view: &RouteView, topic: &TopicName) -> Option<TopicFacts> {
    view.topics.get(topic)?.facts
}

fn read(
    clients: &mut RouteClients,
    partitions: &[TopicPartition],
) -> Result<Vec<(TopicPartition, GroupOffset)>, Error> {
    let read = clients.offsets.read(partitions)?;
    Ok(partitions.iter().cloned().zip(read).filter_map(|(partition, offset)| Some((partition, offset?))).collect())
}

fn parse(offset: &GroupOffset) -> StoredOffset {
    StoredOffset::parse(offset.next_offset, offset.leader_epoch, &offset.metadata)
}
