//! `replisome controller restore`: a data directory made from a backup.

use std::fs;
use std::path::PathBuf;

use ::controller::raft::{self, Backup, BackupOf};

use super::{raft_settings, untouched};
use crate::config_file::ControllerFile;
use crate::failure::Failure;
use crate::output;

/// The flags of `controller restore`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Offline: the controller must not run, and its data-dir must be empty. It makes a fleet of this one \
controller, of the same fleet id; add the others then, each with an empty data directory. What was decided after the \
backup was made is lost; workers register anew. Stop the lost fleet's controllers for good first."
)]
pub struct RestoreArgs {
    /// The configuration of the controller that goes on, such as controller.toml; not needed if the environment gives all
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// The backup
    file: PathBuf,
}

/// Makes the data directory.
pub fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let config = ControllerFile::load(args.config.as_deref(), true)?;
    let name = args.file.display();
    let bytes = fs::read(&args.file).map_err(|error| Failure::usage(format!("{name}: can't be read: {error}")))?;
    let backup = Backup::from_bytes(&bytes).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let settings = raft_settings(&config);
    let BackupOf { fleet, revision, .. } = raft::restore(&settings, backup).map_err(|error| untouched(&error))?;
    let (dir, node) = (settings.dir.display(), settings.node);
    let told = output::result(format!("fleet {fleet} restored to {dir} as of revision {revision}"));
    output::note(format!(
        "note: controller {node} decides alone now. Start it, then add the others, each with an empty data directory: \
         replisome controller add ID --address HOST:PORT"
    ));
    told
}
