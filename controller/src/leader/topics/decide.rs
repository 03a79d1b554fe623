//! What to do about one topic, given what both clusters, the stored offsets and the table say of it. Pure.
//!
//! ```text
//! source re-created? -> wait        target missing:  mirrored before? -> wait (it was deleted)
//!                                                    managed?         -> create, else wait
//!                                   target there:    re-created?      -> wait
//!                                                    the same topic?  -> wait
//!                                                    enough?          -> copy
//!                                                    mirrored before? -> grow, else wait with the line that mends it
//! ```

use std::collections::BTreeSet;

use common::identity::{StoredBy, StoredOffset};
use common::ids::{TopicId, TopicName};
use common::reason::{Reason, Side};
use kafka::admin::TopicDescription;

use crate::state::topics::TopicFacts;

/// All that is known of one topic.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The target topic's name.
    pub target_name: &'a TopicName,
    /// The source topic.
    pub source: &'a TopicDescription,
    /// The target topic; `None` if it is missing.
    pub target: Option<&'a TopicDescription>,
    /// What the table knows.
    pub known: Option<TopicFacts>,
    /// What the stored offsets say.
    pub stored: &'a StoredIds,
    /// Whether this leader created the target topic a moment ago.
    pub is_created_by_us: bool,
    /// Whether target topics are created and grown.
    pub manage: bool,
    /// Whether stored offsets of other topics are accepted.
    pub accept_foreign: bool,
    /// Whether an operator accepts, this once, that either topic was created again or deleted.
    pub accept_recreated: bool,
}

/// The topics that a topic's stored offsets speak of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredIds {
    /// The source topics.
    pub source: BTreeSet<TopicId>,
    /// The target topics.
    pub target: BTreeSet<TopicId>,
}

/// What to do about a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Copy this many partitions.
    Copy {
        /// How many.
        partitions: u32,
        /// Why not all.
        beyond: Option<Reason>,
    },
    /// Create the target topic.
    Create,
    /// Give the target topic as many partitions as the source has.
    Grow,
    /// Leave it until something changes.
    Wait(Reason),
}

impl StoredIds {
    /// What these offsets say. Those of other tools say nothing.
    pub fn of<'a>(offsets: impl IntoIterator<Item = &'a StoredOffset>) -> Self {
        let mut ids = Self::default();
        for offset in offsets {
            if let StoredBy::Us(identity) = &offset.stored_by {
                ids.source.insert(identity.source_topic_id);
                ids.target.insert(identity.target_topic_id);
            }
        }
        ids
    }
}

/// Decides.
pub fn decide(sight: &Sight<'_>) -> Decision {
    let Sight { source, target, known, stored, manage, accept_recreated, .. } = *sight;
    let accept_foreign = sight.accept_foreign || accept_recreated;
    let accepted = |ids: &BTreeSet<TopicId>| if accept_foreign { BTreeSet::new() } else { ids.clone() };
    // A source topic that is created again while it is copied waits whatever the route accepts: the offset counts in the
    // old one.
    let known_source = known.map(|facts| facts.source_topic_id).filter(|_| !accept_recreated);
    if let Some(reason) = recreated(Side::Source, accepted(&stored.source).into_iter().chain(known_source), source.id) {
        return Decision::Wait(reason);
    }
    let mut target_ids: BTreeSet<TopicId> = stored.target.clone();
    target_ids.extend(known.map(|facts| facts.target_topic_id));
    let Some(target) = target else {
        return match target_ids.last() {
            Some(id) if !accept_foreign => Decision::Wait(deleted(sight, *id)),
            _ if manage => Decision::Create,
            _ => Decision::Wait(unmanaged(sight)),
        };
    };
    if let Some(reason) = recreated(Side::Target, accepted(&target_ids).into_iter(), target.id) {
        return Decision::Wait(reason);
    }
    if source.id != TopicId::NONE && source.id == target.id {
        let text = "source and target are one topic: the route leads back to the cluster it comes from".to_owned();
        return Decision::Wait(Reason::Waiting { text });
    }
    if target.partitions >= source.partitions {
        return Decision::Copy { partitions: source.partitions, beyond: None };
    }
    let is_ours =
        sight.is_created_by_us || known.is_some() || (target.id != TopicId::NONE && stored.target.contains(&target.id));
    match (is_ours, manage) {
        (true, true) => Decision::Grow,
        (true, false) => copy_what_fits(sight, too_few(sight)),
        (false, _) => Decision::Wait(too_few(sight)),
    }
}

/// Copies what both sides have; the reason says why not all.
pub fn copy_what_fits(sight: &Sight<'_>, beyond: Reason) -> Decision {
    let target = sight.target.map_or(0, |target| target.partitions);
    Decision::Copy { partitions: sight.source.partitions.min(target), beyond: Some(beyond) }
}

/// The target has too few partitions.
pub fn too_few(sight: &Sight<'_>) -> Reason {
    let target = sight.target.map_or(0, |target| target.partitions);
    let topic = sight.target_name.clone();
    Reason::TooFewPartitions { topic, source: sight.source.partitions, target }
}

/// The target topic can't be created: with the line that does it.
pub fn not_created(sight: &Sight<'_>, why: impl std::fmt::Display) -> Reason {
    let (topic, partitions) = (sight.target_name, sight.source.partitions);
    let text = format!(
        "the target topic does not exist and {why}; create it: kafka-topics --bootstrap-server TARGET --create \
         --topic {topic} --partitions {partitions}"
    );
    Reason::Waiting { text }
}

fn unmanaged(sight: &Sight<'_>) -> Reason {
    not_created(sight, "topics are not managed")
}

fn deleted(sight: &Sight<'_>, id: TopicId) -> Reason {
    let topic = sight.target_name;
    let text = format!(
        "topic {topic} (id {id}) was deleted at the target, and records that were copied with it; --continue creates it \
         anew and goes on from the stored offsets (in a fleet: replisome topic resume --route ROUTE TOPIC --continue)"
    );
    Reason::Waiting { text }
}

fn recreated(side: Side, mut expected: impl Iterator<Item = TopicId>, found: TopicId) -> Option<Reason> {
    let expected = expected.find(|expected| expected.contradicts(found))?;
    Some(Reason::TopicRecreated { side, expected, found })
}
