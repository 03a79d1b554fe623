//! Sessions of workers: who is there, who is lost.
//!
//! ```text
//!  Net --accept--> serve: Hello -> RegisterSession -> inventories, progress, heartbeats --> board (memory)
//!                    |                                                                        |
//!                    | stream ends: deadline = now + grace        leases: deadline passed -> ExpireSession + moves
//! ```
//!
//! A worker that was killed and started again gets its own partitions back at once: its new session replaces the one
//! without a connection, a few times a minute (`quick_returns`). One that says that it leaves is not waited for.
//!
//! Heartbeats, inventories and progress stay in the leader's memory; only a session's coming and going is replicated.
//! Many that are lost at once keep what they have for a while (`brake`): they are more likely out of sight than dead.
//! A new leader gives every session of the table a full lease, but once most have come to it the others are lost at once
//! (`found`). A leader whose own tick comes late (it was stopped or starved) puts all deadlines off by as much: it can't
//! tell the workers' silence from its own.

pub(crate) mod board;
mod brake;
mod found;
pub(crate) mod leases;
mod leave;
pub(crate) mod quick_returns;
mod reports;
pub(crate) mod serve;
pub(crate) mod strangers;
