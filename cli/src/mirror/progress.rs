//! Tells how it goes: on a terminal a line rewritten in place, elsewhere a log line every ten seconds.

use std::time::Duration;

use tokio::time::Instant;

use super::tally::{Amount, Standing};
use crate::output::{self, LiveLine, grouped};

/// How often the line on a terminal is rewritten.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);

/// How often a log line is written elsewhere.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What was told last, and where.
pub struct Teller {
    live: Option<LiveLine>,
    until_end: bool,
    told: (Instant, Amount),
    /// Records and bytes a second, smoothed.
    rate: Option<(f64, f64)>,
}

impl Teller {
    /// A teller that begins at `now`; `until_end` adds when it will be over.
    pub fn new(until_end: bool, now: Instant) -> Self {
        let live = output::stderr_is_terminal().then(LiveLine::default);
        Self { live, until_end, told: (now, Amount::default()), rate: None }
    }

    /// Tells how it stands at `now`, if it is time.
    pub fn tell(&mut self, standing: &Standing, now: Instant) {
        let interval = if self.live.is_some() { LIVE_INTERVAL } else { LOG_INTERVAL };
        let elapsed = now - self.told.0;
        if elapsed < interval {
            return;
        }
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        let latest = (
            per_second(standing.amount.records, self.told.1.records),
            per_second(standing.amount.bytes, self.told.1.bytes),
        );
        self.told = (now, standing.amount);
        // A line that is read every half second would flicker; one every ten seconds is an average already.
        let rate = match self.rate {
            Some((records, bytes)) if self.live.is_some() => (blend(records, latest.0), blend(bytes, latest.1)),
            _ => latest,
        };
        self.rate = Some(rate);
        match &mut self.live {
            Some(line) => line.show(&text(standing, rate, self.until_end)),
            None => log(standing, rate),
        }
    }

    /// Clears the line, so that other text can follow.
    pub fn clear(&mut self) {
        if let Some(line) = &mut self.live {
            line.clear();
        }
    }
}

fn blend(before: f64, latest: f64) -> f64 {
    0.7 * before + 0.3 * latest
}

fn text(standing: &Standing, (records, bytes): (f64, f64), until_end: bool) -> String {
    let mut text = format!(
        "{} partitions  {} records  {} records/s  {:.1} MB/s  lag {}",
        standing.partitions,
        grouped(standing.amount.records),
        grouped(records as u64),
        bytes / 1e6,
        grouped(standing.lag)
    );
    for (reason, count) in &standing.held {
        text.push_str(&format!("  {count} held: {reason}"));
    }
    if until_end && standing.lag > 0 && records >= 1.0 {
        text.push_str(&format!("  {} left", brief(standing.lag as f64 / records)));
    }
    text
}

fn log(standing: &Standing, (records, bytes): (f64, f64)) {
    let held: usize = standing.held.values().sum();
    let reasons: Vec<_> = standing.held.keys().copied().collect();
    tracing::info!(
        partitions = standing.partitions,
        records = standing.amount.records,
        records_per_second = records as u64,
        mb_per_second = %format_args!("{:.1}", bytes / 1e6),
        lag = standing.lag,
        held,
        reasons = %reasons.join(","),
        "mirroring"
    );
}

/// A time in one or two units.
fn brief(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_is_held_and_when_it_will_be_over() {
        let standing = Standing {
            partitions: 4,
            amount: Amount { records: 1_500_000, bytes: 150_000_000 },
            lag: 1_200_000,
            held: [("record-too-large", 1)].into(),
        };
        let line = text(&standing, (10_000.0, 1e6), true);
        assert_eq!(
            line,
            "4 partitions  1,500,000 records  10,000 records/s  1.0 MB/s  lag 1,200,000  1 held: record-too-large  2 min 0 s left"
        );
        assert!(!text(&standing, (10_000.0, 1e6), false).contains("left"));
    }
}
