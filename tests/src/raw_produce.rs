//! One record batch, byte for byte, over a plain socket. Owns what no client library can write: timestamps 0 and −1 (no
//! timestamp), beside any others in one batch. Never compresses, never retries.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PRODUCE: i16 = 0;
/// The oldest version that Kafka 4 speaks, without the later flexible encoding.
const PRODUCE_VERSION: i16 = 3;
const NULL: i16 = -1;

/// A record as it is written; without headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Milliseconds; −1 is no timestamp.
    pub timestamp: i64,
    /// Null or bytes.
    pub key: Option<Vec<u8>>,
    /// Null or bytes.
    pub value: Option<Vec<u8>>,
}

/// Writes the records as one batch.
///
/// # Panics
/// When the broker refuses it.
pub fn send(bootstrap: &str, topic: &str, partition: i32, records: &[RawRecord]) {
    let mut body = Vec::new();
    body.extend(NULL.to_be_bytes()); // transactional id
    body.extend((-1_i16).to_be_bytes()); // acks=all
    body.extend(30_000_i32.to_be_bytes()); // time-out
    body.extend(1_i32.to_be_bytes());
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(partition.to_be_bytes());
    let batch = batch(records);
    body.extend(i32::try_from(batch.len()).expect("a small batch").to_be_bytes());
    body.extend(batch);
    let answer = request(bootstrap, &body);
    // correlation id, one topic with its name, one partition, its number; then the error
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let error = i16::from_be_bytes(answer[at..at + 2].try_into().expect("an error code"));
    assert_eq!(error, 0, "the broker's answer to a raw batch for {topic}-{partition}: {answer:02x?}");
}

fn request(bootstrap: &str, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(PRODUCE.to_be_bytes());
    message.extend(PRODUCE_VERSION.to_be_bytes());
    message.extend(1_i32.to_be_bytes()); // correlation id
    string(&mut message, "raw");
    message.extend(body);
    let mut socket = TcpStream::connect(bootstrap).expect("connect to the broker");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("bound the wait");
    socket.write_all(&i32::try_from(message.len()).expect("a small request").to_be_bytes()).expect("send the size");
    socket.write_all(&message).expect("send the request");
    let mut len = [0; 4];
    socket.read_exact(&mut len).expect("the broker answers");
    let mut answer = vec![0; u32::from_be_bytes(len) as usize];
    socket.read_exact(&mut answer).expect("the broker's whole answer");
    answer
}

/// A batch of message format 2.
fn batch(records: &[RawRecord]) -> Vec<u8> {
    let first = records.first().expect("a batch holds a record").timestamp;
    let max = records.iter().map(|record| record.timestamp).max().unwrap_or(first);
    let count = i32::try_from(records.len()).expect("a small batch");
    let mut covered = Vec::new(); // by the checksum
    covered.extend(0_i16.to_be_bytes()); // attributes: not compressed, CreateTime
    covered.extend((count - 1).to_be_bytes());
    covered.extend(first.to_be_bytes());
    covered.extend(max.to_be_bytes());
    covered.extend((-1_i64).to_be_bytes()); // producer id
    covered.extend((-1_i16).to_be_bytes()); // producer epoch
    covered.extend((-1_i32).to_be_bytes()); // sequence
    covered.extend(count.to_be_bytes());
    for (index, record) in records.iter().enumerate() {
        let mut one = vec![0]; // attributes
        varint(&mut one, record.timestamp - first);
        varint(&mut one, index as i64);
        for field in [&record.key, &record.value] {
            varint(&mut one, field.as_ref().map_or(-1, |bytes| bytes.len() as i64));
            one.extend(field.iter().flatten());
        }
        varint(&mut one, 0); // headers
        varint(&mut covered, one.len() as i64);
        covered.extend(one);
    }
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // base offset
    batch.extend(i32::try_from(covered.len() + 9).expect("a small batch").to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // leader epoch
    batch.push(2); // message format
    batch.extend(crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!((crc32c(&[0; 32]), crc32c(&[0xFF; 32])), (0x8A91_36AA, 0x62A8_AB43));
    }

    #[test]
    fn numbers_are_written_in_zigzag() {
        for (number, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (-64, vec![0x7F]), (64, vec![0x80, 1])] {
            let mut written = Vec::new();
            varint(&mut written, number);
            assert_eq!(written, bytes, "{number}");
        }
    }
}
