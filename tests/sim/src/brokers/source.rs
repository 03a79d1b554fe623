//! Reading, as one process sees it.

use std::time::Duration;

use common::ids::TopicPartition;
use common::offsets::Position;
use kafka::error::{Error, ErrorKind};
use kafka::memory::MemorySource;
use kafka::record::Slot;
use kafka::source::{Polled, Source};

use super::View;

/// A reader that may be cut off: then it says so once, and nothing comes.
pub struct ViewedSource {
    view: View,
    cluster: String,
    inner: MemorySource,
    has_told: bool,
}

impl ViewedSource {
    pub(super) fn new(view: View, cluster: &str, inner: MemorySource) -> Self {
        Self { view, cluster: cluster.to_owned(), inner, has_told: false }
    }
}

impl Source for ViewedSource {
    fn assign(&mut self, assignments: &[(Slot, TopicPartition, Position)]) -> Result<(), Error> {
        self.inner.assign(assignments)
    }

    fn unassign(&mut self, slots: &[Slot]) -> Result<(), Error> {
        self.inner.unassign(slots)
    }

    fn pause(&mut self, slot: Slot) -> Result<(), Error> {
        self.inner.pause(slot)
    }

    fn resume(&mut self, slot: Slot) -> Result<(), Error> {
        self.inner.resume(slot)
    }

    fn poll(&mut self, wait: Duration) -> Option<Polled<'_>> {
        if let Err(error) = self.view.reach(&self.cluster) {
            let is_news = !std::mem::replace(&mut self.has_told, true);
            return is_news.then_some(Polled::Failed { slot: None, error });
        }
        self.has_told = false;
        let polled = self.inner.poll(wait);
        if let Some(Polled::Failed { error, .. }) = &polled
            && error.kind == ErrorKind::TopicDenied
        {
            self.view.brokers.world.bit("topic-denied");
        }
        polled
    }
}
