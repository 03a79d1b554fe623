//! What rdkafka's safe interface lacks, as small safe types over the C library: polls that tell topic, partition, offset
//! and leader epoch of everything, deliveries without a callback, offsets with leader epoch and metadata.
//!
//! Owns: every pointer into the C library, and each `unsafe` block of the whole tree, with its argument.
//! Never does: translate an error (see `librdkafka/errors.rs`), choose a setting, keep a partition's state.
//!
//! ```text
//!   client.rs      a C client and the queue its events come from; dropped in the right order
//!   event.rs       what a queue hands out: a record, an error, delivery reports, an answer
//!   fetched.rs     the record inside an event, borrowed
//!   reader.rs      a client and the record it lends, one at a time
//!   producer.rs    handles of target topics, producing, purging
//!   timestamp.rs   the one thing about a record that the C interface cannot say: timestamp 0
//!   partitions.rs  lists of partitions with offset, leader epoch, metadata and error
//!   group.rs       offsets of a group: read, read all, commit
//!   admin*.rs      questions and orders to a cluster, and their answers
//!   code.rs        error codes as plain numbers
//!   log.rs         the C library's log lines
//! ```
//!
//! Invariants: nothing borrowed from an event outlives it; every handle is destroyed before its client; an error code
//! that a newer broker invents is never read as one of the binding's `enum` values (that would be undefined).
#![allow(unsafe_code)]

pub mod admin;
pub mod admin_configs;
pub mod admin_groups;
pub mod admin_reads;
pub mod admin_topics;
pub mod client;
pub mod code;
pub mod event;
pub mod fetched;
pub mod group;
mod log;
pub mod partitions;
pub mod producer;
pub mod reader;
mod timestamp;
