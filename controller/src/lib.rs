//! The controller: who copies what. It owns the replicated table and the decisions about it, never a record.
//!
//! ```text
//!             Kafka facts        operators' commands        workers' inventories
//!                  \                    |                        /
//!   leader/         topics  ->  CommandLog.propose  <-  sessions, reconcile
//!                                       |                   ^
//!   state/ (pure)               State::apply                | moves
//!                                       |                   |
//!   planner/ (pure)                     +--->  plan(&PlanInput) -> Plan
//!                                       |
//!   leader/                            push  ->  one whole snapshot to each worker that changed
//! ```
//!
//! `state` and `planner` are islands: values in, values out; no clock, no randomness, no I/O, no async, ordered maps
//! only. So every controller that applies the same commands has the same table, and a plan can be asserted as text.
//! `leader` is the only part that acts, and exists only while leading.

pub mod api;
pub mod leader;
pub mod metrics;
pub mod node;
pub mod planner;
pub mod raft;
#[cfg(test)]
mod seeded_test;
pub mod state;
