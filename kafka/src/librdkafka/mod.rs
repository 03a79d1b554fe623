//! The real client: the traits of this crate over librdkafka 2.12.1.
//!
//! Owns: the settings that correctness depends on (`clients`), what an error code means (`errors`), which slot a record
//! or an error belongs to (`source`), what is outstanding at the target (`sink`).
//! Never does: hold a C pointer (`ffi/` does), retry on its own account, decide about a partition.
//!
//! ```text
//!   ClusterConfig ── properties ── clients ──┬─ source    one consumer's queue  ─► Polled
//!                                            ├─ sink      produce ─► queue ─► Delivery
//!                                            ├─ offsets   a group's offsets, request and answer
//!                                            └─ admin     questions and orders to the cluster
//! ```
//!
//! Facts of the C library that this relies on, with their places in its source: `docs/design/librdkafka.md`.

mod admin;
mod admin_offsets;
mod clients;
mod errors;
pub mod mock;
mod offsets;
mod sink;
mod source;
mod topics;

pub use admin::LibrdkafkaAdmin;
pub use clients::LibrdkafkaClients;
pub use offsets::LibrdkafkaOffsets;
pub use sink::LibrdkafkaSink;
pub use source::LibrdkafkaSource;
