//! `replisome controller run`, and what is done to a controller's data directory while it does not run.
//!
//! ```text
//! run      config_file -> port for metrics -> controller::node::run -- signal --> it stops leading, serves what is under
//!                                                                                 way, ends
//! restore  config_file, backup -> controller::raft::restore -> a data directory
//! repair   config_file -> controller::raft::repair -> what was found and done
//! ```
//!
//! Owns: nothing but the start and the end. Never does: anything a controller does.

mod repair;
mod restore;
mod run;

use ::controller::raft::{OpenError, RaftSettings};

use crate::config_file::ControllerFile;
use crate::failure::Failure;

pub use repair::{RepairArgs, repair};
pub use restore::{RestoreArgs, restore};
pub use run::{RunArgs, run};

/// What the log is told by the file.
fn raft_settings(file: &ControllerFile) -> RaftSettings {
    RaftSettings {
        node: file.node_id,
        dir: file.data_dir.clone(),
        advertise: file.advertise.clone(),
        initial_members: file.initial_members.clone(),
    }
}

/// Why nothing was done to a data directory.
fn untouched(error: &OpenError) -> Failure {
    match error {
        OpenError::Settings(_) => Failure::usage(error),
        OpenError::InUse { .. } | OpenError::Refused { .. } => Failure::conflict(error),
        OpenError::Damaged { .. } | OpenError::Io { .. } | OpenError::NotMade { .. } | OpenError::Log { .. } => {
            Failure::failed(error)
        }
    }
}
