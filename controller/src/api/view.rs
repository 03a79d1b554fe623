//! What a leader knows, as rows for people and for metrics: the table beside what workers report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use common::assignment::{Phase, Progress};
use common::ids::{PoolName, RouteName, RoutePartition, SessionId, TopicName};
use common::reason::Reason;

use crate::leader::{LeaderHandle, Liveness};
use crate::state::{Cause, Life, Slot, State, Topic, Wish};

/// How a partition does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Condition {
    /// Nobody has it yet, or nobody any more.
    Unassigned,
    /// Its owner copies it, or is about to.
    Assigned,
    /// Its owner finishes it.
    Releasing,
    /// Its owner was lost and is being shut out.
    Fencing,
    /// It stands still and goes on by itself once the cause is gone.
    Waiting,
    /// An operator paused it.
    Paused,
    /// It stands still until a person decides.
    Failed,
}

impl Condition {
    /// All there are.
    pub const ALL: [Self; 7] =
        [Self::Unassigned, Self::Assigned, Self::Releasing, Self::Fencing, Self::Waiting, Self::Paused, Self::Failed];

    /// Its name, for people and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unassigned => "unassigned",
            Self::Assigned => "assigned",
            Self::Releasing => "releasing",
            Self::Fencing => "fencing",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }

    fn standing_still(reason: &Reason) -> Self {
        if reason.heals() { Self::Waiting } else { Self::Failed }
    }
}

/// What workers report.
pub struct Observed {
    handle: LeaderHandle,
    /// The pools of which somebody takes work, once a row asks, and of which somebody who does is heard.
    served: OnceLock<[BTreeSet<PoolName>; 2]>,
    /// Who is connected.
    pub liveness: BTreeMap<SessionId, Liveness>,
    /// How long a live worker is silent at most.
    missing_after: Duration,
}

/// One row of the assignment table, with what its owner reports.
pub struct Row<'a> {
    /// Which.
    pub id: &'a RoutePartition,
    /// What the table has of it.
    pub slot: &'a Slot,
    /// Its topic.
    pub topic: &'a Topic,
    /// How it does.
    pub condition: Condition,
    /// Why it is not being copied, if it is not, or may not be.
    pub reason: Option<Reason>,
    /// How far its owner is.
    pub progress: Option<Progress>,
}

/// Lag and size of a topic or of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// How many partitions it has.
    pub partitions: u32,
    /// Source records not yet at the target, over the partitions where that is known.
    pub lag: Option<u64>,
}

impl Observed {
    /// What the leader hears.
    pub fn of(handle: &LeaderHandle) -> Self {
        let (liveness, missing_after) = (handle.liveness(), handle.config().missing_after());
        Self { handle: handle.clone(), served: OnceLock::new(), liveness, missing_after }
    }

    /// Whether a session is connected and was heard just now.
    pub fn is_heard(&self, session: SessionId) -> bool {
        let heard = self.liveness.get(&session);
        heard.is_some_and(|heard| heard.connected && heard.silent_for <= self.missing_after)
    }

    /// The rows of the table, by route, topic and partition.
    pub fn rows<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Row<'a>> {
        state.topics().iter().flat_map(move |((route, name), topic)| self.rows_of(state, route, name, topic))
    }

    /// The rows of one topic.
    pub fn rows_of<'a>(
        &'a self,
        state: &'a State,
        route: &RouteName,
        name: &TopicName,
        topic: &'a Topic,
    ) -> impl Iterator<Item = Row<'a>> {
        state.slots_of(route, name).map(move |(id, slot)| self.row(state, topic, id, slot))
    }

    /// What a row's partition brings, in bytes a second; known a while after its owner first reported it.
    pub fn rate(&self, row: &Row<'_>) -> Option<u64> {
        row.progress.as_ref().and_then(|_| self.handle.rate(row.id))
    }

    /// What each session copies, in bytes a second.
    pub fn rates_of_sessions(&self, state: &State) -> BTreeMap<SessionId, u64> {
        let (all, mut rates) = (self.handle.rates(), BTreeMap::new());
        for (id, slot) in state.slots() {
            let Some((session, _)) = slot.life.owner() else { continue };
            *rates.entry(session).or_default() += all.get(id).copied().unwrap_or_default();
        }
        rates
    }

    /// The sums of all topics; `see` is shown each row on the way.
    pub fn sums(&self, state: &State, mut see: impl FnMut(Row<'_>)) -> BTreeMap<(RouteName, TopicName), Sum> {
        let sum = |(key, topic): (&(RouteName, TopicName), &Topic)| {
            let mut sum = Sum::default();
            for row in self.rows_of(state, &key.0, &key.1, topic) {
                sum.add(1, row.lag());
                see(row);
            }
            (key.clone(), sum)
        };
        state.topics().iter().map(sum).collect()
    }

    /// Why nobody of a partition's pool can take it, if so.
    fn unserved(&self, state: &State, id: &RoutePartition) -> Option<String> {
        let pool = &state.routes()[&id.route].settings.pool;
        let [served, heard] =
            self.served.get_or_init(|| [state.served_pools(), state.pools_served_by(|id| self.is_heard(id))]);
        match (served.contains(pool), heard.contains(pool)) {
            (true, true) => None,
            (true, false) => Some(format!("no worker of pool {pool} can be heard")),
            (false, _) => Some(format!("no worker of pool {pool} takes work")),
        }
    }

    /// Why a partition may stand still that its owner says nothing of.
    fn unheard(&self, state: &State, owner: SessionId) -> Option<Reason> {
        if self.is_heard(owner) {
            return None;
        }
        let session = &state.sessions()[&owner];
        let (worker, pool) = (&session.worker, &session.pool);
        let text = match state.holds().contains_key(pool) {
            true => format!(
                "worker {worker} can't be heard, and many of pool {pool} were lost at once: its partitions stay with it"
            ),
            false => {
                format!("worker {worker} can't be heard: its partitions go to others unless it is back in a moment")
            }
        };
        Some(Reason::Waiting { text })
    }

    fn row<'a>(&'a self, state: &State, topic: &'a Topic, id: &'a RoutePartition, slot: &'a Slot) -> Row<'a> {
        let (phase, progress) = slot.life.owner().map(|owner| self.handle.reported(owner, id)).unwrap_or_default();
        let (condition, reason) = condition(slot.life, state.wish_in(topic, id), phase.as_ref());
        let reason = reason.or_else(|| match slot.life {
            Life::Assigned { session, .. } => self.unheard(state, session),
            _ => passing(slot, || self.unserved(state, id)),
        });
        Row { id, slot, topic, condition, reason, progress }
    }
}

