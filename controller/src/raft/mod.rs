//! The replicated log: the only place that knows openraft and sled.
//!
//! Owns the data directory, the votes, the log and the table made from it. Never decides what a command means (`state/`
//! does) nor what is to be done (`leader/` does).
//!
//! ```text
//! CommandLog::propose ─> proposer ─ batch ─> openraft ─ entry ─> log_store ─> disk ─> medium (sled, fsync)
//!                                              │  ^                   peers <─ network ── service <─ peers
//!                                    committed │  └─ Vec<Result<Outcome, Rejection>>
//!                                              v
//!                                      state_machine ─> table (State, in memory) ─> snapshot_file
//! ```
//!
//! # Invariants
//!
//! 1. A vote, an entry or a purge is acknowledged only after an `fsync` of the file it stands in.
//! 2. A data directory is one *store*, with an id of its own, recorded in the membership. Requests name both stores; a
//!    receiver that is another store, or knows the sender as another one, answers `wrong store`. So a node that lost its
//!    directory can neither vote nor acknowledge under the id it had.
//! 3. Only the lowest initial member founds the fleet, once every initial member answered that it is empty. Others come
//!    with an empty directory, as learners first. A directory that was removed never comes back.
//! 4. The log is never purged beyond what the snapshot file holds.
//! 5. Every stored value begins with the version of its form.

mod backup;
#[cfg(test)]
mod backup_test;
mod belonging;
mod bound;
#[cfg(test)]
mod bound_test;
mod checksum;
#[cfg(test)]
mod damage_test;
mod data_dir;
mod disk;
mod durable_file;
mod founding;
mod heard;
mod log_store;
mod medium;
mod member_steps;
mod members;
#[cfg(test)]
mod members_test;
mod network;
mod node;
#[cfg(test)]
mod node_test;
mod proposer;
mod repair;
#[cfg(test)]
mod repair_test;
mod restore;
mod service;
mod settings;
mod sled_dir;
mod snapshot_file;
mod standing;
mod standing_watch;
mod state_machine;
mod store_id;
#[cfg(test)]
mod store_test;
mod sync_times;
mod table;
mod types;
mod watched;
mod witness;

pub use backup::{Backup, BackupError, BackupOf};
pub use medium::{Medium, Pair, Pairs, Tree};
pub use member_steps::{MemberStep, Refused};
pub use node::RaftNode;
pub use repair::{Aside, Repaired, repair};
pub use restore::restore;
pub use service::PeerService;
pub use settings::{OpenError, RaftSettings, RaftTuning};
pub use standing::{ControllerView, Standing};
