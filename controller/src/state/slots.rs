//! The assignment table: for each route partition, who copies it and under which epoch.
//!
//! ```text
//!                 assign: epoch + 1             release
//!   Unassigned -----------------------> Assigned -------> Releasing
//!       ^  ^                               |                 |  |
//!       |  |                               | session lost    |  | session lost
//!       |  |                               v                 |  |
//!       |  +--------------------------- Fencing <------------+--+
//!       |        nothing of it can be                        |
//!       |        written any more                            |
//!       +----------------------------------------------------+  released: applied, and not in the inventory
//! ```
//!
//! Unassigned has a loop: what was lost and is to have no other owner is claimed by the leader, under an epoch of its own
//! (`claims`). There is no edge from Assigned to Assigned: two owners never overlap by plan. At-least-once has nothing to fence, so
//! a loss passes through Fencing within one entry.

use common::ids::{Epoch, Revision, RoutePartition, SessionId, WorkerId};
use common::offsets::{OptionalOffset, StartPosition};
use common::reason::Reason;
use serde::{Deserialize, Serialize};

use super::State;
use super::claims::LeaderClaim;
use super::command::{Cause, Move, Release, Step};
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::topics::Topic;

/// One row of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slot {
    /// The greatest epoch that was granted or found stored. The next grant is the one after it. Never falls.
    pub epoch: Epoch,
    /// Where it is in its life.
    pub life: Life,
    /// Where it begins if no offset was ever stored.
    pub start: StartPosition,
    /// The stored offset, as the leader noted it last: where it begins if Kafka has forgotten it.
    pub noted_offset: OptionalOffset,
    /// Where it is to go next, until it is assigned or that session goes.
    pub destination: Option<Box<Destination>>,
    /// The worker that an operator wants it to be with whenever that takes work, until it is unpinned.
    pub pin: Option<WorkerId>,
    /// Whether an operator accepted whatever offset is stored, for one grant.
    pub accept: Option<Accept>,
    /// How far the leader's own claim is, while nobody has what was lost.
    pub leader_claim: Option<LeaderClaim>,
}

/// Where a partition was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Destination {
    /// Whom to.
    pub session: SessionId,
    /// What for.
    pub cause: Cause,
    /// The same for people.
    pub why: String,
}

/// An operator accepted whatever offset is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Accept {
    /// For the next grant.
    Next,
    /// For the grant under this epoch.
    Under(Epoch),
}

/// Where a slot is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Life {
    /// Nobody has it.
    Unassigned(Vacancy),
    /// One session copies it.
    Assigned {
        /// Which.
        session: SessionId,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// Its session was told to finish; it may still write.
    Releasing {
        /// Which.
        session: SessionId,
        /// Under which epoch it still writes.
        epoch: Epoch,
        /// The change that took it away: an inventory that has not applied this one says nothing yet.
        since: Revision,
    },
    /// Its session was lost and may still write until it is fenced.
    Fencing {
        /// Which.
        session: SessionId,
        /// Under which epoch.
        epoch: Epoch,
    },
}

/// How a slot came to have no owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Vacancy {
    /// It never had one.
    New,
    /// Its owner gave it back.
    Released,
    /// The same, and left something open: records that may arrive yet, or an offset that may be stored yet.
    Unclean,
    /// Its owner was lost.
    Lost,
}

/// What is to become of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// It is to be copied.
    Run,
    /// It goes on where it runs, and is not granted anew.
    Stay(Box<Reason>),
    /// It is to stop.
    Stop(Cause, Box<Reason>),
}

impl Wish {
    /// It goes on where it runs, and is not granted anew for this reason.
    pub fn stay(reason: Reason) -> Self {
        Self::Stay(Box::new(reason))
    }

    /// It is to stop for this reason.
    pub fn stop(cause: Cause, reason: Reason) -> Self {
        Self::Stop(cause, Box::new(reason))
    }
}

