//! Two embedded clusters, with the article's topic on both: filled on the source, empty on the target.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka::librdkafka::mock::{EmbeddedCluster, PlainReader, PlainRecord};

use crate::failure::Failure;

/// The topic.
pub const TOPIC: &str = "test";
/// Its partitions.
pub const PARTITIONS: u32 = 4;
/// Records in all. An embedded broker keeps 5 MiB a partition, repeated records included.
pub const RECORDS: u64 = 150_000;
/// Bytes of each record's value.
pub const RECORD_BYTES: usize = 100;
/// The consumer group of the mirror.
pub const GROUP: &str = "demo";

/// Records of one batch on the source. An embedded broker serves one batch of a partition at a time, so that the size of
/// a batch and the delay of an answer set the pace: slow enough to be killed half-way, fast enough to be watched.
const BATCH_RECORDS: u32 = 50;
const ANSWER_DELAY: Duration = Duration::from_millis(5);

/// Both clusters.
pub struct Scene {
    /// Where the records are.
    pub source: EmbeddedCluster,
    /// Where they shall be.
    pub target: EmbeddedCluster,
    /// Reads the source, and the offsets the mirror stores there.
    pub source_reader: PlainReader,
    /// Reads the target.
    pub target_reader: PlainReader,
}

impl Scene {
    /// Starts both clusters and fills the source.
    pub fn build() -> Result<Self, Failure> {
        let (source, target) = (EmbeddedCluster::start()?, EmbeddedCluster::start()?);
        for cluster in [&source, &target] {
            cluster.create_topic(TOPIC, PARTITIONS)?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first_ms = i64::try_from(now.as_millis()).unwrap_or(0) - i64::try_from(RECORDS).unwrap_or(0);
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        source.fill(TOPIC, RECORDS, BATCH_RECORDS, |index, send| {
            let key = format!("key-{index}");
            let value = value(index, &mut random);
            let partition = u32::try_from(index % u64::from(PARTITIONS)).unwrap_or(0);
            let timestamp_ms = first_ms + i64::try_from(index).unwrap_or(0);
            send(PlainRecord { partition, timestamp_ms, key: key.as_bytes(), value: &value })
        })?;
        let (source_reader, target_reader) = (source.reader(GROUP)?, target.reader(GROUP)?);
        let scene = Self { source, target, source_reader, target_reader };
        let filled: u64 = counts(&scene.source_reader)?.iter().sum();
        if filled != RECORDS {
            return Err(Failure::failed(format!("the embedded source took {filled} of {RECORDS} records")));
        }
        scene.source.delay_answers(ANSWER_DELAY)?;
        Ok(scene)
    }

    /// Records of each partition at the target.
    pub fn copied(&self) -> Result<Vec<u64>, Failure> {
        counts(&self.target_reader)
    }

    /// The offset that the mirror stored for each partition; 0 for none.
    pub fn stored(&self) -> Result<Vec<u64>, Failure> {
        (0..PARTITIONS)
            .map(|partition| {
                let stored = self.source_reader.stored_offset(TOPIC, partition)?;
                Ok(stored.and_then(|offset| u64::try_from(offset).ok()).unwrap_or(0))
            })
            .collect()
    }
}

/// Records of each partition, of a cluster that deletes nothing.
fn counts(reader: &PlainReader) -> Result<Vec<u64>, Failure> {
    (0..PARTITIONS)
        .map(|partition| {
            let (start, end) = reader.ends(TOPIC, partition)?;
            if start > 0 {
                let text = format!("an embedded broker dropped {start} records of {TOPIC}/{partition}: too many came");
                return Err(Failure::failed(text));
            }
            Ok(u64::try_from(end).unwrap_or(0))
        })
        .collect()
}

/// A value that no other record has: its number, then noise.
fn value(index: u64, random: &mut u64) -> Vec<u8> {
    let mut value = format!("record {index} ").into_bytes();
    while value.len() < RECORD_BYTES {
        // xorshift: noise enough that compression does not shrink a record to nothing
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        value.push(b' ' + u8::try_from(*random % 95).unwrap_or(0));
    }
    value
}

impl From<kafka::error::Error> for Failure {
    fn from(error: kafka::error::Error) -> Self {
        Self::failed(error)
    }
}
