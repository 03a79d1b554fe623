//! Large messages travel in parts. What a worker of a large fleet is told, and what it tells, is megabytes; gRPC's buffers, of
//! which a leader has some for each worker, stay as large as the largest message that they held.
//!
//! ```text
//! Snapshot, Inventory  --parts--> one message each, all but the last with `more`  --Parts::join--> the whole
//! ProgressReport       --parts--> reports that count each by itself
//! ```
//!
//! Always true: a part is about `PART_BYTES` at most, unless one item is larger, or what the first one says besides items (routes,
//! unclean releases); parts of one message come in order, with other messages between them perhaps, and a connection's end
//! forgets them.

use prost::Message;

use crate::Malformed;
use crate::v1::{self, leader_message, worker_message};

/// How large a part may be: a page. A part and what is left of the one before still fit into gRPC's buffer of 8 KiB.
pub const PART_BYTES: usize = 4_096;

/// How many items one message may have in all its parts.
const ITEMS_MAX: usize = 4_000_000;

/// What an item needs besides itself: its field's number and its length.
const ITEM_HEAD_BYTES: usize = 6;

/// A message that goes in parts.
trait Parted: Message + Default {
    type Item: Message;

    fn items(&mut self) -> &mut Vec<Self::Item>;

    /// Whether the rest follows; `None` where each part counts by itself.
    fn more(&mut self) -> Option<&mut bool>;
}

impl Parted for v1::Snapshot {
    type Item = v1::Grant;

    fn items(&mut self) -> &mut Vec<v1::Grant> {
        &mut self.grants
    }

    fn more(&mut self) -> Option<&mut bool> {
        Some(&mut self.more)
    }
}

impl Parted for v1::Inventory {
    type Item = v1::Running;

    fn items(&mut self) -> &mut Vec<v1::Running> {
        &mut self.running
    }

    fn more(&mut self) -> Option<&mut bool> {
        Some(&mut self.more)
    }
}

impl Parted for v1::ProgressReport {
    type Item = v1::Progress;

    fn items(&mut self) -> &mut Vec<v1::Progress> {
        &mut self.partitions
    }

    fn more(&mut self) -> Option<&mut bool> {
        None
    }
}

impl v1::WorkerMessage {
    /// The message in parts, in order.
    pub fn parts(self) -> Vec<Self> {
        use worker_message::Message::{Inventory, Progress};
        match self.message {
            Some(Inventory(whole)) => split(whole).into_iter().map(Inventory).map(Self::from).collect(),
            Some(Progress(whole)) => split(whole).into_iter().map(Progress).map(Self::from).collect(),
            _ => vec![self],
        }
    }
}

impl v1::LeaderMessage {
    /// The message in parts, in order.
    pub fn parts(self) -> Vec<Self> {
        use leader_message::Message::Snapshot;
        match self.message {
            Some(Snapshot(whole)) => split(whole).into_iter().map(Snapshot).map(Self::from).collect(),
            _ => vec![self],
        }
    }
}

impl From<worker_message::Message> for v1::WorkerMessage {
    fn from(message: worker_message::Message) -> Self {
        Self { message: Some(message) }
    }
}

impl From<leader_message::Message> for v1::LeaderMessage {
    fn from(message: leader_message::Message) -> Self {
        Self { message: Some(message) }
    }
}

fn split<T: Parted>(mut whole: T) -> Vec<T> {
    let items = std::mem::take(whole.items());
    let mut room = PART_BYTES.saturating_sub(whole.encoded_len());
    let (mut parts, mut part) = (Vec::new(), whole);
    for item in items {
        let size = item.encoded_len() + ITEM_HEAD_BYTES;
        if size > room && !part.items().is_empty() {
            part.more().into_iter().for_each(|more| *more = true);
            parts.push(std::mem::take(&mut part));
            room = PART_BYTES;
        }
        room = room.saturating_sub(size);
        part.items().push(item);
    }
    parts.push(part);
    parts
}

