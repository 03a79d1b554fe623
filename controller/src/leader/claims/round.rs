//! One look at what a group has stored of partitions that nobody has, and what is stored then. Blocks: it is run
//! where waiting holds nobody up.

use std::sync::Arc;

use common::identity::{Identity, Owner, StoredBy, StoredOffset};
use common::ids::{Epoch, FleetId, Revision, RoutePartition, SessionId, TopicPartition};
use common::offsets::Position;
use kafka::error::{Error, ErrorKind};
use kafka::offsets::{GroupOffset, OffsetStore};

use super::super::command_log::CommandLog;
use super::super::context::Context;
use super::super::each_route::Incarnation;

/// How many partitions one request names: at some 300 bytes each far from what a broker refuses.
const PARTITIONS_MAX: usize = 1_000;

/// What was found of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// This stands under the claim's epoch or a greater one.
    Stands(Position),
    /// The claim was stored just now, or would have been, had the partition not been granted meanwhile.
    Stored(Position),
    /// Nothing is stored that an owner of the route has stored.
    Nothing,
    /// It could not be looked at, or stored.
    Failed(Error),
}

/// Who claims.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claimant {
    pub fleet: FleetId,
    pub incarnation: Revision,
    /// The first incarnation whose offsets are the route's own.
    pub offsets_since: Revision,
    pub session: SessionId,
}

/// One look.
pub(super) struct Round {
    log: Arc<dyn CommandLog>,
    claimant: Claimant,
    claims: Vec<Claim>,
}

/// One claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    pub partition: RoutePartition,
    pub epoch: Epoch,
    /// The furthest that this leader has claimed it at: a late commit of the lost owner may lie before.
    pub furthest: Option<Position>,
}

impl Round {
    pub fn new(context: &Context, (route, incarnation): &Incarnation, claims: Vec<Claim>) -> Self {
        let (log, incarnation) = (context.log.clone(), *incarnation);
        let (fleet, offsets_since) = {
            let state = log.read();
            let known = state.routes().get(route).filter(|known| known.incarnation == incarnation);
            // Of one that is gone no claim is open.
            (state.fleet().clone(), known.map_or(incarnation, |known| known.offsets_since))
        };
        let claimant = Claimant { fleet, incarnation, offsets_since, session: context.session };
        Self { log, claimant, claims }
    }

    /// Looks, and stores the claims that do not stand; one finding for each claim, in their order.
    pub fn run(&self, store: &mut dyn OffsetStore) -> Result<Vec<Found>, Error> {
        let mut found = Vec::with_capacity(self.claims.len());
        for claims in self.claims.chunks(PARTITIONS_MAX) {
            self.claim(claims, store, &mut found)?;
        }
        Ok(found)
    }

    fn claim(&self, claims: &[Claim], store: &mut dyn OffsetStore, found: &mut Vec<Found>) -> Result<(), Error> {
        let places: Vec<TopicPartition> = claims.iter().map(|claim| claim.partition.source()).collect();
        let stored = store.read(&places)?;
        let judged: Vec<Judged> =
            claims.iter().zip(stored).map(|(claim, stored)| judge(stored, &self.claimant, claim)).collect();
        let stores = |((claim, place), judged): ((&Claim, TopicPartition), &Judged)| match judged {
            // It may have been granted again meanwhile.
            Judged::Store(offset, _) if self.is_open(claim) => Some((place, offset.clone())),
            _ => None,
        };
        let commits: Vec<_> = claims.iter().zip(places).zip(&judged).map(stores).collect();
        let to_store: Vec<_> = commits.iter().flatten().cloned().collect();
        let mut outcomes = if to_store.is_empty() { Vec::new() } else { store.commit(&to_store)? }.into_iter();
        found.extend(judged.into_iter().zip(commits).map(|(judged, commit)| match (judged, commit) {
            (Judged::Stands(position), _) => Found::Stands(position),
            (Judged::Nothing, _) => Found::Nothing,
            (Judged::Store(_, position), None) => Found::Stored(position),
            (Judged::Store(_, position), Some(_)) => match outcomes.next().expect("one outcome for each commit") {
                Ok(()) => Found::Stored(position),
                Err(error) if error.kind == ErrorKind::UnknownTopic => Found::Nothing,
                Err(error) => Found::Failed(error),
            },
        }));
        Ok(())
    }

    /// Whether a claim is still to be made.
    fn is_open(&self, claim: &Claim) -> bool {
        let state = self.log.read();
        let slot = state.slots().get(&claim.partition);
        slot.is_some_and(|slot| slot.epoch == claim.epoch && slot.leader_claim.is_some())
    }
}

impl Claimant {
    /// Whether an owner of the route stored it.
    fn is_of_route(&self, found: &Identity) -> bool {
        found.fleet == self.fleet && (self.offsets_since..=self.incarnation).contains(&found.route_incarnation)
    }
}

/// What follows from what is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Judged {
    Stands(Position),
    Store(GroupOffset, Position),
    Nothing,
}

/// What a claim has to do about a stored offset. Pure.
fn judge(stored: Option<GroupOffset>, claimant: &Claimant, claim: &Claim) -> Judged {
    let Some(stored) = stored else { return Judged::Nothing };
    let StoredOffset { position, stored_by } =
        StoredOffset::parse(stored.next_offset, stored.leader_epoch, &stored.metadata);
    match stored_by {
        StoredBy::Us(found) if claimant.is_of_route(&found) => {
            let Claimant { incarnation, session, .. } = *claimant;
            if (found.route_incarnation, found.owner.epoch) >= (incarnation, claim.epoch) {
                return Judged::Stands(position);
            }
            let position = claim.furthest.filter(|known| known.next_offset > position.next_offset).unwrap_or(position);
            let owner = Owner { epoch: claim.epoch, session };
            let claimed = Identity { owner, route_incarnation: incarnation, ..found };
            let metadata = StoredOffset { position, stored_by: StoredBy::Us(claimed) }.metadata();
            let Position { next_offset, leader_epoch } = position;
            Judged::Store(GroupOffset { next_offset, leader_epoch, metadata }, position)
        }
        StoredBy::Us(_) | StoredBy::OtherTool | StoredBy::Unreadable(_) => Judged::Nothing,
    }
}
