//! Writing, as one process sees it: what arrives at the target by its hand is told to the checks.

use std::collections::BTreeMap;

use common::ids::TopicPartition;
use kafka::error::{Error, ErrorKind};
use kafka::memory::{MemoryCluster, MemorySink};
use kafka::record::{Record, Slot};
use kafka::sink::{Delivery, Sink};

use super::{TARGET, View};
use crate::world::lock;

/// A writer that may be cut off: then nothing of it arrives, and nothing is acknowledged.
pub struct ViewedSink {
    view: View,
    cluster: String,
    /// Taken out when it is dropped.
    inner: Option<MemorySink>,
    open: BTreeMap<Slot, TopicPartition>,
    /// Every partition it was opened for.
    written: Vec<TopicPartition>,
}

impl ViewedSink {
    pub(super) fn new(view: View, cluster: &str, inner: MemorySink) -> Self {
        assert_eq!(cluster, TARGET, "only the target is written");
        Self { view, cluster: cluster.to_owned(), inner: Some(inner), open: BTreeMap::new(), written: Vec::new() }
    }

    fn inner(&mut self) -> &mut MemorySink {
        self.inner.as_mut().expect("it is there until it is dropped")
    }

    fn target(&self) -> &MemoryCluster {
        &self.view.brokers.target
    }

    fn ends(&self) -> Vec<i64> {
        let end = |place: &TopicPartition| self.target().end(place.topic.as_str(), place.partition.0).0;
        self.written.iter().map(end).collect()
    }

    /// Tells the checks what has arrived since `before`.
    fn tell(&self, before: &[i64]) {
        let process = &self.view.process;
        for (place, before) in self.written.iter().zip(before) {
            for record in self.target().records_from(place.topic.as_str(), place.partition.0, *before) {
                lock(&self.view.brokers.copies).arrived(process, place, &record);
            }
        }
    }
}

impl Sink for ViewedSink {
    fn open(&mut self, slot: Slot, target: &TopicPartition) -> Result<(), Error> {
        self.open.insert(slot, target.clone());
        if !self.written.contains(target) {
            self.written.push(target.clone());
        }
        self.inner().open(slot, target)
    }

    fn close(&mut self, slot: Slot) {
        self.inner().close(slot);
    }

    fn produce(&mut self, slot: Slot, record: &Record<'_>) -> Result<(), Error> {
        let place = &self.open[&slot];
        lock(&self.view.brokers.copies).produced(&self.view.process, place);
        if self.view.brokers.is_stalled(place) {
            self.view.brokers.world.bit("target-stall");
        }
        self.inner().produce(slot, record)
    }

    fn serve(&mut self, deliveries: &mut Vec<Delivery>) {
        if self.inner().outstanding() > 0 && self.view.reach(&self.cluster).is_err() {
            return;
        }
        let (before, told) = (self.ends(), deliveries.len());
        self.inner().serve(deliveries);
        self.tell(&before);
        let refused = |delivery: &&Delivery| {
            delivery.outcome.is_err_and(|kind| !matches!(kind, ErrorKind::Purged | ErrorKind::ProducerFatal))
        };
        for delivery in deliveries[told..].iter().filter(refused) {
            self.view.brokers.world.bit("refused-record");
            if let Some(place) = self.open.get(&delivery.slot) {
                lock(&self.view.brokers.copies).refused(&self.view.process, place);
            }
        }
    }

    fn outstanding(&self) -> usize {
        self.inner.as_ref().map_or(0, Sink::outstanding)
    }

    fn purge(&mut self) {
        let before = self.ends();
        self.inner().purge();
        self.tell(&before);
    }
}

impl Drop for ViewedSink {
    /// What a dying process had sent may still arrive.
    fn drop(&mut self) {
        let before = self.ends();
        drop(self.inner.take());
        self.tell(&before);
    }
}
