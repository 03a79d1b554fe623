//! How much each partition brings, in bytes a second: what its owners report, smoothed. A partition's meter outlives its
//! moves, so that whoever has it is known to be busy from the first moment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use common::assignment::Progress;
use common::ids::{Epoch, RoutePartition};
use common::offsets::OptionalOffset;
use tokio::time::Instant;

/// A new rate counts one part in so many. With a look every ten seconds a rate follows a change within a minute, and hardly
/// notices a burst.
const SMOOTHING: u64 = 4;

/// The meters of all partitions of the table, in its order. They take less room so than as a map.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<Vec<(RoutePartition, Option<Meter>)>>);

/// What one partition brings.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    /// The epoch it was last reported under.
    pub epoch: Epoch,
    /// When that epoch was first seen here.
    granted: Instant,
    /// Bytes a second: of what is copied and what arrives at the source the greater. So a worker that can't keep up is as
    /// busy as it should be, and one that catches up as busy as it is.
    pub rate: u64,
    looked: Instant,
    bytes: u64,
    end: OptionalOffset,
    /// How large its records are on average, once that is known.
    record_bytes: u64,
}

impl Meters {
    fn lock(&self) -> MutexGuard<'_, Vec<(RoutePartition, Option<Meter>)>> {
        self.0.lock().expect("nothing panics while it is locked")
    }

    /// Makes room for all partitions that there are, which come in order, and forgets those that are gone.
    pub fn align<'a>(&self, all: impl Iterator<Item = &'a RoutePartition> + Clone) {
        let mut meters = self.lock();
        if meters.iter().map(|(partition, _)| partition).eq(all.clone()) {
            return;
        }
        let mut before = std::mem::take(&mut *meters).into_iter().peekable();
        meters.extend(all.map(|partition| {
            while before.next_if(|(known, _)| known < partition).is_some() {}
            let meter = before.next_if(|(known, _)| known == partition).and_then(|(_, meter)| meter);
            (partition.clone(), meter)
        }));
        meters.shrink_to_fit();
    }

    /// Looks at what a session reports of these partitions. What is older than what was seen already says nothing.
    pub fn look(&self, reported: &[Progress], now: Instant) {
        let mut meters = self.lock();
        for progress in reported {
            let Some(meter) = place(&meters, &progress.partition).map(|place| &mut meters[place].1) else { continue };
            match meter {
                Some(meter) if meter.epoch <= progress.epoch => meter.look(progress, now),
                Some(_) => {}
                None => *meter = Some(Meter::new(progress, now)),
            }
        }
    }

    /// What each partition brings, in bytes a second.
    pub fn rates(&self) -> BTreeMap<RoutePartition, u64> {
        let rate =
            |(partition, meter): &(RoutePartition, Option<Meter>)| Some((partition.clone(), meter.as_ref()?.rate));
        self.lock().iter().filter_map(rate).collect()
    }

    /// What one partition brings.
    pub fn of(&self, partition: &RoutePartition) -> Option<Meter> {
        let meters = self.lock();
        place(&meters, partition).and_then(|place| meters[place].1.clone())
    }
}

/// Where a partition's meter is.
fn place(meters: &[(RoutePartition, Option<Meter>)], partition: &RoutePartition) -> Option<usize> {
    meters.binary_search_by(|(known, _)| known.cmp(partition)).ok()
}

impl Meter {
    fn new(progress: &Progress, now: Instant) -> Self {
        let (epoch, bytes, end) = (progress.epoch, progress.bytes, progress.source_end.into());
        Self { epoch, granted: now, rate: 0, looked: now, bytes, end, record_bytes: 0 }
    }

