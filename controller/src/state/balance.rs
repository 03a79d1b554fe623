//! What may move for nothing but balance: how much, and whether anything may.
//!
//! ```text
//!                 rebalance run
//!        Idle <-----------------> Running
//!        ^  |   nothing is left      |
//!        |  |       to move          |
//! unfreeze  | freeze                 | freeze: the run is over
//!        |  v                        v
//!        Frozen <--------------------+
//! ```
//!
//! The budget has two sources: the even share that a session brings when it comes or takes work again (`Session::owed`), and
//! what an operator runs. Each release for balance is charged to one of them and refused if neither has anything left. So
//! what is still to be moved stands in the table: it survives a change of the leader, and ends with the session.
//!
//! Moves for load leave counts as even as they are and have no budget here: they are refused while this one lasts, and come
//! in the same waves.

use common::ids::{PoolName, Revision, RoutePartition, SessionId};
use serde::{Deserialize, Serialize};

use super::State;
use super::command::Cause;
use super::events::{EventKind, NewEvent, Stamp};
use super::outcome::{Effect, Rejection};
use super::sessions::Session;

/// Whether partitions move by choice: for balance, or to where they are pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Balance {
    /// To sessions that a share is owed to, and to where they are pinned.
    #[default]
    Idle,
    /// Also because an operator asked for it.
    Running(Run),
    /// Not at all.
    Frozen {
        /// The change that froze it.
        since: Revision,
    },
}

/// A rebalance that an operator asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The change that began it.
    pub since: Revision,
    /// How many partitions it may move; `None`: as many as it takes.
    pub moves_max: Option<u32>,
    /// How many it has released so far.
    pub moves: u32,
}

impl Balance {
    /// Whether nothing moves by choice.
    pub fn is_frozen(&self) -> bool {
        matches!(self, Self::Frozen { .. })
    }

    /// The rebalance that is under way.
    pub fn run(&self) -> Option<Run> {
        if let Self::Running(run) = self { Some(*run) } else { None }
    }
}

impl Run {
    fn left(&self) -> usize {
        self.moves_max.map_or(usize::MAX, |max| max.saturating_sub(self.moves) as usize)
    }

    fn ended(&self) -> String {
        let Self { since, moves, .. } = self;
        format!("the rebalance of revision {since} is over; moved: {moves}")
    }
}

impl State {
    /// Whether partitions move by choice.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// How many partitions of a pool may still move for balance.
    pub fn budget(&self, pool: &PoolName) -> usize {
        let owed =
            self.sessions().values().filter(|session| session.pool == *pool).map(|session| session.owed as usize);
        let run = self.balance.run().map_or(0, |run| run.left());
        owed.fold(run, usize::saturating_add)
    }

    /// How many partitions a session that takes work may ask of the others to be as full as they: with P partitions and N
    /// sessions in its pool, and its weight w of W, w (P + N - 1) / W, rounded down. It takes no more to have it no less
    /// full than another one would be without one of its own, and where all weigh the same it is P / N, rounded up.
    pub(super) fn even_share(&self, session: SessionId) -> u32 {
        if self.is_draining(session) {
            return 0;
        }
        let Session { weight, pool, .. } = &self.sessions()[&session];
        let working = self.working_in(pool);
        let (count, weights) =
            working.fold((0, 0), |(count, weights), session| (count + 1, weights + u64::from(session.weight.number())));
        let share = u64::from(weight.number()) * (self.partitions_in(pool) as u64 + count - 1) / weights;
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// Begins a rebalance, in the place of one that has another limit.
    pub(super) fn rebalance(&mut self, stamp: &Stamp, moves_max: Option<u32>) -> Result<Effect, Rejection> {
        match self.balance {
            Balance::Frozen { .. } => return Err(Rejection::Frozen),
            Balance::Running(run) if run.moves_max == moves_max => return Ok(Effect::Exists),
            Balance::Running(run) => self.tell(stamp, run.ended()),
            Balance::Idle => {}
        }
        self.balance = Balance::Running(Run { since: stamp.revision, moves_max, moves: 0 });
        let most = moves_max.map(|max| format!("; moves at the most: {max}")).unwrap_or_default();
        self.tell(stamp, format!("a rebalance begins{most}"));
        Ok(Effect::Done)
    }

    /// Has nothing move by choice any more. A rebalance that is under way is over.
    pub(super) fn freeze(&mut self, stamp: &Stamp) -> Effect {
        match self.balance {
            Balance::Frozen { .. } => return Effect::Exists,
            Balance::Running(run) => self.tell(stamp, run.ended()),
            Balance::Idle => {}
        }
        self.balance = Balance::Frozen { since: stamp.revision };
        self.tell(stamp, "moves for balance are frozen".into());
        Effect::Done
    }

    /// Ends that. What is owed by then is given now.
    pub(super) fn unfreeze(&mut self, stamp: &Stamp) -> Effect {
        if !self.balance.is_frozen() {
            return Effect::Exists;
        }
        self.balance = Balance::Idle;
        self.tell(stamp, "moves for balance are no longer frozen".into());
        Effect::Done
    }

    /// Notes that sessions have their even share, and that the rebalance that began with `run` has nothing left to move.
    /// What is gone, or another one by now, needs nothing.
    pub(super) fn settle(&mut self, stamp: &Stamp, sessions: &[SessionId], run: Option<Revision>) -> Effect {
        for id in sessions {
            if let Some(session) = self.sessions.get_mut(id) {
                session.owed = 0;
            }
        }
        if let Some(over) = self.balance.run().filter(|current| Some(current.since) == run) {
            self.balance = Balance::Idle;
            self.tell(stamp, over.ended());
        }
        Effect::Done
    }

    /// Why a partition that was to be released by choice stays after all, if it does.
    pub(super) fn stays(&self, id: &RoutePartition, from: SessionId, cause: Cause) -> Option<&'static str> {
        let (pin, pool) = (self.pinned_session(id, &self.slots[id]), &self.sessions[&from].pool);
        match cause {
            _ if cause.is_choice() && self.balance.is_frozen() => Some("moves for balance are frozen"),
            Cause::Balance if pin == Some(from) => Some("it is pinned where it is"),
            Cause::Balance if self.budget(pool) == 0 => Some("nothing more is to move for balance"),
            Cause::Load if pin.is_some() => Some("it is pinned"),
            Cause::Load if self.budget(pool) > 0 => Some("counts are being evened out"),
            Cause::Load if self.holds.contains_key(pool) => Some("moves are held"),
            Cause::Pinned if pin.is_none_or(|pin| pin == from) => Some("it is not pinned to another worker"),
            _ => None,
        }
    }

    /// Takes one move from the budget of a session's pool, of which there must be some: first of what is owed to sessions.
    pub(super) fn charge(&mut self, from: SessionId) {
        let pool = self.sessions[&from].pool.clone();
        if let Some(owed) = self.sessions.values_mut().find(|session| session.owed > 0 && session.pool == pool) {
            owed.owed -= 1;
        } else if let Balance::Running(run) = &mut self.balance {
            run.moves += 1;
        }
    }

    fn tell(&mut self, stamp: &Stamp, text: String) {
        self.events.record(stamp, NewEvent::new(EventKind::Admin, text));
    }
}