impl Slot {
    /// One that nobody ever had.
    pub(super) fn new(epoch: Epoch, start: StartPosition) -> Self {
        let (life, noted_offset) = (Life::Unassigned(Vacancy::New), OptionalOffset::NONE);
        Self { epoch, life, start, noted_offset, destination: None, pin: None, accept: None, leader_claim: None }
    }

    /// Whether an operator accepted whatever offset is stored for the grant under this epoch.
    pub fn accepts(&self, epoch: Epoch) -> bool {
        self.accept == Some(Accept::Under(epoch))
    }
}

impl Life {
    /// The session that may write, and under which epoch.
    pub fn owner(&self) -> Option<(SessionId, Epoch)> {
        match *self {
            Self::Unassigned(_) => None,
            Self::Assigned { session, epoch }
            | Self::Releasing { session, epoch, .. }
            | Self::Fencing { session, epoch } => Some((session, epoch)),
        }
    }

    /// Whether nobody has it, and whoever had it last may still write or store something of it.
    pub fn was_left_open(&self) -> bool {
        matches!(self, Self::Unassigned(Vacancy::Unclean | Vacancy::Lost))
    }

    /// The state's name, for people and scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unassigned(_) => "unassigned",
            Self::Assigned { .. } => "assigned",
            Self::Releasing { .. } => "releasing",
            Self::Fencing { .. } => "fencing",
        }
    }
}

impl From<Vacancy> for Cause {
    fn from(vacancy: Vacancy) -> Self {
        match vacancy {
            Vacancy::New => Self::New,
            Vacancy::Released | Vacancy::Unclean => Self::Released,
            Vacancy::Lost => Self::SessionLost,
        }
    }
}

impl State {
    /// What is to become of a partition of the table.
    pub fn wish(&self, id: &RoutePartition) -> Wish {
        match self.topics.get(&(id.route.clone(), id.topic.clone())) {
            Some(topic) => self.wish_in(topic, id),
            None => gone(),
        }
    }

    /// The same, where the topic is at hand.
    pub fn wish_in(&self, topic: &Topic, id: &RoutePartition) -> Wish {
        let route = self.routes.get(&id.route).expect("C4: a topic's route is known");
        if topic.leaving || topic.facts.is_none_or(|facts| id.partition.0 >= facts.partitions) {
            return gone();
        }
        if route.paused || topic.paused || topic.paused_partitions.contains(&id.partition) {
            return Wish::stop(Cause::Paused, Reason::Paused);
        }
        match &topic.waiting {
            Some(reason) => Wish::stay(reason.clone()),
            None => Wish::Run,
        }
    }

    /// Checks one move against the table as it is, then does it.
    pub(super) fn apply_move(&mut self, stamp: &Stamp, step: &Move) -> Result<(), Rejection> {
        let life = self.check_move(step)?;
        let id = &step.partition;
        let why = self.why(step);
        let (life, text) = match (life, step.step) {
            (Life::Assigned { session, epoch }, Step::Release { .. }) => {
                let text = format!("{id} is released by {}: {why}", self.owner_name(session, epoch));
                (Life::Releasing { session, epoch, since: stamp.revision }, text)
            }
            (_, Step::Assign { to }) => {
                let epoch = step.planned_on.next();
                let text = format!("{id} is assigned to {}: {why}", self.owner_name(to, epoch));
                (Life::Assigned { session: to, epoch }, text)
            }
            (life, Step::Release { .. }) => unreachable!("checked: {id} is {}", life.name()),
        };
        if let (Cause::Balance, Step::Release { from }) = (step.cause, step.step) {
            self.charge(from);
        }
        let slot = self.slots.get_mut(id).expect("checked");
        if let Life::Assigned { epoch, .. } = life {
            slot.epoch = epoch;
            slot.destination = None;
            slot.leader_claim = None;
            slot.accept = slot.accept.filter(|accept| *accept == Accept::Next).map(|_| Accept::Under(epoch));
        }
        slot.life = life;
        self.events.record(stamp, NewEvent::new(EventKind::Move, text).on_partition(id));
        Ok(())
    }

