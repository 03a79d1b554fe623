//! When a lane asks its ledger, what it asks, and what it makes of the answers.

use std::sync::Arc;
use std::time::Duration;

use common::reason::Reason;
use kafka::record::Slot;
use kafka::source::Source;
use tokio::time::Instant;

use crate::crash_point;
use crate::engine::lane::partition::{Doubt, LanePartition, Stage};
use crate::engine::lane::{Lane, Now};
use crate::engine::ledger::{Answer, Ask, Ledger, Question, Verdict};
use crate::engine::limits::Limits;
use crate::say::say;

/// How soon a claim is asked again that was not answered, and a last floor that could not be stored.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How often a lane asks whether all is well, however seldom it stores: topics that are created again, another owner and
/// mended causes are noticed as quickly.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The open questions, and when the next are due.
#[derive(Debug)]
pub(super) struct Open {
    /// When the open questions were asked; `None` when none are open.
    asked: Option<Instant>,
    /// When all partitions are to be asked about next.
    look_due: Instant,
    /// When floors are to be stored next.
    store_due: Instant,
    /// When urgent questions (claims, last floors, lost positions) may be asked next.
    urgent_due: Instant,
    /// Before this nothing is urgent: what was asked last was not answered.
    not_before: Instant,
}

impl Open {
    pub(super) fn new(now: Instant) -> Self {
        Self { asked: None, look_due: now, store_due: now, urgent_due: now, not_before: now }
    }

    /// Whether the ledger may still be storing something for the lane.
    pub(super) fn is_open(&self) -> bool {
        self.asked.is_some()
    }
}

impl Lane {
    /// Asks about all partitions when floors are due, or only about those that wait for an answer.
    pub(super) fn ask(&mut self, now: Now, ledger: &mut impl Ledger) {
        let open = &self.questions;
        let next = open.urgent_due.max(open.not_before).min(open.look_due).min(open.store_due);
        if open.asked.is_some() || now.instant < next {
            return;
        }
        let store_due = now.instant >= open.store_due;
        let all = store_due || now.instant >= open.look_due;
        let due = |(slot, partition): (Slot, &mut LanePartition)| {
            let drained = partition.is_drained();
            let keep = Ask::Keep { floor: partition.flight.floor(), store: store_due || drained };
            let (ask, urgent, closely) = match &partition.stage {
                Stage::Claiming(_) if partition.stop_by.is_some() => return None,
                Stage::Claiming(_) => (Ask::Claim, true, false),
                Stage::Held(hold) if !hold.may_store() || !partition.is_claimed() => return None,
                Stage::Held(hold) if hold.awaits_an_offset() => {
                    (Ask::Yield { floor: partition.flight.floor() }, false, false)
                }
                // A store that was refused is mended by a store, not by a look.
                Stage::Held(hold) => {
                    let keep = Ask::Keep { floor: partition.flight.floor(), store: true };
                    (keep, drained, hold.needs_fresh_limits())
                }
                Stage::Rewinding { doubt: Some(_) } if partition.flight.outstanding() > 0 => return None,
                Stage::Rewinding { doubt: Some(_) } => (keep, true, true),
                Stage::Copying | Stage::Rewinding { doubt: None } => (keep, drained, false),
                Stage::Released { .. } => return None,
            };
            (all || urgent).then(|| Question { slot, grant: partition.grant.clone(), ask, closely })
        };
        let questions: Vec<Question> = self.entries().filter_map(due).collect();
        if store_due {
            self.questions.store_due = now.instant + self.bounds.commit_interval;
        }
        if all {
            self.questions.look_due = now.instant + LOOK_EVERY;
        }
        self.questions.urgent_due = self.questions.look_due;
        if !questions.is_empty() {
            self.questions.asked = Some(now.instant);
            ledger.ask(questions);
        }
    }

    /// Urgent questions are due: something was started, stopped or lost.
    pub(super) fn ask_soon(&mut self, at: Instant) {
        self.questions.urgent_due = self.questions.urgent_due.min(at);
    }

    /// What was asked got no answer: it is asked again after a while.
    fn ask_again(&mut self, now: Instant) {
        self.questions.not_before = now + ASK_AGAIN;
        self.ask_soon(now + ASK_AGAIN);
    }

    /// Takes in the answers, if they are there.
    pub(super) fn hear(&mut self, now: Now, source: &mut impl Source, ledger: &mut impl Ledger) {
        let Some(asked) = self.questions.asked else { return };
        let Some(answers) = ledger.answers() else { return };
        self.questions.asked = None;
        self.attention = true;
        for answer in answers {
            self.answer(answer, asked, now, source);
        }
    }

