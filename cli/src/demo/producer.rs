//! A steady producer: the same number of records to every partition, at a pace a person can watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::ids::TopicPartition;
use kafka::error::Error;
use kafka::librdkafka::mock::{PlainRecord, PlainWriter};
use tokio::time::Instant;

use super::scene::{self, Scene};
use crate::failure::Failure;

/// Records a second to each partition. An embedded broker keeps 5 MiB a partition: 130 bytes a record fill it in 130 s.
pub const RECORDS_PER_SECOND: u32 = 300;
/// Bytes of each record's value.
const RECORD_BYTES: usize = 100;
/// Between two looks at the clock, and how long records are gathered into a batch: an embedded broker serves one batch
/// a partition at a time and looks for it from its first.
const PACE: Duration = Duration::from_millis(20);

/// The running producer; dropped, it stops.
pub struct Producer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Records taken for each partition.
    records: AtomicU64,
}

impl Producer {
    /// Starts it on all partitions of the source.
    pub fn start(scene: &Scene) -> Result<Self, Failure> {
        let writer = scene.writer(PACE)?;
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || produce(writer, &scene::partitions(), &shared)
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Records so far, of each partition.
    pub fn records(&self) -> u64 {
        self.shared.records.load(Ordering::Relaxed)
    }

    /// Stops it and waits until all its records are written. It fails with what made it stop before, too.
    pub fn stop(&mut self) -> Result<(), Failure> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(Ok(())), JoinHandle::join);
        Ok(ended.map_err(|_| Failure::failed("the producer panicked"))??)
    }

    /// Fails with what made it stop by itself, if it did.
    pub fn check(&mut self) -> Result<(), Failure> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) { self.stop() } else { Ok(()) }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // The play is over, or has failed for another reason: what the producer met no longer matters.
        let _ = self.stop();
    }
}

fn produce(writer: PlainWriter, partitions: &[TopicPartition], shared: &Shared) -> Result<(), Error> {
    let (started, mut random) = (Instant::now(), 0x9E37_79B9_7F4A_7C15_u64);
    while !shared.stop.load(Ordering::Relaxed) {
        let due = started.elapsed().as_millis() * u128::from(RECORDS_PER_SECOND) / 1_000;
        for number in shared.records.load(Ordering::Relaxed)..u64::try_from(due).unwrap_or(u64::MAX) {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let timestamp_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(0);
            for partition in partitions {
                let (key, value) = (number.to_string(), value(&mut random));
                writer.write(partition, PlainRecord { timestamp_ms, key: key.as_bytes(), value: &value })?;
            }
            shared.records.store(number + 1, Ordering::Relaxed);
        }
        thread::sleep(PACE);
    }
    writer.finish()
}

/// The number of a record in its partition, read back from its key.
pub fn number(key: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(key?).ok()?.parse().ok()
}

/// A value that no other record has.
fn value(random: &mut u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(RECORD_BYTES);
    while value.len() < RECORD_BYTES {
        // xorshift: noise enough that compression does not shrink a record to nothing
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        value.push(b' ' + u8::try_from(*random % 95).unwrap_or(0));
    }
    value
}
