//! The producer of one lane.

use std::ffi::CString;
use std::time::Duration;

use common::ids::TopicPartition;
use tracing::{debug, warn};

use super::{clients, errors};
use crate::error::{Error, ErrorKind};
use crate::ffi::client::Client;
use crate::ffi::code::{Code, Failure};
use crate::ffi::event::{Happened, Trouble};
use crate::ffi::producer::Producer;
use crate::record::{Record, Slot};
use crate::sink::{Delivery, Sink, SinkBounds};

/// Bits of a delivery's number that hold the offset; the slot is above them.
const OFFSET_BITS: u32 = 48;

/// Memory that a queued record takes beside its key and value, about (`rd_kafka_msg_t` and the allocator's part).
const RECORD_OVERHEAD_BYTES: usize = 192;

/// How long a record may wait for the client to learn of a partition that was added to its topic. The lane waits with
/// it, and an answer that comes later is learnt all the same.
const LEARN_WAIT: Duration = Duration::from_millis(200);

/// What a slot stands for.
#[derive(Debug)]
struct Place {
    topic: CString,
    partition: i32,
}

/// An idempotent, gapless producer.
#[derive(Debug)]
pub struct LibrdkafkaSink {
    producer: Producer,
    /// What each open slot stands for.
    places: Vec<Option<Place>>,
    compresses: bool,
    queued_bytes_max: usize,
    queued_bytes: usize,
    outstanding: usize,
    /// Why nothing more is produced.
    end: Option<Error>,
    /// Whether the last thing heard of the cluster was an error.
    is_troubled: bool,
}

impl LibrdkafkaSink {
    pub(super) fn new(client: Client, bounds: SinkBounds, compresses: bool) -> Self {
        Self {
            producer: Producer::new(client),
            places: Vec::new(),
            compresses,
            queued_bytes_max: bounds.queued_bytes,
            queued_bytes: 0,
            outstanding: 0,
            end: None,
            is_troubled: false,
        }
    }

    /// What a failure of the C library's `produce` means.
    #[cold]
    fn refused(&mut self, slot: Slot, record: &Record<'_>, failure: &Failure) -> Error {
        if self.producer.client().fatal_error().is_some() {
            return self.end(failure);
        }
        if failure.code == Code::UNSUPPORTED_FEATURE && record.timestamp_ms == Some(0) {
            return Error::new(ErrorKind::InvalidTimestamp, "this version of the client cannot carry the timestamp 0");
        }
        errors::error(format_args!("producing the record at offset {} for slot {}", record.offset, slot.0), failure)
    }

    /// Asks for a topic that has fewer partitions as far as the client knows: it would learn of a growth within minutes.
    #[cold]
    fn learns_of(&self, place: &Place) -> bool {
        let count = self.producer.client().learn_topic(&place.topic, LEARN_WAIT);
        matches!((count, u32::try_from(place.partition)), (Some(Ok(count)), Ok(partition)) if partition < count)
    }

    /// Ends the sink: a record failed for good.
    fn end(&mut self, failure: &Failure) -> Error {
        let text = format!("the producer cannot go on: {}", failure.text);
        self.end.get_or_insert_with(|| Error::new(ErrorKind::ProducerFatal, text)).clone()
    }

    fn trouble(&mut self, trouble: &Trouble) {
        let error = &*trouble.failure.text;
        if trouble.is_fatal || errors::kind(trouble.failure.code) == ErrorKind::ProducerFatal {
            warn!(error, "a producer cannot go on");
            self.end(&trouble.failure);
        } else if self.is_troubled {
            debug!(error, "still trouble with a target");
        } else {
            self.is_troubled = true;
            warn!(error, "trouble with a target");
        }
    }

    /// Has what is left in the queue of an ended producer fail: it is never sent.
    fn hasten_the_end(&self) {
        if self.end.is_some() && self.outstanding > 0 {
            self.producer.purge(false);
        }
    }
}

impl Sink for LibrdkafkaSink {
    fn open(&mut self, slot: Slot, target: &TopicPartition) -> Result<(), Error> {
        let partition = clients::partition_number(target)?;
        let index = usize::from(slot.0);
        let refused = |text| Error::new(ErrorKind::Other, format!("opening {target} for writing: {text}"));
        self.producer.open(index, target.topic.as_str()).map_err(refused)?;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        let topic = CString::new(target.topic.as_str()).map_err(|error| refused(error.to_string()))?;
        self.places[index] = Some(Place { topic, partition });
        Ok(())
    }

    fn close(&mut self, slot: Slot) {
        let index = usize::from(slot.0);
        self.producer.close(index);
        if let Some(place) = self.places.get_mut(index) {
            *place = None;
        }
    }

