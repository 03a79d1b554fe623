//! `replisome controller repair`: a data directory that does not open.

use std::path::PathBuf;

use ::controller::raft::{self, Aside, Repaired};

use super::{raft_settings, untouched};
use crate::config_file::ControllerFile;
use crate::failure::Failure;
use crate::output;

/// The flags of `controller repair`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Offline: it refuses while the controller runs. Files that keep the log from opening and hold nothing of \
their own are moved into data-dir/aside-N; nothing is deleted, and a log that is damaged otherwise is left as it was."
)]
pub struct RepairArgs {
    /// The controller's configuration, such as controller.toml; not needed if the environment gives all
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Says what is found and what was done about it.
pub fn repair(args: &RepairArgs) -> Result<(), Failure> {
    let settings = raft_settings(&ControllerFile::load(args.config.as_deref(), true)?);
    let Repaired { aside, entries, term } =
        raft::repair(&settings.dir, settings.node).map_err(|error| untouched(&error))?;
    let dir = settings.dir.display();
    let log = match (entries, term) {
        (_, None) => "an empty log".to_owned(),
        (None, Some(term)) => format!("no entries behind its snapshot, and a vote of term {term}"),
        (Some((first, last)), Some(term)) => format!("entries {first} to {last}, and a vote of term {term}"),
    };
    match aside {
        None => output::result(format!("{dir} is whole: {log}; nothing was done")),
        Some(Aside { what, dir: aside, files }) => {
            output::result(format!("the log in {dir} did not open: {what}"))?;
            output::result(format!("moved to {}: {}", aside.display(), files.join(", ")))?;
            output::result(format!("it opens without, and is whole: {log}. Start the controller"))
        }
    }
}
