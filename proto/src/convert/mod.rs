//! Messages to `common`'s types and back. What is missing or wrong in a message is named.
pub use malformed::Malformed;
mod malformed;