    #[inline]
    fn produce(&mut self, slot: Slot, record: &Record<'_>) -> Result<(), Error> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        let index = usize::from(slot.0);
        let place = self.places.get(index).and_then(Option::as_ref);
        let place = place.expect("a record is produced for an open slot only");
        let bytes = record_bytes(record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len));
        // Overshot by one record, so that a large one is not kept waiting by smaller ones of others.
        if self.queued_bytes >= self.queued_bytes_max {
            return Err(queue_full());
        }
        let number = delivery_number(slot, record.offset);
        let produce = || self.producer.produce(index, place.partition, record, number);
        let produced = match produce() {
            Err(failure) if failure.code == Code::UNKNOWN_PARTITION && self.learns_of(place) => produce(),
            produced => produced,
        };
        match produced {
            Ok(()) => {
                self.outstanding += 1;
                self.queued_bytes += bytes;
                Ok(())
            }
            Err(failure) => Err(self.refused(slot, record, &failure)),
        }
    }

    fn serve(&mut self, deliveries: &mut Vec<Delivery>) {
        let (mut failed, mut troubles) = (None, Vec::new());
        while let Some(event) = self.producer.client().poll(Duration::ZERO) {
            match event.happened() {
                Happened::Deliveries(reports) => {
                    for report in reports {
                        let outcome = if report.code == Code::NONE {
                            self.is_troubled = false;
                            Ok(())
                        } else {
                            failed = failed.or(Some(report.code));
                            Err(errors::kind(report.code))
                        };
                        self.outstanding -= 1;
                        self.queued_bytes -= record_bytes(report.payload_bytes);
                        let (slot, offset) = slot_and_offset(report.opaque);
                        deliveries.push(Delivery { slot, offset, outcome });
                    }
                }
                Happened::Trouble(trouble) => troubles.push(trouble),
                _ => {}
            }
        }
        troubles.iter().for_each(|trouble| self.trouble(trouble));
        // Also where the client would go on, as when a topic vanished: a later record must not overtake a failed one.
        if let Some(code) = failed {
            self.end(&Failure::of(code));
        }
        self.hasten_the_end();
    }

    fn outstanding(&self) -> usize {
        self.outstanding
    }

    fn compresses(&self) -> bool {
        self.compresses
    }

    fn purge(&mut self) {
        self.producer.purge(true);
        let text = "the producer was told to throw its records away";
        self.end.get_or_insert_with(|| Error::new(ErrorKind::ProducerFatal, text));
    }
}

impl Drop for LibrdkafkaSink {
    fn drop(&mut self) {
        // Else the client tries for as long as it takes to write what is queued.
        self.producer.purge(true);
    }
}

#[cold]
fn queue_full() -> Error {
    Error::new(ErrorKind::QueueFull, "the producer's queue is full")
}

fn record_bytes(payload_bytes: usize) -> usize {
    payload_bytes + RECORD_OVERHEAD_BYTES
}

fn delivery_number(slot: Slot, offset: i64) -> usize {
    let offset = usize::try_from(offset).expect("an offset is not negative");
    assert!(offset >> OFFSET_BITS == 0, "offset {offset} has more than {OFFSET_BITS} bits");
    usize::from(slot.0) << OFFSET_BITS | offset
}

fn slot_and_offset(number: usize) -> (Slot, i64) {
    let offset = number & ((1 << OFFSET_BITS) - 1);
    (Slot((number >> OFFSET_BITS) as u16), offset as i64)
}

#[cfg(test)]
mod tests {
    use common::config::ClusterConfig;
    use common::ids::{ClusterName, Partition, TopicName};

    use super::*;
    use crate::clients::Clients;

    #[test]
    fn a_large_record_fits_beside_small_ones_and_nothing_fits_beside_it() {
        let properties = [("bootstrap.servers", "127.0.0.1:1")].into_iter().collect();
        let cluster = ClusterConfig { name: ClusterName::new("nowhere").unwrap(), properties };
        let bounds = SinkBounds { queued_bytes: 1000, batch_bytes: 1000 };
        let mut sink = clients::LibrdkafkaClients.sink(&cluster, bounds).unwrap();
        sink.open(Slot(0), &TopicPartition::new(TopicName::new("t").unwrap(), Partition(0))).unwrap();
        let mut produce = |offset, bytes| {
            let value = Some(&[0; 5000][..bytes]);
            let record = Record { offset, leader_epoch: None, timestamp_ms: Some(1), key: None, value, headers: &[] };
            sink.produce(Slot(0), &record).map_err(|error| error.kind)
        };
        assert_eq!([produce(0, 100), produce(1, 5000)], [Ok(()); 2]);
        assert_eq!(produce(2, 1), Err(ErrorKind::QueueFull));
    }

    #[test]
    fn a_delivery_number_holds_slot_and_offset() {
        for (slot, offset) in [(0, 0), (1, 0), (u16::MAX, (1 << OFFSET_BITS) - 1), (7, 123_456_789_012)] {
            assert_eq!(slot_and_offset(delivery_number(Slot(slot), offset)), (Slot(slot), offset));
        }
    }
}
