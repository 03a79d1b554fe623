//! A Kafka cluster in memory, behind the same traits as the real one, for tests and simulation.
//!
//! ```text
//! MemoryClients --name--> MemoryCluster (a handle; the test holds one too, to arrange and to look)
//!   |                          |
//!   source, sink, offsets,     state: topics of logs, groups, denials, one dice
//!   admin: one lock per call
//! ```
//!
//! Owns: the contracts of the traits as librdkafka on a real cluster keeps them, its surprises included. A topic that
//! is deleted and created again longer is read on in silence at the old offset; records that fail for good leave
//! unacknowledged writes behind.
//! Never does: read a clock, start a thread, wait, or draw a number from anywhere but a seed: the same calls in the
//! same order always have the same results.

mod admin;
mod clients;
mod cluster;
mod faults;
mod headers;
mod log;
mod offsets;
mod sink;
mod source;
mod state;

#[cfg(test)]
mod admin_test;
#[cfg(test)]
mod sink_test;
#[cfg(test)]
mod source_test;

pub use admin::MemoryAdmin;
pub use clients::MemoryClients;
pub use cluster::MemoryCluster;
pub use faults::{CommitFault, Faults};
pub use log::StoredRecord;
pub use offsets::MemoryOffsets;
pub use sink::MemorySink;
pub use source::MemorySource;
