//! Helpers for the tests that need real processes: Kafka brokers, MirrorMaker 1 and the `replisome` binary.
//!
//! Owns: starting, stopping and measuring those processes, alone or as a whole fleet, filling topics, and an
//! *independent* judgement of what arrived. Never uses the project's own Kafka code: a checker that shares code with what
//! it checks proves nothing.
//!
//! Flow of a test: take the shared clusters (or start a private one), fill a topic with `produce`, start the binary
//! with `process`, wait with `wait`, read both sides with `contents` and compare.
//!
//! Invariants: every wait has a deadline and a name; every child dies with the test process; scratch directories are
//! removed, except for the logs of a run in which something panicked, which land in `tests/logs/`.

pub mod admin;
pub mod arrivals;
pub mod child;
pub mod compare;
pub mod contents;
pub mod fleet;
pub mod flow;
pub mod jars;
pub mod kafka_cluster;
pub mod kafka_tools;
pub mod load;
pub mod mirror;
pub mod mirror_maker;
pub mod ports;
pub mod probe;
pub mod process;
pub mod produce;
pub mod random;
pub mod raw_produce;
pub mod scratch;
pub mod wait;