impl Row<'_> {
    /// Source records not yet at the target, if its owner told.
    pub fn lag(&self) -> Option<u64> {
        self.progress.as_ref().and_then(Progress::lag)
    }
}

impl Sum {
    /// Adds partitions.
    pub fn add(&mut self, partitions: u32, lag: Option<u64>) {
        self.partitions += partitions;
        self.lag = match (self.lag, lag) {
            (Some(before), Some(more)) => Some(before + more),
            (before, more) => before.or(more),
        };
    }
}

/// How a partition does, and why it stands still if it does.
fn condition(life: Life, wish: Wish, phase: Option<&Phase>) -> (Condition, Option<Reason>) {
    match (life, wish) {
        (Life::Fencing { .. }, _) => (Condition::Fencing, None),
        (Life::Releasing { .. }, _) => (Condition::Releasing, None),
        (Life::Assigned { .. }, _) => match phase {
            Some(Phase::Held(reason)) => (Condition::standing_still(reason), Some((**reason).clone())),
            _ => (Condition::Assigned, None),
        },
        (Life::Unassigned(_), Wish::Stop(Cause::Paused, reason)) => (Condition::Paused, Some(*reason)),
        (Life::Unassigned(_), Wish::Stop(_, reason)) => (Condition::Unassigned, Some(*reason)),
        (Life::Unassigned(_), Wish::Stay(reason)) => (Condition::standing_still(&reason), Some(*reason)),
        (Life::Unassigned(_), Wish::Run) => (Condition::Unassigned, None),
    }
}

/// Why a partition that is to run is not copied for a moment, or while there is nobody to do it.
fn passing(slot: &Slot, unserved: impl Fn() -> Option<String>) -> Option<Reason> {
    let text = match (slot.life, &slot.destination) {
        (Life::Assigned { .. } | Life::Fencing { .. }, _) => return None,
        (Life::Releasing { .. }, Some(sent)) => format!("it goes to another worker; {}", sent.why),
        (Life::Unassigned(_), _) => unserved().unwrap_or_else(|| "it goes to a worker now".to_owned()),
        (Life::Releasing { .. }, None) => "its worker finishes what is in flight and gives it back".to_owned(),
    };
    Some(Reason::Waiting { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Vacancy;
    use common::ids::{Epoch, Revision};

    #[test]
    fn what_stands_still_waits_if_it_heals_and_has_failed_if_not() {
        let (session, epoch) = (SessionId::from_number(1), Epoch(1));
        let assigned = Life::Assigned { session, epoch };
        let releasing = Life::Releasing { session, epoch, since: Revision(1) };
        let vacant = Life::Unassigned(Vacancy::New);
        let heals = || Reason::GroupHasMembers;
        let fails = || Reason::ForeignOffset { text: String::new() };
        let paused = || Wish::stop(Cause::Paused, Reason::Paused);
        for (life, wish, phase, expected) in [
            (assigned, Wish::Run, None, (Condition::Assigned, None)),
            (assigned, Wish::Run, Some(Phase::Claiming), (Condition::Assigned, None)),
            (assigned, Wish::Run, Some(Phase::held(heals())), (Condition::Waiting, Some(heals()))),
            (assigned, Wish::Run, Some(Phase::held(fails())), (Condition::Failed, Some(fails()))),
            (assigned, Wish::stay(heals()), Some(Phase::Copying), (Condition::Assigned, None)),
            (assigned, paused(), Some(Phase::Copying), (Condition::Assigned, None)),
            (releasing, paused(), Some(Phase::Draining), (Condition::Releasing, None)),
            (vacant, paused(), None, (Condition::Paused, Some(Reason::Paused))),
            (vacant, Wish::stay(heals()), None, (Condition::Waiting, Some(heals()))),
            (vacant, Wish::stay(fails()), None, (Condition::Failed, Some(fails()))),
            (vacant, Wish::Run, None, (Condition::Unassigned, None)),
        ] {
            assert_eq!(condition(life, wish.clone(), phase.as_ref()), expected, "{life:?} {wish:?} {phase:?}");
        }
    }

    #[test]
    fn a_lag_that_nobody_told_is_not_none_at_all() {
        let mut sum = Sum::default();
        sum.add(1, None);
        assert_eq!(sum, Sum { partitions: 1, lag: None });
        sum.add(2, Some(0));
        sum.add(1, None);
        sum.add(1, Some(5));
        assert_eq!(sum, Sum { partitions: 5, lag: Some(5) });
    }
}
