//! Whose offset is this? Each stored offset carries, as commit metadata, who wrote it and which topics it speaks of.
//! Kafka fences nothing when offsets are committed without membership, so this is what an owner compares.
//!
//! Text form, ASCII, versioned, one commit's metadata (Kafka's limit is `offset.metadata.max.bytes`, 4,096 by default):
//!
//! ```text
//! rpl1 f=mirror i=1 s=5f0c… t=93ab… e=7 l=3 n=01JD…
//!      fleet    |   |       |       |   |   session
//!               |   |       |       |   source leader epoch, - if unknown
//!               |   |       |       epoch
//!               |   |       target topic id, - if unknown
//!               |   source topic id, - if unknown
//!               route incarnation
//! ```

use std::fmt;
use std::str::FromStr;

use crate::ids::{Epoch, FleetId, Revision, SessionId, TopicId};
use crate::offsets::{LeaderEpoch, NextOffset, Position};
use crate::reason::{Reason, Side};

/// The first word of the text form: which version of it this is.
const FORMAT: &str = "rpl1";
/// The greatest epoch or incarnation that is believed: nobody counts that far.
const COUNTED_MAX: u64 = 1 << 62;

/// The owner of a partition: the greater pair wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owner {
    /// Compared first.
    pub epoch: Epoch,
    /// Breaks a tie: the newer session wins.
    pub session: SessionId,
}

/// Who stored an offset, and for which topics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The fleet of the route.
    pub fleet: FleetId,
    /// The route's incarnation.
    pub route_incarnation: Revision,
    /// The source topic the offset counts in.
    pub source_topic_id: TopicId,
    /// The target topic the records went to.
    pub target_topic_id: TopicId,
    /// Who stored it.
    pub owner: Owner,
}

/// An offset as a group holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredOffset {
    /// Where to read on.
    pub position: Position,
    /// Who stored it; `Foreign` where a tool that knows nothing of identities did.
    pub stored_by: StoredBy,
}

/// What the commit metadata says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoredBy {
    /// One of ours.
    Us(Identity),
    /// Metadata is empty: another tool's commit (MirrorMaker, `kafka-consumer-groups`). Counts as epoch 0.
    OtherTool,
    /// Metadata that is neither: the text.
    Unreadable(String),
}

impl StoredOffset {
    /// Reads what a group returned: the leader epoch of our own metadata is used where the commit itself has none.
    pub fn parse(next_offset: NextOffset, leader_epoch: Option<LeaderEpoch>, metadata: &str) -> Self {
        let (stored_by, ours) = match metadata {
            "" => (StoredBy::OtherTool, None),
            text => match text.parse::<Tagged>() {
                Ok(tagged) => (StoredBy::Us(tagged.identity), tagged.leader_epoch),
                Err(_) => (StoredBy::Unreadable(text.to_owned()), None),
            },
        };
        Self { position: Position { next_offset, leader_epoch: leader_epoch.or(ours) }, stored_by }
    }

    /// The epoch it was stored under; another tool's counts as 0.
    pub fn epoch(&self) -> Epoch {
        self.owner().map_or(Epoch(0), |owner| owner.epoch)
    }

    /// Who stored it, if one of ours.
    pub fn owner(&self) -> Option<Owner> {
        match &self.stored_by {
            StoredBy::Us(identity) => Some(identity.owner),
            StoredBy::OtherTool | StoredBy::Unreadable(_) => None,
        }
    }

    /// The commit metadata to store with it.
    pub fn metadata(&self) -> String {
        match &self.stored_by {
            StoredBy::Us(identity) => {
                Tagged { identity: identity.clone(), leader_epoch: self.position.leader_epoch }.to_string()
            }
            StoredBy::OtherTool => String::new(),
            StoredBy::Unreadable(text) => text.clone(),
        }
    }
}

impl Identity {
    /// Why an offset stored by `other` can't be used as this owner's own start, if it can't. Offsets of incarnations before
    /// `offsets_since` are not the route's own.
    ///
    /// `other`'s epoch and session play no part: a claim follows whoever stored last.
    pub fn mismatch(&self, other: &StoredBy, offsets_since: Revision) -> Option<Reason> {
        let other = match other {
            StoredBy::Us(identity) => identity,
            StoredBy::OtherTool => return None,
            StoredBy::Unreadable(text) => {
                return Some(Reason::ForeignOffset { text: format!("its metadata is {text:?}") });
            }
        };
        let sides = [
            (Side::Source, other.source_topic_id, self.source_topic_id),
            (Side::Target, other.target_topic_id, self.target_topic_id),
        ];
        for (side, expected, found) in sides {
            if expected.contradicts(found) {
                return Some(Reason::TopicRecreated { side, expected, found });
            }
        }
        if other.fleet != self.fleet {
            return Some(Reason::ForeignOffset { text: format!("fleet {}", other.fleet) });
        }
        if !(offsets_since..=self.route_incarnation).contains(&other.route_incarnation) {
            return Some(Reason::ForeignOffset { text: format!("route incarnation {}", other.route_incarnation) });
        }
        None
    }
}

/// The text form: an identity and the leader epoch of the record before the offset.
struct Tagged {
    identity: Identity,
    leader_epoch: Option<LeaderEpoch>,
}

