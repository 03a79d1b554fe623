//! Load on source topics. Owns producing in bulk and at a steady pace, every value with a number of its own; never looks
//! at what becomes of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::produce::{NewRecord, Producer};

/// How a steady load flows.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The time between two batches.
    pub interval: Duration,
    /// Records for each partition in one batch.
    pub batch: usize,
    /// Bytes of a value, at least.
    pub value_len: usize,
}

/// One record every 20 ms for each partition: what silences are measured with.
pub const STEADY: Pace = Pace { interval: Duration::from_millis(20), batch: 1, value_len: 0 };

/// A producer that goes on until stopped or dropped.
#[derive(Debug)]
pub struct Load {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<u64>>,
}

/// A record whose value differs from every other one of this process.
pub fn numbered(partition: i32, value_len: usize) -> NewRecord {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NewRecord::new(partition, format!("key {number}"), format!("value {number} {}", "x".repeat(value_len)))
}

/// Sends `per_partition` records to each of the first `partitions` partitions and waits until the broker has them.
pub fn fill(bootstrap: &str, topic: &str, partitions: i32, per_partition: usize, value_len: usize) {
    let producer = Producer::with(bootstrap, &[("linger.ms", "5")]);
    for _ in 0..per_partition {
        for partition in 0..partitions {
            producer.send(topic, &numbered(partition, value_len));
        }
    }
    producer.flush();
}

impl Load {
    /// Starts producing to `places`.
    pub fn start(bootstrap: &str, places: &[(&str, i32)], pace: Pace) -> Self {
        let producer = Producer::with(bootstrap, &[("linger.ms", "0")]);
        let places: Vec<(String, i32)> =
            places.iter().map(|(topic, partition)| ((*topic).into(), *partition)).collect();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut due = Instant::now();
            let mut sent = 0;
            loop {
                for (topic, partition) in &places {
                    for _ in 0..pace.batch {
                        producer.send(topic, &numbered(*partition, pace.value_len));
                        sent += 1;
                    }
                }
                due += pace.interval;
                match stopped.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            producer.flush();
            sent
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Stops, waits until the broker has everything, and says how many records were sent.
    pub fn stop(mut self) -> u64 {
        self.stop = None;
        self.thread.take().expect("not stopped before").join().expect("the load reached the broker")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(ended, Some(Err(_))), "the load did not reach the broker");
    }
}
