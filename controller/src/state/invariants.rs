//! What is always true of the table, numbered, in one place. Run around each apply in debug builds, and by every test
//! level on whatever table it can get hold of.

use std::fmt;

use common::ids::{RoutePartition, TopicId};

use super::State;
use super::events::EVENTS_PER_KIND_MAX;
use super::requests::REQUESTS_MAX;
use super::sessions::ENDED_SESSIONS_MAX;
use super::slots::{Accept, Life, Slot};
use super::workers::{ABSENT_WORKERS_MAX, Presence};

/// An invariant that does not hold, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Its number: C1 and so on.
    pub invariant: &'static str,
    /// What it says.
    pub rule: &'static str,
    /// Where it is broken.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) is violated: {}", self.invariant, self.rule, self.found)
    }
}

const C1: (&str, &str) = ("C1", "an epoch never falls");
const C2: (&str, &str) =
    ("C2", "one owner per partition, under the slot's epoch, and a new owner only of an unassigned one");
const C3: (&str, &str) = ("C3", "an owner or a destination is a registered session, and a worker has one session");
const C4: (&str, &str) = ("C4", "slots exist exactly for partitions of topics on known routes");
const C5: (&str, &str) = ("C5", "a worker's end changes the owner of its own partitions only");
const C6: (&str, &str) = ("C6", "an election alone moves nothing");
// The table's own.
const S1: (&str, &str) = ("S1", "a route's clusters are known, and so is what a removed one left behind");
const S2: (&str, &str) = ("S2", "a target topic has one writer on a route");
const S3: (&str, &str) = ("S3", "a pin names a worker that is known");
const S4: (&str, &str) = ("S4", "a share is owed only to a session that takes work");
const S5: (&str, &str) = ("S5", "while moves are held a session ends by its own worker's doing alone");
const S6: (&str, &str) =
    ("S6", "the leader claims only what was lost and nobody has, and what it claims is not forgotten before");
const S7: (&str, &str) = ("S7", "what an operator asked for the next grant ends with it");
const S8: (&str, &str) = ("S8", "tables of the past are bounded");
const S9: (&str, &str) = ("S9", "who has a partition, or is to get it, is in its route's pool");
const S10: (&str, &str) = ("S10", "what a worker had is for it, and for nobody else, when it starts anew in its pool");
const S11: (&str, &str) = (
    "S11",
    "an offset is noted of what is granted and stays so, of topics with ids, and forgotten only with its topic",
);

/// Checks one table.
pub fn check(state: &State) -> Result<(), Violation> {
    owners(state)?;
    sessions_and_workers(state)?;
    routes_and_clusters(state)?;
    slots_and_topics(state)?;
    let (requests, events) = (state.requests.len(), state.events.longest());
    let absent = state.forgettable_workers().count();
    let ended = state.ended_sessions.len();
    let is_bounded = requests <= REQUESTS_MAX
        && events <= EVENTS_PER_KIND_MAX
        && absent <= ABSENT_WORKERS_MAX
        && ended <= ENDED_SESSIONS_MAX;
    ensure(is_bounded, S8, || {
        format!("{requests} answers, {events} events of one kind, {absent} forgettable workers, {ended} ended sessions")
    })
}

/// Checks a change of the table: what may follow what.
pub fn check_step(before: &State, after: &State) -> Result<(), Violation> {
    ensure(after.controller_epoch >= before.controller_epoch, C1, || "the controller epoch fell".into())?;
    for (id, old) in &before.slots {
        let Some(new) = after.slots.get(id) else {
            // A route that is gone took its floor with it: its next incarnation starts from the stored epochs.
            let floor = after.routes.get(&id.route).map(|route| route.epoch_floor);
            ensure(floor.is_none_or(|floor| floor >= old.epoch), C1, || format!("{id} left no floor behind"))?;
            let is_lost = match old.life.owner() {
                Some((session, _)) => !after.sessions().contains_key(&session),
                None => old.owes_claim() && old.leader_claim.is_none(),
            };
            ensure(!is_lost || offsets_go(after, id), S6, || format!("{id} went unclaimed"))?;
            continue;
        };
        notes_fit([before, after], id, [old, new])?;
        ensure(new.epoch >= old.epoch, C1, || format!("{id} fell from {} to {}", old.epoch, new.epoch))?;
        let Life::Assigned { session, epoch } = new.life else { continue };
        if old.life == new.life {
            continue;
        }
        ensure(epoch > old.epoch, C1, || format!("{id} is granted under {epoch}, which was used"))?;
        // A lost session's partitions may go to others within the entry that ends it.
        let owner = old.life.owner().map(|(owner, _)| owner).filter(|owner| after.sessions().contains_key(owner));
        ensure(owner.is_none(), C2, || format!("{id} went from {:?} straight to session {session}", old.life))?;
    }
    for (id, session) in before.sessions().iter().filter(|(id, _)| !after.sessions().contains_key(id)) {
        let is_held = [before, after].iter().all(|state| state.holds.contains_key(&session.pool));
        let by_itself = session.draining || after.session_of(&session.worker).is_some();
        ensure(!is_held || by_itself, S5, || format!("session {id} of worker {} ended", session.worker))?;
    }
    ends_disturb_nobody(before, after)?;
    takes_own_place(before, after)?;
    if after.controller_epoch > before.controller_epoch {
        ensure(before.slots == after.slots, C6, || "the controller epoch grew together with other changes".into())?;
    }
    Ok(())
}

