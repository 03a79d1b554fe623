//! The wire: `replisome.v1`, and how it maps to what the rest of the project speaks of.
//!
//! ```text
//! proto/replisome/v1/*.proto --build.rs (protox, tonic)--> v1::*  <--convert/--> common::*
//! ```
//!
//! Owns: the messages, the services, the checks that a message is whole, the channels they travel by. Never does: decide anything, or keep state.
//! A message from outside becomes one of `common`'s types here or is refused with the field's name.

mod codec;
mod convert;
pub mod parts;
pub mod wire;

pub use convert::Malformed;

/// The generated messages and services.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("replisome.v1");
}

/// What the reflection service shows.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/replisome.bin"));

/// The metadata key by which a controller that does not lead names the one that does.
pub const LEADER_METADATA: &str = "replisome-leader";

/// The leader that a controller's answer names, if it names one.
pub fn leader_of(metadata: &tonic::metadata::MetadataMap) -> Option<String> {
    let leader = metadata.get(LEADER_METADATA)?.to_str().ok()?;
    (!leader.is_empty()).then(|| leader.to_owned())
}

/// The greatest message that is sent or taken: a page of rows, an entry of the log or a part of a snapshot of it.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