    fn look(&mut self, progress: &Progress, now: Instant) {
        if self.epoch != progress.epoch {
            // Its counters began anew.
            (self.epoch, self.granted, self.bytes) = (progress.epoch, now, 0);
        }
        self.record_bytes = progress.bytes.checked_div(progress.records).unwrap_or(self.record_bytes);
        let (before, end) = (self.end.get(), progress.source_end);
        let passed = before.zip(end).map_or(0, |(before, end)| before.lag_to(end));
        let copied = progress.bytes.saturating_sub(self.bytes);
        let millis = now.saturating_duration_since(self.looked).as_millis();
        if millis == 0 {
            return;
        }
        let brought = u128::from(copied.max(passed.saturating_mul(self.record_bytes)));
        let sample = u64::try_from(brought * 1_000 / millis).unwrap_or(u64::MAX);
        // Both parts are divided for themselves: their sum can't overflow.
        self.rate = self.rate - self.rate / SMOOTHING + sample / SMOOTHING;
        (self.looked, self.bytes, self.end) = (now, progress.bytes, end.or(before).into());
    }

    /// Whether it has been where it is for so long.
    pub fn has_cooled(&self, now: Instant, cool_down: Duration) -> bool {
        now.saturating_duration_since(self.granted) >= cool_down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ids::{Partition, RouteName, TopicName};
    use common::offsets::NextOffset;

    fn id() -> RoutePartition {
        let (route, topic) = (RouteName::new("r").unwrap(), TopicName::new("t").unwrap());
        RoutePartition { route, topic, partition: Partition(0) }
    }

    fn report(epoch: u64, records: u64, end: i64) -> [Progress; 1] {
        [Progress {
            partition: id(),
            epoch: Epoch(epoch),
            next_offset: None,
            stored_offset: None,
            source_end: Some(NextOffset(end)),
            source_high_watermark: None,
            lag_time: Duration::ZERO,
            records,
            bytes: records * 100,
        }]
    }

    /// Looks ten times, ten seconds apart, while so many records are copied and arrive each second.
    fn after(copied: u64, arrive: i64) -> u64 {
        let (meters, begin) = (Meters::default(), Instant::now());
        meters.align([&id()].into_iter());
        for look in 0..=30 {
            let seconds = look * 10;
            let reports = report(1, copied * seconds, arrive * i64::try_from(seconds).unwrap());
            meters.look(&reports, begin + Duration::from_secs(seconds));
        }
        meters.of(&id()).unwrap().rate
    }

    #[test]
    fn a_rate_is_what_is_copied_or_what_arrives_whichever_is_more() {
        let is_about = |rate: u64, expected: u64| rate.abs_diff(expected) <= expected / 50;
        for (copied, arrive, expected) in [(1_000, 1_000, 100_000), (1_000, 3_000, 300_000), (3_000, 1_000, 300_000)] {
            assert!(is_about(after(copied, arrive), expected), "{copied} {arrive}: {}", after(copied, arrive));
        }
        assert_eq!(after(0, 0), 0);
    }

    #[test]
    fn a_partition_that_moved_is_as_busy_as_before_and_cools_down() {
        let (meters, begin) = (Meters::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        meters.align([&id()].into_iter());
        let cool_down = Duration::from_secs(100);
        meters.look(&report(1, 0, 0), at(0));
        meters.look(&report(1, 10_000, 10_000), at(10));
        let before = meters.of(&id()).unwrap();
        assert!(
            before.rate == 25_000 && before.has_cooled(at(100), cool_down) && !before.has_cooled(at(99), cool_down)
        );
        meters.look(&report(2, 0, 10_000), at(100));
        let after = meters.of(&id()).unwrap();
        assert!(after.rate > 18_000 && !after.has_cooled(at(199), cool_down) && after.has_cooled(at(200), cool_down));
        meters.look(&report(1, 20_000, 20_000), at(110));
        assert_eq!(meters.of(&id()).unwrap().rate, after.rate, "what its owner before says comes too late");
        meters.align([&id()].into_iter());
        assert!(meters.of(&id()).is_some());
        meters.align([].into_iter());
        assert!(meters.of(&id()).is_none());
    }
}
