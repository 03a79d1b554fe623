//! Writing: records to explicit partitions, each acknowledged or failed exactly once.

use common::ids::TopicPartition;

use crate::error::{Error, ErrorKind};
use crate::record::{Record, Slot};

/// An idempotent producer that waits for all replicas. One thread uses it.
///
/// Keeps the order of each partition, also over retries. A record that fails for good makes the producer fatal
/// (`enable.gapless.guarantee`): no later record of any partition is written before a failed one. After that every
/// outstanding record fails, and the sink must be dropped.
pub trait Sink: Send {
    /// Prepares a slot for records to `target`. The slot is free again once `close` was called and nothing of it is
    /// outstanding.
    fn open(&mut self, slot: Slot, target: &TopicPartition) -> Result<(), Error>;

    /// Forgets a slot's target. Its outstanding records are still delivered.
    fn close(&mut self, slot: Slot);

    /// Queues a copy of the record for the slot's partition: same key, value, headers and timestamp. Never waits.
    ///
    /// # Errors
    /// `QueueFull` when no more fits; a kind of its own record for a record that can't be sent; `ProducerFatal` when
    /// the sink is of no more use. Nothing was queued then.
    fn produce(&mut self, slot: Slot, record: &Record<'_>) -> Result<(), Error>;

    /// Appends to `deliveries` what became of records since the last call. Never waits.
    fn serve(&mut self, deliveries: &mut Vec<Delivery>);

    /// Records queued or sent, whose delivery has not been served.
    fn outstanding(&self) -> usize;

    /// Whether batches are compressed, so that the size of one is not known before it is made.
    fn compresses(&self) -> bool {
        false
    }

    /// Throws away everything queued or in flight: each such record is served as `Purged`, though it may have been
    /// written. The sink is of no more use for new records.
    fn purge(&mut self);
}

/// What became of one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The slot it was produced for.
    pub slot: Slot,
    /// Its source offset.
    pub offset: i64,
    /// `Ok` once all in-sync replicas of the target have it.
    pub outcome: Result<(), ErrorKind>,
}

/// How much a sink may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SinkBounds {
    /// Bytes of records queued or in flight, overshot by up to one record.
    pub queued_bytes: usize,
    /// Bytes of one batch, so that none is larger than the smallest `max.message.bytes` among its topics.
    pub batch_bytes: usize,
}
