//! What a reading client knows of its topics, asked for by us: the client tells of a topic that it may not read, or of a
//! partition that the topic lacks, only when that changes, else it waits in silence (`rdkafka_topic.c`:
//! `rd_kafka_topic_partition_cnt_update`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::time::{Duration, Instant};

use common::ids::{TopicName, TopicPartition};

use crate::ffi::client::Client;
use crate::ffi::code::{Code, Failure};
use crate::record::Slot;

/// How long answers are waited for in one go: one takes 2 ms. Without it a new topic's first record waits for the
/// client's timers.
const ANSWERS_WAIT: Duration = Duration::from_millis(200);

/// When to ask again for what was not there.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// When to ask again if no broker answered: asking holds up the reader.
const ASK_SILENT_AGAIN: Duration = Duration::from_secs(2);

/// How long a new topic or partition may take until every broker knows it.
const PROPAGATION: Duration = Duration::from_secs(2);

/// The topics of one source.
#[derive(Debug)]
pub(super) struct Topics {
    /// Those whose leaders the client has learnt, and how many partitions they had then.
    known: BTreeMap<TopicName, u32>,
    /// The last answer of those that are not known.
    refused: BTreeMap<TopicName, Code>,
    /// Partitions not yet found, and since when they are looked for.
    unresolved: Vec<(Slot, TopicPartition, Instant)>,
    ask_at: Instant,
}

impl Topics {
    pub(super) fn new() -> Self {
        let (known, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { known, refused, unresolved: Vec::new(), ask_at: Instant::now() }
    }

    /// Has the client learn the leaders of partitions it does not know, while answers come quickly.
    pub(super) fn learn<'a>(&mut self, client: &Client, places: impl Iterator<Item = &'a TopicPartition>) {
        let (started, mut asked) = (Instant::now(), BTreeSet::new());
        self.ask_at = started + ASK_AGAIN;
        for place in places.filter(|place| !self.has(place)).collect::<Vec<_>>() {
            let topic = &place.topic;
            if !asked.insert(topic) {
                continue;
            }
            let name = CString::new(topic.as_str()).expect("a topic's name contains no NUL character");
            let left = ANSWERS_WAIT.saturating_sub(started.elapsed());
            let answer = if left.as_millis() == 0 { None } else { client.learn_topic(&name, left) };
            let Some(answer) = answer else {
                self.ask_at = Instant::now() + ASK_SILENT_AGAIN;
                return;
            };
            match answer {
                Ok(count) => {
                    self.known.insert(topic.clone(), count);
                    self.refused.remove(topic);
                }
                Err(code) => {
                    self.known.remove(topic);
                    self.refused.insert(topic.clone(), code);
                }
            }
        }
    }

    /// Looks after a partition that is read from now on.
    pub(super) fn watch(&mut self, slot: Slot, place: &TopicPartition) {
        if !self.has(place) {
            self.unresolved.push((slot, place.clone(), Instant::now()));
        }
    }

    /// Looks after slots no more.
    pub(super) fn forget(&mut self, slots: &[Slot]) {
        self.unresolved.retain(|(slot, ..)| !slots.contains(slot));
    }

    /// Asks for a topic anew when it is next assigned.
    pub(super) fn doubt(&mut self, topic: &TopicName) {
        self.known.remove(topic);
    }

    /// Whether every partition was found.
    #[inline]
    pub(super) fn are_resolved(&self) -> bool {
        self.unresolved.is_empty()
    }

    /// A partition that is not there, or not for us, if one is to be given up. May ask the cluster.
    pub(super) fn given_up(&mut self, client: &Client) -> Option<(Slot, Failure)> {
        let mut found = self.judge();
        if found.is_none() && Instant::now() >= self.ask_at {
            let places: Vec<_> = self.unresolved.iter().map(|(_, place, _)| place.clone()).collect();
            self.learn(client, places.iter());
            found = self.judge();
        }
        found
    }

    fn judge(&mut self) -> Option<(Slot, Failure)> {
        let (known, refused) = (&self.known, &self.refused);
        self.unresolved.retain(|(_, place, _)| known.get(&place.topic).is_none_or(|count| place.partition.0 >= *count));
        self.unresolved.iter().find_map(|(slot, place, since)| {
            let code = match (known.get(&place.topic), refused.get(&place.topic)) {
                (Some(_), _) => Code::UNKNOWN_PARTITION,
                (None, code) => *code?,
            };
            let is_certain = code == Code::TOPIC_AUTHORIZATION_FAILED || since.elapsed() >= PROPAGATION;
            is_certain.then(|| (*slot, Failure { code, text: format!("{place}: {code}") }))
        })
    }

    fn has(&self, place: &TopicPartition) -> bool {
        self.known.get(&place.topic).is_some_and(|count| place.partition.0 < *count)
    }
}
