//! Replicated topics: what operators want, what Kafka was seen to have.
//!
//! ```text
//!             Finding::Waiting(reason)            Finding::Ready
//!   (no facts, waiting)  ------------------------------>  (facts, not waiting): active
//!          ^                                                  |  Finding::Waiting: facts stay, what runs goes on,
//!          |  AddTopic, first report                          v  nothing is granted anew
//!                                                         (facts, waiting)
//! ```
//!
//! A pause is an operator's, durable, and independent of all that. A grant never changes under one epoch: when a
//! report brings other topic ids, the partitions that run are released, and granted again with the new ids; with another
//! source topic nothing counts that was known of the offsets of the one before.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{Epoch, Partition, Revision, RouteName, RoutePartition, TopicId, TopicName};
use common::offsets::StartPosition;
use common::reason::Reason;
use serde::{Deserialize, Serialize};

use super::State;
use super::command::{Finding, TopicReport};
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::routes::Route;
use super::slots::{Accept, Life, Slot};

/// One topic on a route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Topic {
    /// The topic that is written.
    pub target: TopicName,
    /// Whether it was added by name, so that it stays without matching the route's filter.
    pub by_name: bool,
    /// Where its partitions begin, if an operator said so.
    pub start: Option<StartPosition>,
    /// Whether an operator paused it as a whole.
    pub paused: bool,
    /// The partitions an operator paused.
    pub paused_partitions: BTreeSet<Partition>,
    /// What both clusters were seen to have; `None` until both had it.
    pub facts: Option<TopicFacts>,
    /// Why nothing of it is granted anew.
    pub waiting: Option<Reason>,
    /// Why the source's further partitions are not copied, if it has more than the target.
    pub beyond: Option<Reason>,
    /// Whether it goes as soon as its partitions are released.
    pub leaving: bool,
    /// Set while an operator's wish to accept other topics under the known names was not looked at yet.
    pub accepting: Option<Accepting>,
}

/// An operator accepts topics that were deleted or created again, once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accepting {
    /// The change that asked for it: a look that did not know it does not fulfil it.
    pub asked: Revision,
    /// The partitions whose stored offsets are accepted; `None` for all.
    pub partitions: Option<BTreeSet<Partition>>,
}

/// What both clusters have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TopicFacts {
    /// The source topic's id.
    pub source_topic_id: TopicId,
    /// The target topic's id.
    pub target_topic_id: TopicId,
    /// How many partitions can be copied: as many as both have.
    pub partitions: u32,
}

/// What is known of a partition that is new to the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// The epoch of its stored offset, zero without one. The first grant goes above it.
    pub stored_epoch: Epoch,
    /// Where it begins if no offset was ever stored.
    pub start: StartPosition,
}

/// A topic in one word and a reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TopicState {
    /// Its partitions are copied.
    Active,
    /// It waits for a fact or for an operator.
    Waiting(Reason),
    /// An operator paused it, or its route.
    Paused,
    /// It goes as soon as its partitions are released.
    Leaving,
}

impl State {
    /// The state of a topic.
    pub fn topic_state(&self, route: &RouteName, name: &TopicName) -> Option<TopicState> {
        let topic = self.topics.get(&(route.clone(), name.clone()))?;
        let route = self.routes.get(route).expect("C4: a topic's route is known");
        Some(match &topic.waiting {
            _ if topic.leaving => TopicState::Leaving,
            _ if topic.paused || route.paused => TopicState::Paused,
            Some(reason) => TopicState::Waiting(reason.clone()),
            None if topic.facts.is_none() => TopicState::Waiting(Reason::Waiting { text: "not looked at yet".into() }),
            None => TopicState::Active,
        })
    }

    /// The topics that are not copied, or not wholly, though nobody paused or removed them, and why.
    pub fn waiting_topics(&self) -> impl Iterator<Item = (&RouteName, &TopicName, &Reason)> {
        self.topics.iter().filter_map(|((route, name), topic)| {
            let is_meant = !topic.paused && !topic.leaving && self.routes.get(route).is_some_and(|route| !route.paused);
            let reason = topic.waiting.as_ref().or(topic.beyond.as_ref())?;
            is_meant.then_some((route, name, reason))
        })
    }

    pub(super) fn topic_mut(&mut self, route: &RouteName, topic: &TopicName) -> &mut Topic {
        self.topics.get_mut(&(route.clone(), topic.clone())).expect("the caller looked it up")
    }

    pub(super) fn topic(&self, route: &RouteName, topic: &TopicName) -> Result<&Topic, Rejection> {
        if !self.routes.contains_key(route) {
            return Err(Rejection::UnknownRoute(route.clone()));
        }
        let unknown = || Rejection::UnknownTopic { route: route.clone(), topic: topic.clone() };
        self.topics.get(&(route.clone(), topic.clone())).ok_or_else(unknown)
    }