    fn answer(&mut self, answer: Answer, asked: Instant, now: Now, source: &mut impl Source) {
        let Answer { slot, grant, verdict, limits, range } = answer;
        let woke_since = self.has_woken_since(asked);
        let asked_about = |partition: &&mut LanePartition| Arc::ptr_eq(&partition.grant, &grant);
        let Some(partition) = self.partitions[usize::from(slot.0)].as_mut().filter(asked_about) else { return };
        let limits_before = partition.limits;
        partition.limits = limits.unwrap_or(partition.limits);
        partition.range = range.or(partition.range);
        let limits = partition.limits;
        let claiming = matches!(partition.stage, Stage::Claiming(_));
        if !matches!(verdict, Verdict::Unanswered(_)) {
            partition.unanswered = None;
        }
        match verdict {
            Verdict::Claimed(position) => {
                crash_point::pass("after-claim");
                partition.claimed(position, limits);
                if woke_since {
                    partition.stage = Stage::Rewinding { doubt: Some(Doubt::StoodStill) };
                }
                self.changed = true;
            }
            Verdict::Stored(next_offset) => {
                partition.stored = Some(next_offset);
                partition.note_stored();
                self.all_is_well(slot, asked, now, source);
            }
            Verdict::Obstacle(reason) if claiming => self.claim_waits(slot, reason, now),
            Verdict::Unanswered(reason) if claiming => self.claim_waits(slot, reason, now),
            Verdict::Obstacle(reason) => self.obstacle(slot, reason, now, source),
            Verdict::Unanswered(reason) => {
                if partition.unanswered.is_none() {
                    let grant = &partition.grant;
                    say!(warn, grant.partition, grant.epoch, %reason, "offset not stored, asking again");
                    partition.unanswered = Some((now.instant, reason));
                }
                self.ask_again(now.instant);
                return;
            }
        }
        if limits != limits_before {
            self.fit_batches(limits, now);
        }
    }

    /// Both topics are in order and the floor is stored.
    fn all_is_well(&mut self, slot: Slot, asked: Instant, now: Now, source: &mut impl Source) {
        let partition = self.partition_mut(slot);
        if partition.is_drained() {
            // What arrived after the question was asked is still to be stored.
            match partition.is_stored() {
                true => partition.release(false),
                false => self.ask_soon(now.instant),
            }
            self.changed = true;
            return;
        }
        if self.has_woken_since(asked) {
            return self.ask_soon(now.instant);
        }
        let partition = self.partition_mut(slot);
        match &partition.stage {
            Stage::Held(hold) if asked >= hold.since && hold.mended(&partition.limits, now.instant, now.wall_ms) => {
                let grant = &partition.grant;
                say!(info, grant.partition, grant.epoch, reason = %hold.reason, "goes on");
                partition.stage = Stage::Rewinding { doubt: None };
                self.changed = true;
            }
            Stage::Rewinding { doubt: Some(doubt) } => {
                let next = partition.flight.floor().next_offset;
                let reason = match (*doubt, partition.range) {
                    (Doubt::StoodStill, _) => None,
                    (_, None) => return self.ask_again(now.instant),
                    (Doubt::Truncated, Some(range)) => Some(Reason::Truncated { next, log_end: range.high_watermark }),
                    (Doubt::OutOfRange, Some(range)) if next < range.start || next > range.high_watermark => {
                        Some(Reason::OutOfRange { next, log_start: range.start, log_end: range.high_watermark })
                    }
                    (Doubt::OutOfRange, Some(_)) => None,
                };
                match reason {
                    Some(reason) => self.hold(slot, reason, None, now, source),
                    None => partition.stage = Stage::Rewinding { doubt: None },
                }
            }
            Stage::Copying if partition.is_deaf(now.instant) => {
                let grant = &partition.grant;
                say!(warn, grant.partition, grant.epoch, "the source holds more and delivers nothing: it is read anew");
                partition.nudges += 1;
                partition.last_arrival = now.instant;
                self.rewind(slot, None, source);
            }
            _ => {}
        }
    }

    /// Whether the lane stood still after that: what was asked then says nothing any more.
    fn has_woken_since(&self, asked: Instant) -> bool {
        self.woke.is_some_and(|woke| asked < woke)
    }

    /// A claim can't be made now. What heals is asked again.
    fn claim_waits(&mut self, slot: Slot, reason: Reason, now: Now) {
        let partition = self.partition_mut(slot);
        let heals = reason.heals();
        if !matches!(&partition.stage, Stage::Claiming(Some(known)) if *known == reason) {
            say!(warn, partition.grant.partition, partition.grant.epoch, %reason, "waits");
            self.changed = true;
        }
        let partition = self.partition_mut(slot);
        match heals {
            true => partition.stage = Stage::Claiming(Some(reason)),
            false => partition.hold(super::Hold {
                reason,
                since: now.instant,
                record: None,
                limits: Limits::NONE,
                attempts: 0,
                is_stored: false,
            }),
        }
        self.ask_soon(now.instant + ASK_AGAIN);
    }

    /// Something stands in the way of a partition that was claimed.
    fn obstacle(&mut self, slot: Slot, reason: Reason, now: Now, source: &mut impl Source) {
        let partition = self.partition_mut(slot);
        if partition.is_drained() {
            partition.release(false);
            self.changed = true;
        } else if matches!(&partition.stage, Stage::Held(hold) if hold.reason == reason || !hold.reason.heals()) {
            // known already, or a worse reason stands
        } else {
            self.hold(slot, reason, None, now, source);
        }
    }
}
