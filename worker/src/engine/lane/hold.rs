//! Why one partition of a lane stands still, and when it goes on. Pure.
//!
//! A partition goes on when its cause is gone, never because time has passed alone: a useless attempt can cost the
//! whole lane its producer. Attempts that fail again come at growing intervals.

use std::time::Duration;

use common::reason::Reason;
use tokio::time::Instant;

use crate::engine::limits::{Limits, RecordShape};

/// The shortest time between being held and going on.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
/// The longest one for causes that can be looked up.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// How long a refusal that nobody can explain is left alone, doubled each time. Each attempt interrupts the neighbours.
const UNEXPLAINED_MIN: Duration = Duration::from_secs(60);
/// The longest such time.
const UNEXPLAINED_MAX: Duration = Duration::from_secs(3_600);

/// A partition's standstill.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Hold {
    /// The cause.
    pub reason: Reason,
    /// Since when. Answers to older questions say nothing about it.
    pub since: Instant,
    /// The record that was refused, if one was.
    pub record: Option<RecordShape>,
    /// The limits under which it was refused.
    pub limits: Limits,
    /// How often the partition was held before without a record arriving in between.
    pub attempts: u32,
    /// Whether the floor was stored. What stands in the group after that may be what a person decided.
    pub is_stored: bool,
}

impl Hold {
    /// Whether the partition can go on, now that both topics were found in order by a question asked after `since`, which
    /// also found `limits`.
    pub(super) fn mended(&self, limits: &Limits, now: Instant, now_ms: i64) -> bool {
        let held_for = now.saturating_duration_since(self.since);
        if held_for < doubled(BACK_OFF_MIN, self.attempts, BACK_OFF_MAX) {
            return false;
        }
        match &self.reason {
            Reason::RecordTooLarge { .. } | Reason::TimestampRefused { .. } | Reason::KeyMissing { .. } => {
                self.record.is_none_or(|record| limits.refusal(&record, now_ms).is_none())
            }
            Reason::RecordRefused { .. } => {
                *limits != self.limits || held_for >= doubled(UNEXPLAINED_MIN, self.attempts, UNEXPLAINED_MAX)
            }
            reason => reason.heals(),
        }
    }

    /// Whether a fresh look at the target topic's settings can end it.
    pub(super) fn needs_fresh_limits(&self) -> bool {
        matches!(
            self.reason,
            Reason::RecordTooLarge { .. }
                | Reason::TimestampRefused { .. }
                | Reason::KeyMissing { .. }
                | Reason::RecordRefused { .. }
        )
    }

    /// Whether the floor may still be stored: not when it is no longer ours to store.
    pub(super) fn may_store(&self) -> bool {
        !matches!(self.reason, Reason::Superseded { .. } | Reason::TopicRecreated { .. } | Reason::ForeignOffset { .. })
    }

    /// Whether a person is to set another offset now, which must stay.
    pub(super) fn awaits_an_offset(&self) -> bool {
        self.is_stored && matches!(self.reason, Reason::OutOfRange { .. } | Reason::Truncated { .. })
    }
}

fn doubled(base: Duration, times: u32, max: Duration) -> Duration {
    base.saturating_mul(2u32.saturating_pow(times.min(16))).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(reason: Reason, record: Option<RecordShape>, limits: Limits) -> Hold {
        Hold { reason, since: Instant::now(), record, limits, attempts: 0, is_stored: false }
    }

    #[test]
    fn a_record_that_is_too_large_waits_for_a_larger_limit() {
        let limits = Limits { batch_bytes_max: 100, ..Limits::NONE };
        let record = RecordShape { offset: 3, batch_bytes: 150, timestamp_ms: None, has_key: true };
        let held = hold(Reason::RecordTooLarge { offset: 3, size: 150, limit: 100 }, Some(record), limits);
        let later = held.since + Duration::from_secs(3_600);
        assert!(!held.mended(&limits, later, 0));
        assert!(!held.mended(&Limits { batch_bytes_max: 149, ..limits }, later, 0));
        let raised = Limits { batch_bytes_max: 150, ..limits };
        assert!(held.mended(&raised, later, 0));
        assert!(!held.mended(&raised, held.since, 0), "not at once");
    }

    #[test]
    fn an_unexplained_refusal_is_tried_again_late_or_when_the_settings_changed() {
        let held = hold(Reason::RecordRefused { offset: 3, error: "policy".to_owned() }, None, Limits::NONE);
        let soon = held.since + Duration::from_secs(5);
        assert!(!held.mended(&Limits::NONE, soon, 0));
        assert!(held.mended(&Limits { compacted: true, ..Limits::NONE }, soon, 0));
        assert!(held.mended(&Limits::NONE, held.since + UNEXPLAINED_MIN, 0));
    }

    #[test]
    fn what_needs_a_person_never_goes_on_by_itself() {
        let held = hold(Reason::GroupHasMembers, None, Limits::NONE);
        let later = held.since + Duration::from_secs(60);
        assert!(held.mended(&Limits::NONE, later, 0));
        let superseded = Reason::Superseded { epoch: common::ids::Epoch(2), session: None };
        assert!(!hold(superseded, None, Limits::NONE).mended(&Limits::NONE, later, 0));
    }

    #[test]
    fn failing_again_and_again_waits_longer_and_longer() {
        let mut held = hold(Reason::GroupHasMembers, None, Limits::NONE);
        held.attempts = 3;
        assert!(!held.mended(&Limits::NONE, held.since + BACK_OFF_MIN * 7, 0));
        assert!(held.mended(&Limits::NONE, held.since + BACK_OFF_MIN * 8, 0));
    }
}