    /// Why a partition moves, for people.
    fn why(&self, step: &Move) -> String {
        let Slot { pin, destination, .. } = &self.slots[&step.partition];
        match (step.cause, pin, destination) {
            (Cause::Pinned, Some(worker), _) => format!("{} to worker {worker}", step.cause),
            (Cause::Load, _, Some(destination)) => destination.why.clone(),
            _ => step.cause.to_string(),
        }
    }

    /// Whether a move still fits: the slot, its epoch, and for an assignment the session and the operators' wish.
    pub(super) fn check_move(&self, step: &Move) -> Result<Life, Rejection> {
        let id = &step.partition;
        let slot = self.slots.get(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        if slot.epoch != step.planned_on {
            let (partition, planned_on) = (id.clone(), step.planned_on);
            return Err(Rejection::StaleEpoch { partition, planned_on, found: slot.epoch });
        }
        match (slot.life, step.step) {
            (Life::Assigned { session, .. }, Step::Release { from }) if session == from => {
                if let Some(why) = self.stays(id, from, step.cause) {
                    return Err(Rejection::Stays { partition: id.clone(), why: why.to_owned() });
                }
            }
            (Life::Unassigned(_), Step::Assign { to }) => {
                self.check_takes(to, id)?;
            }
            (life, _) => return Err(wrong_life(id, life)),
        }
        Ok(slot.life)
    }

    /// Whether a session may get a partition.
    pub(super) fn check_takes(&self, to: SessionId, id: &RoutePartition) -> Result<(), Rejection> {
        let session = self.sessions().get(&to).ok_or(Rejection::UnknownSession(to))?;
        if self.is_draining(to) {
            return Err(Rejection::SessionDraining(to));
        }
        // What is wanted is of a known route.
        self.check_wanted(id)?;
        self.check_pool(&session.worker, id)
    }

    /// Whether a partition is to be copied.
    fn check_wanted(&self, id: &RoutePartition) -> Result<(), Rejection> {
        match self.wish(id) {
            Wish::Run => Ok(()),
            Wish::Stay(reason) | Wish::Stop(_, reason) => {
                Err(Rejection::NotWanted { partition: id.clone(), reason: reason.to_string() })
            }
        }
    }

    /// Ends a release.
    pub(super) fn apply_release(&mut self, stamp: &Stamp, release: &Release) -> Result<(), Rejection> {
        let Release { partition: id, epoch, clean } = release;
        let slot = self.slots.get_mut(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        let session = match slot.life {
            Life::Releasing { session, epoch: held, .. } if held == *epoch => session,
            life => return Err(wrong_life(id, life)),
        };
        slot.life = Life::Unassigned(if *clean { Vacancy::Released } else { Vacancy::Unclean });
        if !clean {
            let owner = self.owner_name(session, *epoch);
            let text = format!(
                "unclean release: {id} was given back by {owner} before all that was sent had arrived and was stored; the \
                 next owner begins at the stored offset and copies the rest again"
            );
            self.events.record(stamp, NewEvent::new(EventKind::Fence, text).on_partition(id));
        }
        self.drop_if_unwanted(id);
        Ok(())
    }

    /// Takes a grant back whose claim found a greater pair stored; the next grant goes above its epoch.
    pub(super) fn raise_epoch(
        &mut self,
        stamp: &Stamp,
        id: &RoutePartition,
        granted: Epoch,
        stored: Epoch,
    ) -> Result<Effect, Rejection> {
        let slot = self.slots.get_mut(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        match slot.life {
            Life::Assigned { session, epoch } if epoch == granted && stored >= granted => {
                slot.epoch = slot.epoch.max(stored);
                slot.life = Life::Releasing { session, epoch, since: stamp.revision };
                // The grant came to nothing, so what was accepted for it is accepted for the next one.
                if slot.accept == Some(Accept::Under(granted)) {
                    slot.accept = Some(Accept::Next);
                }
            }
            life => return Err(wrong_life(id, life)),
        }
        let text = format!(
            "{id} was granted under epoch {granted}, but a greater pair (epoch {stored}) is stored; granted anew above it"
        );
        self.events.record(stamp, NewEvent::new(EventKind::Fence, text).on_partition(id));
        Ok(Effect::Done)
    }

    /// Has a partition go to another worker: it is released if it runs, and the next plan assigns it there.
    pub(super) fn move_partition(
        &mut self,
        stamp: &Stamp,
        id: &RoutePartition,
        worker: &WorkerId,
    ) -> Result<Effect, Rejection> {
        let slot = self.slots.get(id).ok_or_else(|| Rejection::UnknownPartition(id.clone()))?;
        if !self.workers.contains_key(worker) {
            return Err(Rejection::UnknownWorker(worker.clone()));
        }
        let to = self.session_of(worker).ok_or_else(|| Rejection::WorkerAbsent(worker.clone()))?;
        if self.is_draining(to) {
            return Err(Rejection::WorkerDraining(worker.clone()));
        }
        self.check_pool(worker, id)?;
        self.check_wanted(id)?;
        if let Some(pin) = self.pinned_session(id, slot).filter(|pin| *pin != to && !self.is_draining(*pin)) {
            let worker = self.sessions[&pin].worker.clone();
            return Err(Rejection::Pinned { partition: id.clone(), worker });
        }
        let is_there = matches!(slot.life, Life::Assigned { session, .. } if session == to);
        let asked = slot.destination.as_ref().filter(|sent| sent.cause == Cause::Operator);
        if is_there || asked.is_some_and(|sent| sent.session == to) {
            return Ok(Effect::Exists);
        }
        self.send(stamp, id, to, Cause::Operator, format!("an operator wants it on worker {worker}"));
        Ok(Effect::Done)
    }

    /// Has a partition that is known go to a session: it is released if it runs, and the next plan assigns it there.
    pub(super) fn send(&mut self, stamp: &Stamp, id: &RoutePartition, to: SessionId, cause: Cause, why: String) {
        self.take_back(stamp, id, &why);
        let slot = self.slots.get_mut(id).expect("the caller looked it up");
        slot.destination = Some(Box::new(Destination { session: to, cause, why }));
    }

    /// Takes a grant back, if the partition is granted.
    pub(super) fn take_back(&mut self, stamp: &Stamp, id: &RoutePartition, why: &str) {
        let slot = self.slots.get_mut(id).expect("the caller looked it up");
        let Life::Assigned { session, epoch } = slot.life else { return };
        slot.life = Life::Releasing { session, epoch, since: stamp.revision };
        let text = format!("{id} is released by {}: {why}", self.owner_name(session, epoch));
        self.events.record(stamp, NewEvent::new(EventKind::Move, text).on_partition(id));
    }

    /// An owner, for people.
    fn owner_name(&self, session: SessionId, epoch: Epoch) -> String {
        let worker = &self.sessions[&session].worker;
        format!("{worker} (session {session}, epoch {epoch})")
    }

    /// Takes everything from a session that is gone. Returns how much it was.
    pub(super) fn vacate(&mut self, lost: SessionId) -> usize {
        let mut vacated = Vec::new();
        for (id, slot) in &mut self.slots {
            slot.destination.take_if(|sent| sent.session == lost);
            if let Some((session, epoch)) = slot.life.owner().filter(|(session, _)| *session == lost) {
                slot.life = Life::Fencing { session, epoch };
                // At-least-once: there is nothing to shut out, so the fence is passed within this entry.
                slot.life = Life::Unassigned(Vacancy::Lost);
                vacated.push(id.clone());
            }
        }
        for id in &vacated {
            self.drop_if_unwanted(id);
        }
        vacated.len()
    }
}

fn gone() -> Wish {
    Wish::stop(Cause::Removed, Reason::Waiting { text: "it is being removed".into() })
}

pub(super) fn wrong_life(id: &RoutePartition, life: Life) -> Rejection {
    let found = match life.owner() {
        Some((session, epoch)) => format!("{} (session {session}, epoch {epoch})", life.name()),
        None => life.name().to_owned(),
    };
    Rejection::WrongLife { partition: id.clone(), found }
}