/// The text is not ours.
struct NotOurs;

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { fleet, route_incarnation, source_topic_id, target_topic_id, owner } = &self.identity;
        write!(f, "{FORMAT} f={fleet} i={route_incarnation}")?;
        for (key, id) in [('s', source_topic_id), ('t', target_topic_id)] {
            match *id {
                TopicId::NONE => write!(f, " {key}=-")?,
                id => write!(f, " {key}={id}")?,
            }
        }
        write!(f, " e={}", owner.epoch)?;
        match self.leader_epoch {
            Some(LeaderEpoch(epoch)) => write!(f, " l={epoch}")?,
            None => f.write_str(" l=-")?,
        }
        write!(f, " n={}", owner.session)
    }
}

impl FromStr for Tagged {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let mut words = text.split(' ');
        if words.next() != Some(FORMAT) {
            return Err(NotOurs);
        }
        let mut field = |key: &str| words.next().and_then(|word| word.strip_prefix(key)).ok_or(NotOurs);
        let fleet = FleetId::new(field("f=")?).map_err(|_| NotOurs)?;
        let route_incarnation = Revision(counted(field("i=")?)?);
        let source_topic_id = topic_id(field("s=")?)?;
        let target_topic_id = topic_id(field("t=")?)?;
        let epoch = Epoch(counted(field("e=")?)?);
        let leader_epoch = match field("l=")? {
            "-" => None,
            epoch => Some(LeaderEpoch(number(epoch)?)),
        };
        let session = field("n=")?.parse().map_err(|_| NotOurs)?;
        if words.next().is_some() {
            return Err(NotOurs);
        }
        let owner = Owner { epoch, session };
        Ok(Self {
            identity: Identity { fleet, route_incarnation, source_topic_id, target_topic_id, owner },
            leader_epoch,
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, NotOurs> {
    text.parse().map_err(|_| NotOurs)
}

/// A number that is counted up from what is found: whoever may commit to the group can write any.
fn counted(text: &str) -> Result<u64, NotOurs> {
    number(text).and_then(|number| if number <= COUNTED_MAX { Ok(number) } else { Err(NotOurs) })
}

fn topic_id(text: &str) -> Result<TopicId, NotOurs> {
    match text {
        "-" => Ok(TopicId::NONE),
        text => uuid::Uuid::try_parse(text).map(TopicId).map_err(|_| NotOurs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            fleet: FleetId::new("f1").expect("legal"),
            route_incarnation: Revision(4),
            source_topic_id: TopicId(uuid::Uuid::from_u128(7)),
            target_topic_id: TopicId::NONE,
            owner: Owner { epoch: Epoch(9), session: SessionId::from_number(77) },
        }
    }

    fn stored(leader_epoch: Option<LeaderEpoch>) -> StoredOffset {
        let position = Position { next_offset: NextOffset(5), leader_epoch };
        StoredOffset { position, stored_by: StoredBy::Us(identity()) }
    }

    #[test]
    fn metadata_survives_the_round_trip() {
        for leader_epoch in [None, Some(LeaderEpoch(0)), Some(LeaderEpoch(31))] {
            let written = stored(leader_epoch);
            assert!(written.metadata().is_ascii());
            assert_eq!(StoredOffset::parse(NextOffset(5), None, &written.metadata()), written);
        }
    }

    #[test]
    fn every_damage_to_the_text_is_noticed() {
        let text = stored(Some(LeaderEpoch(3))).metadata();
        for end in 0..text.len() - 26 {
            let damaged = &text[..end];
            let parsed = StoredOffset::parse(NextOffset(5), None, damaged);
            assert_eq!(parsed.epoch(), Epoch(0), "{damaged:?} was taken for ours");
        }
        for (field, value) in [(" e=9", " e=18446744073709551615"), (" i=4", " i=9223372036854775807")] {
            let beyond = text.replace(field, value);
            assert_eq!(StoredOffset::parse(NextOffset(5), None, &beyond).stored_by, StoredBy::Unreadable(beyond));
        }
        let longer = format!("{text} x=1");
        assert_eq!(StoredOffset::parse(NextOffset(5), None, &longer).stored_by, StoredBy::Unreadable(longer));
    }

    #[test]
    fn another_tools_offset_is_used_and_counts_as_epoch_zero() {
        let theirs = StoredOffset::parse(NextOffset(5), None, "");
        assert_eq!(theirs.epoch(), Epoch(0));
        assert_eq!(identity().mismatch(&theirs.stored_by, Revision(4)), None);
    }

    #[test]
    fn a_recreated_topic_another_fleet_and_another_incarnation_are_told_apart() {
        let mine = identity();
        let mismatch = |other: &Identity| mine.mismatch(&StoredBy::Us(other.clone()), Revision(2));
        let mut other = identity();
        other.owner.epoch = Epoch(1);
        assert_eq!(mismatch(&other), None, "owners differ at each claim");
        for (incarnation, is_its_own) in [(1, false), (2, true), (3, true), (5, false)] {
            other.route_incarnation = Revision(incarnation);
            let reason = mismatch(&other);
            assert_eq!(reason.is_none(), is_its_own, "{incarnation}");
            assert!(is_its_own || matches!(reason, Some(Reason::ForeignOffset { .. })));
        }
        other.source_topic_id = TopicId(uuid::Uuid::from_u128(8));
        let reason = mismatch(&other);
        assert!(matches!(reason, Some(Reason::TopicRecreated { side: Side::Source, .. })), "{reason:?}");
    }

    #[test]
    fn owners_are_compared_by_epoch_then_by_session() {
        let owner = |epoch, session| Owner { epoch: Epoch(epoch), session: SessionId::from_number(session) };
        assert!(owner(2, 1) > owner(1, 9) && owner(2, 2) > owner(2, 1));
    }
}
