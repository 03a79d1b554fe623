//! A record on its way through, borrowed from the client that read it.

use common::offsets::LeaderEpoch;

/// A partition's place in one lane: which of its partitions a record or a delivery belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

/// One header. The value can be null, which is not the same as empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The name; names can repeat.
    pub name: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// One record as the source holds it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Record<'a> {
    /// Its offset in the source partition.
    pub offset: i64,
    /// The epoch of the leader that served it, where the source tells.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Milliseconds since the Unix epoch; `None` for records older than timestamps.
    pub timestamp_ms: Option<i64>,
    /// The key. Null is not empty.
    pub key: Option<&'a [u8]>,
    /// The value. Null is a tombstone, not empty.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header<'a>],
}

impl Record<'_> {
    /// Bytes of the key, the value and the headers: what a person calls the size of the record.
    pub fn payload_bytes(&self) -> usize {
        let header = |header: &Header<'_>| header.name.len() + header.value.map_or(0, <[u8]>::len);
        self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self.headers.iter().map(header).sum::<usize>()
    }

    /// Bytes of an uncompressed batch that holds this record alone, as the broker compares them with
    /// `max.message.bytes`: the batch header and the record in message format 2
    /// (`org.apache.kafka.common.record.DefaultRecordBatch.RECORD_BATCH_OVERHEAD`, `DefaultRecord.sizeInBytes`).
    pub fn batch_bytes(&self) -> u64 {
        const BATCH_HEADER: u64 = 61;
        let field = |bytes: Option<&[u8]>| match bytes {
            None => 1,
            Some(bytes) => varint_bytes(bytes.len() as u64) + bytes.len() as u64,
        };
        // attributes, timestamp delta 0 and offset delta 0 take a byte each
        let mut body = 3 + field(self.key) + field(self.value) + varint_bytes(self.headers.len() as u64);
        for header in self.headers {
            body += field(Some(header.name)) + field(header.value);
        }
        BATCH_HEADER + varint_bytes(body) + body
    }
}

/// Bytes of a non-negative number as a zigzag varint.
fn varint_bytes(number: u64) -> u64 {
    let zigzag = number << 1;
    u64::from((64 - zigzag.max(1).leading_zeros()).div_ceil(7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_takes_a_byte_for_each_seven_bits_of_its_zigzag() {
        for (number, bytes) in [(0, 1), (63, 1), (64, 2), (8191, 2), (8192, 3), (1_048_576, 4)] {
            assert_eq!(varint_bytes(number), bytes, "{number}");
        }
    }

    #[test]
    fn null_and_empty_take_the_space_they_take_on_the_wire() {
        let record =
            Record { offset: 0, leader_epoch: None, timestamp_ms: Some(0), key: None, value: Some(b""), headers: &[] };
        // 3 + null key 1 + empty value 1 + no headers 1 = 6, its length 1, the batch header 61
        assert_eq!(record.batch_bytes(), 68);
    }
}
