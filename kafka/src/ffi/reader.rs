//! A consuming client and the one record of it that is lent out.

use std::mem;
use std::time::Duration;

use super::client::Client;
use super::code::Code;
use super::event::{Happened, Trouble};
use super::fetched::{Fetched, HeaderList, TopicKey};
use crate::record::Record;

/// A consumer that keeps its current record until the next poll.
#[derive(Debug)]
pub struct Reader {
    /// Of `client`. Declared before it, so dropped before it.
    current: Option<Fetched<'static>>,
    headers: HeaderList,
    client: Client,
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// A record, now the current one.
    Record {
        /// Its topic.
        topic: TopicKey,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// `NONE` for a proper record.
        code: Code,
    },
    /// An error or the end of a partition.
    Trouble(Box<Trouble>),
    /// Nothing we asked for.
    Other,
}

impl Reader {
    /// A reader by a consuming client.
    pub fn new(client: Client) -> Self {
        Self { current: None, headers: HeaderList::default(), client }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Drops the current record and waits for the next event.
    #[inline]
    pub fn poll(&mut self, wait: Duration) -> Option<Polled> {
        self.headers.clear();
        self.current = None;
        Some(match self.client.poll(wait)?.happened() {
            Happened::Fetched(fetched) => {
                let (topic, partition) = fetched.origin();
                let (offset, code) = (fetched.offset(), fetched.code());
                // SAFETY: only the lifetime changes. The client that the record must not outlive is this value's own:
                // it is dropped after `current`, never replaced, and `current` is lent with `self` borrowed only.
                self.current = Some(unsafe { mem::transmute::<Fetched<'_>, Fetched<'static>>(fetched) });
                Polled::Record { topic, partition, offset, code }
            }
            Happened::Trouble(trouble) => Polled::Trouble(trouble),
            _ => Polled::Other,
        })
    }

    /// The name of the current record's topic.
    pub fn topic(&self) -> Option<String> {
        Some(self.current.as_ref()?.topic())
    }

    /// The current record.
    #[inline]
    pub fn record(&mut self) -> Option<Record<'_>> {
        Some(self.current.as_ref()?.record(&mut self.headers))
    }
}
