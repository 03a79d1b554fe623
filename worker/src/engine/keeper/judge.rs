//! What a stored offset means for the owner that looks at it. Pure: the rules of claims and of keeping, in one place.

use common::bug::{self, Bug};
use common::identity::{Identity, StoredBy, StoredOffset};
use common::ids::Revision;
use common::offsets::{NextOffset, Position, StartPosition};
use common::reason::{Reason, Side};

/// What a claim starts from.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Start {
    /// A known offset.
    At(Position),
    /// An offset to be looked up at the source.
    LookUp(StartPosition),
}

/// What a grant says of where it begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Terms {
    /// Where, if no offset was ever stored.
    pub start: StartPosition,
    /// Where, if none is stored any more.
    pub noted: Option<NextOffset>,
    /// The first incarnation of the route whose offsets are its own.
    pub offsets_since: Revision,
    /// Whether an offset of another identity is accepted.
    pub accept_foreign: bool,
}

/// Where a claim by `mine` starts, or why it can't be made. A detached worker begins nothing: it may have lost the
/// partition, and where nobody has claimed it nothing would tell.
pub(super) fn claim(
    mine: &Identity,
    stored: Option<&StoredOffset>,
    terms: Terms,
    detached: bool,
) -> Result<Start, Reason> {
    let Terms { start, noted, offsets_since, accept_foreign } = terms;
    if detached {
        return Err(begins_nothing());
    }
    let Some(stored) = stored else {
        return Ok(match noted.map_or(start, StartPosition::Offset) {
            StartPosition::Offset(offset) => Start::At(Position::at(offset)),
            start => Start::LookUp(start),
        });
    };
    superseded(mine, stored)?;
    match mine.mismatch(&stored.stored_by, offsets_since) {
        None => Ok(Start::At(stored.position)),
        Some(reason) if !accept_foreign => Err(reason),
        // Offsets of a topic that is gone say nothing about the one that has its name now.
        Some(Reason::TopicRecreated { side: Side::Source, .. }) => Ok(Start::LookUp(StartPosition::Earliest)),
        Some(_) => Ok(Start::At(stored.position)),
    }
}

/// Why a detached worker claims nothing.
pub(super) fn begins_nothing() -> Reason {
    let text = "no controller serves this worker, and without one nothing new is begun";
    Reason::Waiting { text: text.to_owned() }
}

/// What is to be done with a floor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Keep {
    /// Store it.
    Store,
    /// Leave what is stored as it is.
    Leave(NextOffset),
}

/// Whether an owner has to store its floor, or why it must not. `again` says that it has to be stored even if it stands
/// there already, so that the group does not forget it. A detached owner takes a missing offset for the end of its route;
/// an attached one knows better and stores it again.
pub(super) fn keep(
    mine: &Identity,
    stored: Option<&StoredOffset>,
    floor: Position,
    (store, again): (bool, bool),
    detached: bool,
) -> Result<Keep, Reason> {
    let Some(stored) = stored else {
        let text = "its stored offset is gone and no controller says that it is still to be copied";
        return if detached { Err(Reason::Waiting { text: text.to_owned() }) } else { Ok(Keep::Store) };
    };
    superseded(mine, stored)?;
    let next_offset = stored.position.next_offset;
    // An offset under a lower pair is a late commit of somebody who lost the partition: it is stored over.
    let is_mine = is_mine(mine, &stored.stored_by) || bug::is(Bug::LateStoreStays);
    let moved = next_offset != floor.next_offset;
    Ok(if again || !is_mine || (store && moved) { Keep::Store } else { Keep::Leave(next_offset) })
}

/// What is kept for a partition of which a person is to say where it goes on: what stands there, which he may have stored, but
/// for a late commit of an owner before.
pub(super) fn yielded(mine: &Identity, stored: Option<&StoredOffset>, floor: Position) -> Position {
    match stored {
        Some(StoredOffset { position, stored_by })
            if is_mine(mine, stored_by) || !matches!(stored_by, StoredBy::Us(_)) =>
        {
            *position
        }
        _ => floor,
    }
}

