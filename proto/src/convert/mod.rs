//! Messages to `common`'s types and back. What is missing or wrong in a message is named.

mod fleet;
mod malformed;
mod table;
mod types;

#[cfg(test)]
mod convert_test;

pub use malformed::Malformed;