/// What has come so far of a message that goes in parts: a `v1::Snapshot` or a `v1::Inventory`.
#[derive(Debug)]
pub struct Parts<T>(Option<T>);

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// Adds a part to what has come. Returns the whole with the last one.
fn add<T: Parted>(begun: &mut Option<T>, mut part: T) -> Result<Option<T>, Malformed> {
    let is_open = part.more().is_some_and(std::mem::take);
    let mut whole = match begun.take() {
        None => part,
        Some(mut whole) => {
            whole.items().append(part.items());
            whole
        }
    };
    if whole.items().len() > ITEMS_MAX {
        return Err(Malformed::new("more", format_args!("over {ITEMS_MAX} items in one message")));
    }
    Ok(if is_open {
        *begun = Some(whole);
        None
    } else {
        Some(whole)
    })
}

impl Parts<v1::Inventory> {
    /// Takes a message in. Returns it, whole, unless the rest follows.
    pub fn join(&mut self, message: v1::WorkerMessage) -> Result<Option<v1::WorkerMessage>, Malformed> {
        match message.message {
            Some(worker_message::Message::Inventory(part)) => {
                let whole = add(&mut self.0, part)?;
                Ok(whole.map(worker_message::Message::Inventory).map(v1::WorkerMessage::from))
            }
            _ => Ok(Some(message)),
        }
    }
}

impl Parts<v1::Snapshot> {
    /// Takes a message in. Returns it, whole, unless the rest follows.
    pub fn join(&mut self, message: v1::LeaderMessage) -> Result<Option<v1::LeaderMessage>, Malformed> {
        match message.message {
            Some(leader_message::Message::Snapshot(part)) => {
                let whole = add(&mut self.0, part)?;
                Ok(whole.map(leader_message::Message::Snapshot).map(v1::LeaderMessage::from))
            }
            _ => Ok(Some(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(grants: usize, topic_len: usize) -> v1::LeaderMessage {
        let grant = |epoch| v1::Grant { target_topic: "t".repeat(topic_len), epoch, ..v1::Grant::default() };
        let grants = (1..=grants as u64).map(grant).collect();
        let snapshot = v1::Snapshot { session: "s".repeat(26), fleet: "f".into(), grants, ..v1::Snapshot::default() };
        leader_message::Message::Snapshot(snapshot).into()
    }

    #[test]
    fn a_message_of_any_size_arrives_whole_and_no_part_of_it_is_large() {
        for (grants, topic_len) in [(0, 1), (1, 1), (100, 20), (3_000, 249)] {
            let whole = snapshot(grants, topic_len);
            let parts = whole.clone().parts();
            assert!(parts.iter().all(|part| part.encoded_len() <= PART_BYTES + 2 * ITEM_HEAD_BYTES));
            let least = whole.encoded_len().div_ceil(PART_BYTES);
            assert!((least..=least + least / 8 + 1).contains(&parts.len()), "{grants}: {} parts", parts.len());
            let heartbeat = v1::LeaderMessage::from(leader_message::Message::Renewed(v1::Renewed::default()));
            let (mut joined, last) = (Parts::<v1::Snapshot>::default(), parts.len() - 1);
            for (number, part) in parts.into_iter().enumerate() {
                assert_eq!(joined.join(heartbeat.clone()).unwrap(), Some(heartbeat.clone()));
                assert_eq!(joined.join(part).unwrap(), (number == last).then(|| whole.clone()));
            }
        }
    }

    #[test]
    fn an_item_that_is_larger_than_a_part_goes_by_itself() {
        let parts = snapshot(3, PART_BYTES).parts();
        assert_eq!(parts.len(), 3);
        let mut joined = Parts::<v1::Snapshot>::default();
        let whole = parts.into_iter().find_map(|part| joined.join(part).unwrap());
        assert_eq!(whole, Some(snapshot(3, PART_BYTES)));
    }

    #[test]
    fn parts_of_progress_count_each_by_itself() {
        let progress = |epoch| v1::Progress { epoch, bytes: u64::MAX, ..v1::Progress::default() };
        let partitions: Vec<_> = (1..=1_000).map(progress).collect();
        let report = worker_message::Message::Progress(v1::ProgressReport { partitions: partitions.clone() });
        let mut inventories = Parts::<v1::Inventory>::default();
        let mut arrived = Vec::new();
        for part in v1::WorkerMessage::from(report).parts() {
            assert!(part.encoded_len() <= PART_BYTES + 2 * ITEM_HEAD_BYTES);
            let Some(worker_message::Message::Progress(part)) = inventories.join(part).unwrap().unwrap().message else {
                panic!("it is progress")
            };
            arrived.extend(part.partitions);
        }
        assert_eq!(arrived, partitions);
    }
}
