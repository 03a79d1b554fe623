//! One command, applied: the only way the table changes.

use common::bug::{self, Bug};
use common::ids::Revision;

use super::State;
use super::command::{Command, Envelope, FORMAT};
use super::events::Stamp;
use super::invariants;
use super::outcome::{Effect, Outcome, Refused, Rejection};
use super::requests::fingerprint;
use super::sessions::Session;
use super::slots::{Life, Vacancy};

impl State {
    /// Applies a command as the change `revision`, wholly or not at all. The same commands in the same order make the
    /// same table everywhere. A rejection, or a batch of which each item is refused, does not use the revision up.
    ///
    /// # Panics
    /// If the revision is not a later one, or, in debug builds, if an invariant is violated.
    pub fn apply(&mut self, revision: Revision, envelope: Envelope) -> Result<Outcome, Rejection> {
        match cfg!(debug_assertions) {
            true => self.apply_checked(revision, envelope),
            false => self.apply_unchecked(revision, envelope),
        }
    }

    /// The same, checked in every build; it costs a copy of the table.
    ///
    /// # Panics
    /// If the revision is not a later one, or if an invariant is violated.
    pub fn apply_checked(&mut self, revision: Revision, envelope: Envelope) -> Result<Outcome, Rejection> {
        let before = self.clone();
        invariants::check(&before).unwrap_or_else(|violation| panic!("before revision {revision}: {violation}"));
        let result = self.apply_unchecked(revision, envelope);
        invariants::check(self).unwrap_or_else(|violation| panic!("after revision {revision}: {violation}"));
        invariants::check_step(&before, self).unwrap_or_else(|violation| panic!("in revision {revision}: {violation}"));
        assert!(self.revision == revision || *self == before, "revision {revision} is none and changed the table");
        result
    }

    fn apply_unchecked(&mut self, revision: Revision, envelope: Envelope) -> Result<Outcome, Rejection> {
        assert!(revision > self.revision, "revision {revision} was applied after {}", self.revision);
        let Envelope { format, request, actor, time_ms, command } = envelope;
        if format > FORMAT {
            return Err(Rejection::Format(format));
        }
        let request = request.map(|id| (id, fingerprint(&command)));
        if let Some(answer) = request.and_then(|(id, asked)| self.requests.answer(id, asked)) {
            return answer;
        }
        let is_mere_batch = matches!(
            command,
            Command::Moves(_)
                | Command::Exchange(_)
                | Command::Released(_)
                | Command::ReportTopics(_)
                | Command::BeginClaims(_)
                | Command::EndClaims(_)
                | Command::NoteOffsets(_)
        );
        let effect = self.dispatch(&Stamp { revision, time_ms, actor }, command)?;
        let outcome = Outcome { revision, effect };
        if is_mere_batch && matches!(outcome.effect, Effect::Batch { applied: 0, .. }) {
            // Like a rejection: nobody has to look at a table that is the same.
            return Ok(outcome);
        }
        self.revision = revision;
        if let Some((id, asked)) = request
            && !bug::is(Bug::NoRequestIds)
        {
            self.requests.remember(id, asked, outcome.clone());
        }
        Ok(outcome)
    }