fn notes_fit(states: [&State; 2], id: &RoutePartition, [old, new]: [&Slot; 2]) -> Result<(), Violation> {
    let [source_before, source_after] = states.map(|state| source(state, id));
    let is_same = source_before == source_after;
    let (was, is) = (old.noted_offset.get(), new.noted_offset.get());
    let is_granted_still = matches!(new.life, Life::Assigned { .. }) && old.life == new.life;
    let may_change = if is.is_some() { is_granted_still } else { !is_same };
    ensure(was == is || may_change, S11, || format!("{id} went from {was:?} to {is:?}"))?;
    let is_another = source_after.is_some() && !is_same;
    ensure(!is_another || is.is_none(), S11, || format!("{id} of another topic begins at {is:?}"))?;
    let has_id = source_after != Some(TopicId::NONE);
    ensure(has_id || is.is_none(), S11, || format!("{id} of a topic without an id begins at {is:?}"))
}

/// Which source topic a partition's is.
fn source(state: &State, id: &RoutePartition) -> Option<TopicId> {
    Some(state.topics.get(&(id.route.clone(), id.topic.clone()))?.facts?.source_topic_id)
}

fn ends_disturb_nobody(before: &State, after: &State) -> Result<(), Violation> {
    if before.sessions().keys().all(|id| after.sessions().contains_key(id)) {
        return Ok(());
    }
    for (id, old) in &before.slots {
        let Life::Assigned { session, .. } = old.life else { continue };
        let new = after.slots.get(id).map(|slot| slot.life);
        let stays = !after.sessions().contains_key(&session) || new == Some(old.life);
        ensure(stays, C5, || format!("{id} of session {session} is {new:?}"))?;
    }
    Ok(())
}

fn takes_own_place(before: &State, after: &State) -> Result<(), Violation> {
    for (ended, session) in before.sessions().iter().filter(|(id, _)| !after.sessions().contains_key(id)) {
        let next = after.session_of(&session.worker).filter(|next| after.sessions()[next].pool == session.pool);
        let Some(next) = next.filter(|_| !before.is_draining(*ended)) else { continue };
        let own = |slot: &Slot| matches!(slot.life, Life::Assigned { session, .. } if session == *ended);
        for (id, _) in before.slots.iter().filter(|(_, slot)| own(slot)) {
            let sent = after.slots.get(id).map(|slot| slot.destination.as_ref().map(|sent| sent.session));
            ensure(sent.is_none_or(|to| to == Some(next)), S10, || {
                format!("{id} of session {ended} goes to {sent:?}")
            })?;
        }
    }
    Ok(())
}

/// Whether a route is gone, or going, with its stored offsets.
fn offsets_go(state: &State, id: &RoutePartition) -> bool {
    match state.routes.get(&id.route) {
        Some(route) => route.leaving && !route.keep_offsets,
        None => state.retired.contains_key(&id.route),
    }
}