/// A greater pair means that somebody took over. A later incarnation of the route beats all of an earlier one, whose epochs
/// are counted apart.
fn superseded(mine: &Identity, stored: &StoredOffset) -> Result<(), Reason> {
    let rank = |identity: &Identity| (identity.route_incarnation, identity.owner);
    match &stored.stored_by {
        StoredBy::Us(_) if bug::is(Bug::NoEpochCheck) => Ok(()),
        StoredBy::Us(theirs) if theirs.fleet == mine.fleet && rank(theirs) > rank(mine) => {
            Err(Reason::Superseded { epoch: theirs.owner.epoch, session: Some(theirs.owner.session) })
        }
        StoredBy::Us(_) | StoredBy::OtherTool | StoredBy::Unreadable(_) => Ok(()),
    }
}

fn is_mine(mine: &Identity, stored_by: &StoredBy) -> bool {
    let is_same = |theirs: &Identity| {
        (&theirs.fleet, theirs.route_incarnation, theirs.owner) == (&mine.fleet, mine.route_incarnation, mine.owner)
    };
    matches!(stored_by, StoredBy::Us(theirs) if is_same(theirs))
}

#[cfg(test)]
mod tests {
    use common::identity::Owner;
    use common::ids::{Epoch, FleetId, Revision, SessionId, TopicId};

    use super::*;

    fn id(number: u128) -> TopicId {
        TopicId(uuid::Uuid::from_u128(number))
    }

    fn identity(epoch: u64, session: u128) -> Identity {
        Identity {
            fleet: FleetId::new("f").expect("legal"),
            route_incarnation: Revision(1),
            source_topic_id: id(1),
            target_topic_id: id(2),
            owner: Owner { epoch: Epoch(epoch), session: SessionId::from_number(session) },
        }
    }

    fn stored(next: i64, by: Identity) -> StoredOffset {
        StoredOffset { position: Position::at(NextOffset(next)), stored_by: StoredBy::Us(by) }
    }

    const EARLIEST: StartPosition = StartPosition::Earliest;
    const TERMS: Terms = Terms { start: EARLIEST, noted: None, offsets_since: Revision(1), accept_foreign: false };
    const ACCEPTING: Terms = Terms { accept_foreign: true, ..TERMS };

    #[test]
    fn a_claim_goes_on_where_the_last_owner_stood() {
        let start = claim(&identity(2, 1), Some(&stored(40, identity(1, 9))), TERMS, false);
        assert_eq!(start, Ok(Start::At(Position::at(NextOffset(40)))));
    }

    #[test]
    fn a_restored_route_goes_on_from_its_earlier_incarnations_under_whatever_epoch() {
        let stored = stored(40, Identity { route_incarnation: Revision(5), ..identity(9, 9) });
        let mine = Identity { route_incarnation: Revision(7), ..identity(2, 1) };
        let claim = |since| claim(&mine, Some(&stored), Terms { offsets_since: Revision(since), ..TERMS }, false);
        assert_eq!(claim(4), Ok(Start::At(Position::at(NextOffset(40)))));
        assert!(matches!(claim(7), Err(Reason::ForeignOffset { .. })), "of a route that was removed before");
    }

    #[test]
    fn a_claim_without_an_offset_looks_its_start_up() {
        assert_eq!(
            claim(&identity(1, 1), None, Terms { start: StartPosition::Latest, ..TERMS }, false),
            Ok(Start::LookUp(StartPosition::Latest))
        );
    }

    #[test]
    fn a_detached_worker_claims_nothing_until_a_leader_keeps_it_again() {
        let waits = claim(&identity(1, 1), None, TERMS, true).unwrap_err();
        assert!(waits.heals(), "{waits}");
    }

    #[test]
    fn a_claim_under_a_stored_greater_pair_is_refused() {
        for (epoch, session) in [(3, 1), (2, 2)] {
            let refused = claim(&identity(2, 1), Some(&stored(40, identity(epoch, session))), ACCEPTING, false);
            assert!(matches!(refused, Err(Reason::Superseded { .. })), "{epoch} {session}");
        }
    }

