//! Named places at which a test can kill the process, as a power cut would: no destructor runs, nothing is flushed.
//!
//! Built only with the feature `crash-points`. `REPLISOME_CRASH_AT=after-produce:1000` kills at the thousandth passage of
//! `after-produce`. The places, in the order of a record's way:
//!
//! | place | between |
//! | --- | --- |
//! | `after-claim` | the claim is stored, nothing is read yet |
//! | `after-poll` | a record is read, not yet produced |
//! | `after-produce` | a record is produced, its delivery is not known |
//! | `before-checkpoint` | records have arrived, their offset is not stored |
//! | `after-checkpoint` | the offset is stored, the lane does not know yet |
//! | `in-release` | a stopped partition has nothing in flight, its last offset is not stored |

/// Kills the process here if the environment says so.
#[cfg(feature = "crash-points")]
pub fn pass(place: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    static PLAN: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("REPLISOME_CRASH_AT").ok()?;
        let (place, passages) = text.split_once(':').unwrap_or((&text, "1"));
        let passages = passages.parse().expect("REPLISOME_CRASH_AT is PLACE:PASSAGES");
        Some((place.to_owned(), AtomicI64::new(passages)))
    });
    if let Some((wanted, left)) = plan
        && wanted == place
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Does nothing: the feature `crash-points` is off.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn pass(_place: &str) {}