    fn dispatch(&mut self, stamp: &Stamp, command: Command) -> Result<Effect, Rejection> {
        match command {
            Command::BeginLeadership => {
                self.controller_epoch = self.controller_epoch.next();
                if bug::is(Bug::MovesOnElection) {
                    self.slots.values_mut().for_each(|slot| slot.life = Life::Unassigned(Vacancy::Lost));
                }
                Ok(Effect::Done)
            }
            Command::AddCluster(cluster) => self.add_cluster(stamp, cluster),
            Command::AddRoute { route, settings } => self.add_route(stamp, route, settings),
            Command::RemoveCluster { cluster } => self.remove_cluster(stamp, &cluster),
            Command::RemoveRoute { route, keep_offsets } => self.remove_route(stamp, &route, keep_offsets),
            Command::OffsetsDeleted { route, incarnation } => self.offsets_deleted(stamp, &route, incarnation),
            Command::PauseRoute { route, reason } => self.set_route_paused(stamp, &route, true, &reason),
            Command::ResumeRoute { route } => self.set_route_paused(stamp, &route, false, ""),
            Command::AddTopic { route, topic, target, start } => self.add_topic(stamp, route, topic, target, start),
            Command::RemoveTopic { route, topic } => self.remove_topic(stamp, &route, &topic),
            Command::PauseTopic { route, topic, partition, reason } => {
                self.set_topic_paused(stamp, (&route, &topic), partition, Some(&reason))
            }
            Command::ResumeTopic { route, topic, partition, accept_foreign_offsets } => {
                let resumed = self.set_topic_paused(stamp, (&route, &topic), partition, None)?;
                if accept_foreign_offsets {
                    self.accept_foreign_offsets(stamp, &route, &topic, partition);
                    return Ok(Effect::Done);
                }
                Ok(resumed)
            }
            Command::MovePartition { partition, to } => self.move_partition(stamp, &partition, &to),
            Command::PinPartition { partition, to } => self.pin_partition(stamp, &partition, to),
            Command::UnpinPartition { partition } => self.unpin_partition(stamp, &partition),
            Command::ReportTopics(reports) => Ok(batch(reports, |report| self.report_topic(stamp, report))),
            Command::SurveyRoute { route, incarnation } => self.survey_route(&route, incarnation),
            Command::RegisterSession { session, worker, address, software, weight, pool, replaces } => {
                let (draining, registered, owed) = (false, stamp.revision, 0);
                let registered = Session { worker, address, software, weight, pool, draining, registered, owed };
                self.register_session(stamp, session, registered, replaces)
            }
            Command::DrainSession { session } => self.drain_session(stamp, session),
            Command::Rebalance { moves_max } => self.rebalance(stamp, moves_max),
            Command::Freeze => Ok(self.freeze(stamp)),
            Command::Unfreeze => Ok(self.unfreeze(stamp)),
            Command::Settle { sessions, run } => Ok(self.settle(stamp, &sessions, run)),
            Command::DrainWorker { worker } => self.set_drained(stamp, &worker, true),
            Command::UndrainWorker { worker } => self.set_drained(stamp, &worker, false),
            Command::RemoveWorker { worker } => self.remove_worker(stamp, &worker),
            Command::ExpireSession { session, reason, moves } => {
                let known = self.sessions().get(&session).ok_or(Rejection::UnknownSession(session))?;
                if self.holds.contains_key(&known.pool) && !known.draining {
                    return Err(Rejection::MovesHeld(session));
                }
                self.end_session(stamp, session, &reason);
                Ok(batch(moves, |step| self.apply_move(stamp, &step)))
            }
            Command::HoldMoves { pool, lost, registered, lasts } => {
                Ok(self.hold_moves(stamp, pool, (lost, registered), lasts))
            }
            Command::EndHold { pool, reason } => Ok(self.end_holds(stamp, pool.as_ref(), &reason)),
            Command::Moves(moves) => Ok(batch(moves, |step| self.apply_move(stamp, &step))),
            Command::Exchange(all) => Ok(batch(all, |exchange| self.apply_exchange(stamp, &exchange))),
            Command::Released(releases) => Ok(batch(releases, |release| self.apply_release(stamp, &release))),
            Command::BeginClaims(begins) => Ok(batch(begins, |begin| self.begin_claim(&begin))),
            Command::EndClaims(ends) => Ok(batch(ends, |end| self.end_claim(stamp, &end))),
            Command::RaiseEpoch { partition, granted, stored } => self.raise_epoch(stamp, &partition, granted, stored),
            Command::NoteOffsets(all) => Ok(batch(all, |noted| self.note_offset(&noted))),
            Command::RecordEvents(events) => {
                for event in events {
                    self.events.record(stamp, event);
                }
                Ok(Effect::Done)
            }
        }
    }
}

/// Applies items one by one, each wholly or not at all, and names those that were refused.
pub(super) fn batch<T>(items: Vec<T>, mut apply: impl FnMut(T) -> Result<(), Rejection>) -> Effect {
    let (mut applied, mut refused) = (0, Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match apply(item) {
            Ok(()) => applied += 1,
            Err(rejection) => refused.push(Refused { index, rejection }),
        }
    }
    Effect::Batch { applied, refused }
}