    #[test]
    fn a_recreated_source_is_claimed_only_on_request_and_then_from_its_start() {
        let mut before = identity(1, 1);
        before.source_topic_id = id(7);
        let refused = claim(&identity(2, 1), Some(&stored(40, before.clone())), TERMS, false);
        assert!(matches!(refused, Err(Reason::TopicRecreated { side: Side::Source, .. })));
        let terms = Terms { start: StartPosition::Latest, ..ACCEPTING };
        let accepted = claim(&identity(2, 1), Some(&stored(40, before)), terms, false);
        assert_eq!(accepted, Ok(Start::LookUp(EARLIEST)));
    }

    #[test]
    fn a_recreated_target_is_claimed_only_on_request_and_then_goes_on() {
        let mut before = identity(1, 1);
        before.target_topic_id = id(7);
        let refused = claim(&identity(2, 1), Some(&stored(40, before.clone())), TERMS, false);
        assert!(matches!(refused, Err(Reason::TopicRecreated { side: Side::Target, .. })));
        let accepted = claim(&identity(2, 1), Some(&stored(40, before)), ACCEPTING, false);
        assert_eq!(accepted, Ok(Start::At(Position::at(NextOffset(40)))));
    }

    #[test]
    fn a_floor_is_stored_when_it_moved_when_due_and_over_a_lower_pair() {
        let floor = Position::at(NextOffset(40));
        let mine = identity(2, 5);
        let judge =
            |found: Option<StoredOffset>, store, again| keep(&mine, found.as_ref(), floor, (store, again), false);
        let leave = |offset| Ok(Keep::Leave(NextOffset(offset)));
        assert_eq!(judge(Some(stored(40, mine.clone())), true, false), leave(40));
        assert_eq!(judge(Some(stored(40, mine.clone())), false, true), Ok(Keep::Store));
        assert_eq!(judge(Some(stored(39, mine.clone())), true, false), Ok(Keep::Store));
        assert_eq!(judge(Some(stored(39, mine.clone())), false, false), leave(39));
        assert_eq!(judge(None, false, false), Ok(Keep::Store));
        assert_eq!(judge(Some(stored(40, identity(1, 9))), false, false), Ok(Keep::Store), "lower epoch");
        assert_eq!(judge(Some(stored(40, identity(2, 4))), false, false), Ok(Keep::Store), "older session");
        assert!(judge(Some(stored(40, identity(2, 6))), false, false).is_err(), "newer session");
    }

    #[test]
    fn what_a_person_stores_is_kept_and_what_an_owner_before_stored_late_is_not() {
        let (mine, floor) = (identity(2, 5), Position::at(NextOffset(40)));
        let by_hand = StoredOffset { position: Position::at(NextOffset(60)), stored_by: StoredBy::OtherTool };
        let kept = |stored: Option<StoredOffset>| yielded(&mine, stored.as_ref(), floor).next_offset.0;
        assert_eq!(kept(Some(by_hand)), 60);
        assert_eq!(kept(Some(stored(60, mine.clone()))), 60, "it was taken over before");
        assert_eq!(kept(Some(stored(60, identity(1, 9)))), 40);
        assert_eq!(kept(None), 40);
    }

    #[test]
    fn a_later_incarnation_of_the_route_beats_every_epoch_of_an_earlier_one() {
        let floor = Position::at(NextOffset(40));
        let (old, new) = (identity(9, 9), Identity { route_incarnation: Revision(2), ..identity(1, 1) });
        let judge = |mine: &Identity, theirs: &Identity| {
            keep(mine, Some(&stored(40, theirs.clone())), floor, (true, false), false)
        };
        assert!(matches!(judge(&old, &new), Err(Reason::Superseded { .. })), "a worker that was left behind stops");
        assert_eq!(judge(&new, &old), Ok(Keep::Store), "and what it still stored is stored over");
    }

    #[test]
    fn a_missing_offset_stops_only_an_owner_that_no_leader_keeps() {
        let floor = Position::at(NextOffset(40));
        assert_eq!(keep(&identity(1, 1), None, floor, (false, false), false), Ok(Keep::Store));
        let stopped = keep(&identity(1, 1), None, floor, (false, false), true).unwrap_err();
        assert!(stopped.heals(), "it goes on once a leader renews the lease: {stopped}");
    }
}