    /// The row of a topic, made if it is new. It writes its target topic unless another one does.
    fn topic_or_new(&mut self, route: &RouteName, name: &TopicName, target: TopicName) -> &mut Topic {
        let sources = &mut self.routes.get_mut(route).expect("the caller looked it up").sources;
        let topic = self.topics.entry((route.clone(), name.clone())).or_insert_with(|| Topic::new(target));
        sources.entry(topic.target.clone()).or_insert_with(|| name.clone());
        topic
    }

    /// Adds a topic by name. The same again changes nothing; one that is leaving stays after all.
    pub(super) fn add_topic(
        &mut self,
        stamp: &Stamp,
        route: RouteName,
        name: TopicName,
        target: TopicName,
        start: Option<StartPosition>,
    ) -> Result<Effect, Rejection> {
        let known = self.routes.get(&route).ok_or_else(|| Rejection::UnknownRoute(route.clone()))?;
        if known.leaving {
            return Err(Rejection::RouteLeaving(route));
        }
        let key = (route.clone(), name.clone());
        check_target(known, &name, &target)?;
        match self.topics.get(&key) {
            // It only waits since another one wrote its target topic: now it has one of its own.
            Some(topic) if known.sources.get(&topic.target) != Some(&name) => {
                let topic = self.topic_mut(&route, &name);
                topic.target = target.clone();
                topic.waiting = None;
            }
            Some(topic) if topic.target != target || (start.is_some() && topic.start != start) => {
                return Err(Rejection::TopicDiffers { route, topic: name });
            }
            Some(topic) if topic.by_name && !topic.leaving => return Ok(Effect::Exists),
            Some(_) | None => {}
        }
        let text = format!("topic {name} added to route {route}");
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_topic(&route, &name));
        self.routes.get_mut(&route).expect("looked up above").removed_topics.remove(&name);
        let topic = self.topic_or_new(&route, &name, target);
        topic.by_name = true;
        topic.start = start.or(topic.start);
        if topic.leaving {
            // Some of its slots are gone already: it begins again with the next report.
            topic.leaving = false;
            topic.facts = None;
            topic.accepting = None;
            self.release_all(stamp, &route, &name, "its topic was removed and added again");
        }
        Ok(Effect::Done)
    }

    /// Lets a topic go once its partitions are released.
    pub(super) fn remove_topic(
        &mut self,
        stamp: &Stamp,
        route: &RouteName,
        name: &TopicName,
    ) -> Result<Effect, Rejection> {
        if self.topic(route, name)?.leaving {
            return Ok(Effect::Exists);
        }
        let text = format!("topic {name} removed from route {route}");
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text).on_topic(route, name));
        self.routes.get_mut(route).expect("looked up above").removed_topics.insert(name.clone());
        self.topic_mut(route, name).leaving = true;
        self.drop_unwanted(route, name);
        Ok(Effect::Done)
    }

    /// Pauses or resumes a topic or one partition of it. Resuming the topic resumes its partitions too.
    pub(super) fn set_topic_paused(
        &mut self,
        stamp: &Stamp,
        (route, name): (&RouteName, &TopicName),
        partition: Option<Partition>,
        pause: Option<&str>,
    ) -> Result<Effect, Rejection> {
        let before = self.topic(route, name)?;
        let mut after = before.clone();
        match (partition, pause) {
            (None, Some(_)) => after.paused = true,
            (None, None) => {
                after.paused = false;
                after.paused_partitions.clear();
            }
            (Some(partition), pause) => {
                let id = RoutePartition { route: route.clone(), topic: name.clone(), partition };
                if !self.slots.contains_key(&id) {
                    return Err(Rejection::UnknownPartition(id));
                }
                if pause.is_some() {
                    after.paused_partitions.insert(partition);
                } else {
                    after.paused_partitions.remove(&partition);
                }
            }
        }
        if *before == after {
            return Ok(Effect::Exists);
        }
        *self.topic_mut(route, name) = after;
        let what = match partition {
            Some(partition) => format!("partition {partition} of topic {name}"),
            None => format!("topic {name}"),
        };
        let text = pause.map_or_else(|| format!("{what} resumed"), |reason| format!("{what} paused: {reason}"));
        let mut event = NewEvent::new(EventKind::Pause, text).on_topic(route, name);
        event.partition = partition;
        self.events.record(stamp, event);
        Ok(Effect::Done)
    }

    /// Takes over what a look at Kafka found of one topic.
    pub(super) fn report_topic(&mut self, stamp: &Stamp, report: TopicReport) -> Result<(), Rejection> {
        let TopicReport { route, incarnation, seen, topic: name, target, finding } = report;
        let known = self.routes.get(&route).filter(|known| known.incarnation == incarnation);
        let known = known.ok_or_else(|| Rejection::UnknownRoute(route.clone()))?;
        let key = (route.clone(), name.clone());
        let topic = self.topics.get(&key);
        if known.leaving || known.removed_topics.contains(&name) || topic.is_some_and(|topic| topic.leaving) {
            return Err(Rejection::TopicRemoved { route, topic: name });
        }
        if let Finding::Ready { facts, new_partitions, .. } = &finding {
            check_target(known, &name, topic.map_or(&target, |topic| &topic.target))?;
            self.check_facts(&route, &name, topic.and_then(|topic| topic.facts), facts, new_partitions)?;
        }
        let topic = self.topic_or_new(&route, &name, target);
        match finding {
            Finding::Waiting(reason) => {
                if topic.waiting.replace(reason.clone()) != Some(reason.clone()) {
                    let text = format!("topic {name} waits: {reason}");
                    let event = NewEvent::new(EventKind::Pause, text).on_topic(&route, &name).because(reason);
                    self.events.record(stamp, event);
                }
            }
            Finding::Ready { facts, new_partitions, beyond } => {
                let waited = topic.waiting.take().is_some();
                let news = beyond.clone().filter(|_| topic.beyond != beyond);
                topic.beyond = beyond;
                let before = topic.facts.replace(facts);
                let accepted = topic.accepting.take_if(|accepting| accepting.asked <= seen);
                if waited {
                    let text = format!("topic {name} no longer waits");
                    self.events.record(stamp, NewEvent::new(EventKind::Pause, text).on_topic(&route, &name));
                }
                if let Some(reason) = news {
                    let text = format!("only {} partitions of topic {name} are copied: {reason}", facts.partitions);
                    let event = NewEvent::new(EventKind::Pause, text).on_topic(&route, &name).because(reason);
                    self.events.record(stamp, event);
                }
                if before.is_some_and(|before| before.ids() != facts.ids()) {
                    self.release_all(stamp, &route, &name, "its topic was created again");
                }
                if before.is_none_or(|before| before.source_topic_id != facts.source_topic_id) {
                    self.forget_offsets(&route, &name, &new_partitions);
                }
                self.add_slots(&route, &name, facts.partitions, &new_partitions);
                self.drop_unwanted(&route, &name);
                if let Some(accepted) = accepted.filter(|_| before.is_none_or(|before| before.ids() != facts.ids())) {
                    // What was granted since the wish was granted for other topics.
                    self.accept_next(&route, &name, accepted.partitions.as_ref());
                }
            }
        }
        Ok(())
    }

    fn check_facts(
        &self,
        route: &RouteName,
        name: &TopicName,
        known: Option<TopicFacts>,
        facts: &TopicFacts,
        new_partitions: &BTreeMap<Partition, PartitionFacts>,
    ) -> Result<(), Rejection> {
        if let Some(known) = known.filter(|known| known.ids() == facts.ids() && known.partitions > facts.partitions) {
            let (known, found) = (known.partitions, facts.partitions);
            return Err(Rejection::Shrunk { route: route.clone(), topic: name.clone(), known, found });
        }
        for partition in (0..facts.partitions).map(Partition) {
            let id = RoutePartition { route: route.clone(), topic: name.clone(), partition };
            if !new_partitions.contains_key(&partition) && !self.slots.contains_key(&id) {
                return Err(Rejection::IncompleteReport { route: route.clone(), topic: name.clone(), partition });
            }
        }
        Ok(())
    }

    /// Takes back every grant of a topic that is no longer the one it was.
    fn release_all(&mut self, stamp: &Stamp, route: &RouteName, topic: &TopicName, why: &str) {
        let ids: Vec<RoutePartition> = self.slots_of(route, topic).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.take_back(stamp, &id, why);
        }
    }

    /// Has the next grant of each partition that is meant accept whatever offset is stored, and the next look whatever
    /// topics bear the names. What runs is released for it.
    pub(super) fn accept_foreign_offsets(
        &mut self,
        stamp: &Stamp,
        route: &RouteName,
        name: &TopicName,
        partition: Option<Partition>,
    ) {
        let meant = partition.map(|partition| BTreeSet::from([partition]));
        let what = partition.map_or_else(String::new, |partition| format!("partition {partition} of "));
        let text = format!("{what}topic {name} goes on from whatever offsets are stored");
        let mut event = NewEvent::new(EventKind::Admin, text).on_topic(route, name);
        event.partition = partition;
        self.events.record(stamp, event);
        for id in self.accept_next(route, name, meant.as_ref()) {
            self.take_back(stamp, &id, "whatever offset is stored is accepted by its next grant");
        }
        let topic = self.topic_mut(route, name);
        let partitions = match topic.accepting.take() {
            None => meant,
            Some(earlier) => earlier.partitions.zip(meant).map(|(earlier, meant)| &earlier | &meant),
        };
        topic.accepting = Some(Accepting { asked: stamp.revision, partitions });
    }

    /// Has the next grant of each partition that is meant accept whatever offset is stored. Returns the partitions.
    fn accept_next(
        &mut self,
        route: &RouteName,
        topic: &TopicName,
        partitions: Option<&BTreeSet<Partition>>,
    ) -> Vec<RoutePartition> {
        let is_meant = |id: &&RoutePartition| partitions.is_none_or(|meant| meant.contains(&id.partition));
        let ids = self.slots_of(route, topic).map(|(id, _)| id).filter(is_meant);
        let ids: Vec<RoutePartition> = ids.cloned().collect();
        for id in &ids {
            self.slots.get_mut(id).expect("just listed").accept = Some(Accept::Next);
        }
        ids
    }

    fn add_slots(
        &mut self,
        route: &RouteName,
        topic: &TopicName,
        partitions: u32,
        new_partitions: &BTreeMap<Partition, PartitionFacts>,
    ) {
        let row = self.routes.get_mut(route).expect("C4: a topic's route is known");
        let (floor, mut added) = (row.epoch_floor, 0);
        for (&partition, facts) in new_partitions.iter().filter(|(partition, _)| partition.0 < partitions) {
            let id = RoutePartition { route: route.clone(), topic: topic.clone(), partition };
            let slot = self.slots.entry(id).or_insert_with(|| {
                added += 1;
                Slot::new(floor, facts.start)
            });
            slot.epoch = slot.epoch.max(facts.stored_epoch);
        }
        row.slots += added;
    }

    /// Drops the unassigned slots that a leaving topic or a smaller one no longer has, unless they are still to be claimed;
    /// then the topic itself and its route if nothing keeps them. Their epochs become the route's floor.
    pub(super) fn drop_unwanted(&mut self, route: &RouteName, name: &TopicName) {
        let all: Vec<RoutePartition> = self.slots_of(route, name).map(|(id, _)| id.clone()).collect();
        let pinned = all.iter().filter(|id| self.drop_slot(id).is_some_and(|slot| slot.pin.is_some())).count();
        if pinned > 0 {
            self.forget_workers();
        }
        self.drop_topic_if_empty(route, name);
    }

    /// The same where one slot has become unassigned, or is claimed: a batch of those takes no longer than it is.
    pub(super) fn drop_if_unwanted(&mut self, id: &RoutePartition) {
        let Some(slot) = self.drop_slot(id) else { return };
        if slot.pin.is_some() {
            self.forget_workers();
        }
        self.drop_topic_if_empty(&id.route, &id.topic);
    }

    fn drop_slot(&mut self, id: &RoutePartition) -> Option<Slot> {
        let topic = self.topics.get(&(id.route.clone(), id.topic.clone()))?;
        let keeps = if topic.leaving { 0 } else { topic.facts.map_or(0, |facts| facts.partitions) };
        let (slot, route) = (self.slots.get(id)?, self.routes.get_mut(&id.route)?);
        // Who lost a partition stops when its stored offset is gone, too.
        let offsets_go = route.leaving && !route.keep_offsets;
        let is_vacant = matches!(slot.life, Life::Unassigned(_));
        if id.partition.0 < keeps || !is_vacant || (slot.owes_claim() && !offsets_go) {
            return None;
        }
        route.epoch_floor = route.epoch_floor.max(slot.epoch);
        route.slots -= 1;
        self.slots.remove(id)
    }

    fn drop_topic_if_empty(&mut self, route: &RouteName, name: &TopicName) {
        let key = (route.clone(), name.clone());
        let is_leaving = self.topics.get(&key).is_some_and(|topic| topic.leaving);
        if is_leaving && self.slots_of(route, name).next().is_none() {
            self.topics.remove(&key);
            let sources = &mut self.routes.get_mut(route).expect("C4: a topic's route is known").sources;
            sources.retain(|_, source| source != name);
            self.drop_if_empty(route);
        }
    }
}

/// A target topic has one writer on a route.
fn check_target(route: &Route, name: &TopicName, target: &TopicName) -> Result<(), Rejection> {
    match route.sources.get(target).filter(|other| *other != name) {
        Some(other) => Err(Rejection::TargetTaken { target: target.clone(), other: other.clone() }),
        None => Ok(()),
    }
}

impl Topic {
    fn new(target: TopicName) -> Self {
        Self {
            target,
            by_name: false,
            start: None,
            paused: false,
            paused_partitions: BTreeSet::new(),
            facts: None,
            waiting: None,
            beyond: None,
            leaving: false,
            accepting: None,
        }
    }
}

impl TopicFacts {
    /// Which topics are meant.
    pub fn ids(&self) -> (TopicId, TopicId) {
        (self.source_topic_id, self.target_topic_id)
    }
}