fn owners(state: &State) -> Result<(), Violation> {
    for (id, slot) in &state.slots {
        let is_open = slot.life.was_left_open();
        ensure(slot.leader_claim.is_none() || is_open, S6, || format!("{id} is {}: {slot:?}", slot.life.name()))?;
        if let Some(sent) = &slot.destination {
            let session = sent.session;
            ensure(state.sessions().contains_key(&session), C3, || format!("{id} is to go to session {session}"))?;
            ensure(state.is_in_pool_of(session, id), S9, || format!("{id} is to go to session {session}"))?;
        }
        let Some((session, epoch)) = slot.life.owner() else { continue };
        ensure(state.sessions().contains_key(&session), C3, || format!("{id} belongs to session {session}"))?;
        ensure(state.is_in_pool_of(session, id), S9, || format!("{id} belongs to session {session}"))?;
        ensure(epoch <= slot.epoch, C2, || format!("{id} is held under {epoch}, the slot has {}", slot.epoch))?;
        let is_assigned = matches!(slot.life, Life::Assigned { .. });
        let is_asked = slot.destination.is_some() || slot.accept == Some(Accept::Next);
        ensure(!(is_assigned && is_asked), S7, || format!("{id} is assigned: {slot:?}"))?;
    }
    Ok(())
}

fn sessions_and_workers(state: &State) -> Result<(), Violation> {
    for (id, session) in state.sessions() {
        let newest = state.session_of(&session.worker);
        ensure(newest == Some(*id), C3, || format!("worker {} has {id} and {newest:?}", session.worker))?;
        let is_there = state.workers[&session.worker].pool == session.pool;
        ensure(is_there, S9, || format!("session {id} is in pool {}, its worker is not", session.pool))?;
        let takes_share = session.owed == 0 || !state.is_draining(*id);
        ensure(takes_share, S4, || format!("{} partitions are owed to {id}", session.owed))?;
    }
    for (id, worker) in state.workers() {
        let session = state.sessions().get(&worker.session).filter(|session| session.worker == *id);
        let is_registered = worker.presence == Presence::Registered;
        ensure(session.is_some() == is_registered, C3, || format!("worker {id} is {:?}", worker.presence))?;
    }
    for worker in state.pinned_workers() {
        ensure(state.workers.contains_key(worker), S3, || format!("there is no worker {worker}"))?;
    }
    Ok(())
}

fn routes_and_clusters(state: &State) -> Result<(), Violation> {
    for (name, route) in state.routes() {
        for cluster in [&route.settings.source, &route.settings.target] {
            ensure(state.clusters().contains_key(cluster), S1, || format!("route {name} needs cluster {cluster}"))?;
        }
    }
    for (name, retired) in state.retired() {
        let cluster = &retired.source;
        ensure(state.clusters().contains_key(cluster), S1, || format!("offsets of {name} are on cluster {cluster}"))?;
        ensure(!state.routes().contains_key(name), S1, || format!("{name} is a route and a removed one"))?;
    }
    Ok(())
}

fn slots_and_topics(state: &State) -> Result<(), Violation> {
    for (name, route) in &state.routes {
        let found = state.slots_of_route(name).count();
        ensure(route.slots == found, C4, || format!("route {name} counts {} slots and has {found}", route.slots))?;
    }
    let mut slots = state.slots.iter().peekable();
    for (key, topic) in &state.topics {
        let (route, name) = key;
        ensure(state.routes.contains_key(route), C4, || format!("topic {name} is on the unknown route {route}"))?;
        let wanted = if topic.leaving { 0 } else { topic.facts.map_or(0, |facts| facts.partitions) };
        let writer = state.routes[route].sources.get(&topic.target);
        ensure(topic.facts.is_none() || writer == Some(name), S2, || format!("{writer:?} and {name} write {key:?}"))?;
        let (mut present, mut own) = (0, 0);
        while let Some((id, slot)) = slots.next_if(|(id, _)| id.route == *route && id.topic == *name) {
            own += 1;
            present += u32::from(id.partition.0 < wanted);
            let kept = id.partition.0 < wanted || slot.life.owner().is_some() || slot.owes_claim();
            ensure(kept, C4, || format!("{id} has neither a topic nor an owner, nor is it to be claimed"))?;
        }
        ensure(present == wanted, C4, || format!("topic {name} of route {route} has {present} slots, not {wanted}"))?;
        ensure(!topic.leaving || own > 0, C4, || format!("topic {name} of route {route} left and is still there"))?;
    }
    ensure(slots.peek().is_none(), C4, || format!("{:?} has no topic", slots.peek()))
}

fn ensure(
    holds: bool,
    (invariant, rule): (&'static str, &'static str),
    found: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { invariant, rule, found: found() }) }
}
