//! What became of produced records: arrivals move the floor, the first failure breaks the sink.

use common::reason::{Reason, Side};
use kafka::error::ErrorKind;
use kafka::record::Slot;
use kafka::sink::{Delivery, Sink};
use kafka::source::Source;

use crate::engine::lane::partition::{LanePartition, Stage};
use crate::engine::lane::{Lane, Now, SinkState};

impl Lane {
    /// Takes in all deliveries that are there.
    pub(super) fn serve(&mut self, now: Now, source: &mut impl Source, sink: &mut impl Sink) {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        sink.serve(&mut deliveries);
        let mut failed = false;
        let mut guilty: Vec<(Slot, Reason)> = Vec::new();
        for Delivery { slot, offset, outcome } in deliveries.drain(..) {
            let partition = self.partitions[usize::from(slot.0)].as_mut().expect("a slot is kept while outstanding");
            let before = partition.flight.bytes();
            match outcome {
                Ok(()) => {
                    partition.arrived(offset, now.instant);
                    self.sink_failures = 0;
                    if let SinkState::Narrowing { since } = &mut self.sink {
                        *since = now.instant;
                    }
                }
                Err(kind) => {
                    failed = true;
                    partition.flight.fail(offset);
                    let blamed = guilty.iter().any(|(other, _)| *other == slot);
                    if !blamed && !matches!(kind, ErrorKind::ProducerFatal | ErrorKind::Purged) {
                        guilty.push((slot, refusal(kind, offset, "refused when it was written")));
                    }
                }
            }
            let weight = before - partition.flight.bytes();
            self.in_flight_bytes -= weight;
            if partition.kept_back {
                self.kept_back_bytes -= weight;
            }
            if partition.flight.outstanding() == 0 {
                self.attention = true;
            }
        }
        self.deliveries = deliveries;
        if failed {
            self.break_sink(now, source);
        }
        for (slot, reason) in guilty {
            self.blame(slot, reason, now, source);
        }
    }

    /// Holds the partition whose record was refused; for a cause that is its topic's, all partitions of the topic, since
    /// each of them would break the sink once more.
    fn blame(&mut self, slot: Slot, reason: Reason, now: Now, source: &mut impl Source) {
        let topic = self.partition_mut(slot).grant.target_topic.clone();
        let of_topic = matches!(reason, Reason::Denied { .. } | Reason::TopicMissing { .. });
        // A neighbour without a claim goes on claiming, and one that needs a person keeps its own reason.
        let shares = |partition: &LanePartition| {
            let heals = !matches!(&partition.stage, Stage::Held(hold) if !hold.reason.heals());
            of_topic && partition.grant.target_topic == topic && partition.is_claimed() && heals
        };
        let blamed = self.entries().filter(|(other, partition)| *other == slot || shares(partition));
        let slots: Vec<Slot> = blamed.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.hold(slot, reason.clone(), None, now, source);
        }
    }
}

/// The reason that a failed record gives. The broker names only the kind; what the record's topic lacks is looked up
/// afterwards.
pub(super) fn refusal(kind: ErrorKind, offset: i64, text: &str) -> Reason {
    match kind {
        ErrorKind::TopicDenied => Reason::Denied { side: Side::Target },
        ErrorKind::UnknownTopic => Reason::TopicMissing { side: Side::Target },
        ErrorKind::RecordTooLarge => Reason::RecordRefused { offset, error: format!("too large, {text}") },
        ErrorKind::InvalidTimestamp => Reason::RecordRefused { offset, error: format!("its timestamp, {text}") },
        ErrorKind::InvalidRecord => Reason::RecordRefused { offset, error: format!("an invalid record, {text}") },
        _ => Reason::RecordRefused { offset, error: format!("{kind:?}, {text}") },
    }
}
