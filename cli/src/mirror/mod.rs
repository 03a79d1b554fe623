//! `replisome mirror`: MirrorMaker 1's command. The same leader and the same worker as in a fleet, in one process, over
//! an in-process connection; all that must be remembered is in Kafka.
//!
//! ```text
//! args, config, whitelist   what the user wants          (no broker needed)
//!        |
//!    preflight              what is there                (both clusters, the group, room at the target)
//!        |
//!       run                 leader + worker              (controller, worker)
//!        |
//!      watch                go on, done, or stop         (pure)  -- progress, summary: telling
//! ```
//!
//! Owns: MirrorMaker's surface, and when a mirror is over. Never does: place, claim, copy or store by itself.

mod args;
mod config;
mod java_regex;
mod metric_names;
mod peer;
mod preflight;
mod process;
mod progress;
mod run;
mod same_cluster;
mod summary;
mod tally;
mod watch;
mod whitelist;

pub use args::MirrorArgs;
pub use run::run;
