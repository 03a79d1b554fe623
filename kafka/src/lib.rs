//! All that Replisome wants of Kafka, as traits without a trace of a client library, and the rooms that fulfil them.
//!
//! ```text
//!            traits: Source  Sink  OffsetStore  ClusterAdmin   (made by Clients)
//!              |                                   |
//!   librdkafka/  safe Rust over rdkafka       memory/  a cluster in memory, for tests
//!        |
//!      ffi/      the only unsafe code: what rdkafka's safe API lacks
//! ```
//!
//! Owns: client properties (which are allowed, how Java's names translate), settings that correctness depends on.
//! Never does: decide what is copied, where a partition starts, or what an error means for a partition.

pub mod admin;
pub mod clients;
pub mod error;
#[cfg(feature = "librdkafka")]
mod ffi;
#[cfg(feature = "librdkafka")]
pub mod librdkafka;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod offsets;
pub mod properties;
pub mod record;
pub mod same_cluster;
pub mod sink;
pub mod source;
