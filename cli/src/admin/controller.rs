//! `replisome controller …`: the controllers of a fleet, and running one.

use std::path::PathBuf;

use clap::Subcommand;
use proto::v1::{
    AddControllerRequest, Controller, ControllerChangeReply, ListControllersRequest, RemoveControllerRequest,
    RequestContext,
};
use serde::Serialize;
use tonic::{Response, Status};

use super::backup::backup;
use super::print::{self, Row};
use super::{Admin, Fleet, FleetArgs, units};
use crate::controller::{RepairArgs, RestoreArgs, RunArgs};
use crate::failure::Failure;
use crate::output;
use crate::values::host_and_port;

/// Controllers: run one, list, add, remove, backup, restore, repair
#[derive(clap::Args)]
pub struct ControllerCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a controller
    Run(RunArgs),
    /// List all controllers and which one leads; any of them can tell, without a leader too
    #[command(visible_alias = "ls")]
    List,
    /// Take a controller into the fleet: a learner first, with a vote once it has caught up
    #[command(
        after_help = "Start it first, with an empty data directory and no initial-members in its configuration: it \
        waits then. What it is to know of the fleet comes with the log.\n\n  replisome controller add 4 --address \
        10.0.0.4:7401"
    )]
    Add {
        /// Its node-id
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
        /// Where others reach it: its key advertise
        #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
        address: String,
    },
    /// Take a controller out of the fleet, dead or alive, the leading one too
    #[command(visible_alias = "rm")]
    Remove {
        /// Its node-id
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Save what the fleet knows (its table) in a file; secrets are in it as references only
    #[command(
        after_help = "An older backup of that name is replaced; any other file is not, nor a pipe, a device, a link or a \
        directory. Without a leader it is the newest table that any of the named controllers has, with a note.\n\n  \
        replisome controller backup fleet.backup"
    )]
    Backup {
        /// The file
        file: PathBuf,
    },
    /// Make a controller's data directory from a backup, to go on from after a majority of controllers is lost
    Restore(RestoreArgs),
    /// Look into the data directory of a controller that does not start, and move aside what keeps its log from opening
    Repair(RepairArgs),
}

impl ControllerCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Run(args) => {
                self.fleet.check_absent("controller run", None)?;
                crate::controller::run(&args)
            }
            Verb::List => self.fleet.run(list),
            Verb::Add { id, address } => self.fleet.run(async |fleet| add(fleet, id, &address).await),
            Verb::Remove { id } => self.fleet.run(async |fleet| remove(fleet, id).await),
            Verb::Backup { file } => self.fleet.run(async |fleet| backup(fleet, &file).await),
            Verb::Restore(args) => {
                self.fleet.check_absent("controller restore", None)?;
                crate::controller::restore(&args)
            }
            Verb::Repair(args) => {
                self.fleet.check_absent("controller repair", None)?;
                crate::controller::repair(&args)
            }
        }
    }
}

/// A controller as scripts read it.
#[derive(Serialize)]
pub struct ControllerRow {
    id: u64,
    address: String,
    role: String,
    term: Option<u64>,
    applied: Option<u64>,
    version: Option<String>,
    votes: bool,
    warning: Option<String>,
    trouble: Option<String>,
}

impl From<Controller> for ControllerRow {
    fn from(controller: Controller) -> Self {
        // One that does not answer has told nothing.
        let told = |number: u64| (controller.role != UNREACHABLE).then_some(number);
        Self {
            term: told(controller.term),
            applied: told(controller.applied),
            id: controller.id,
            address: controller.address,
            role: controller.role,
            version: units::given(controller.version),
            votes: controller.votes,
            warning: units::given(controller.warning),
            trouble: units::given(controller.trouble),
        }
    }
}

impl Row for ControllerRow {
    const COLUMNS: &'static [&'static str] = &["ID>", "ADDRESS", "ROLE", "TERM>", "APPLIED>", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let told = |number: Option<u64>| units::text(&number.map(|number| number.to_string()).unwrap_or_default());
        vec![
            self.id.to_string(),
            self.address.clone(),
            self.role.clone(),
            told(self.term),
            told(self.applied),
            units::text(self.version.as_deref().unwrap_or_default()),
        ]
    }
}

const UNREACHABLE: &str = "unreachable";

/// Where the leader is, if one is among them.
pub fn leader(controllers: &[Controller]) -> Option<String> {
    controllers.iter().find(|controller| controller.role == "leader").map(|leader| leader.address.clone())
}

async fn list(fleet: Fleet) -> Result<(), Failure> {
    let call = async |mut admin: Admin| admin.list_controllers(ListControllersRequest {}).await;
    // One that knows a leader knows more.
    let reply = fleet.client.survey(call, |reply| leader(&reply.controllers).is_some(), |_| 0, |_| None).await?;
    let rows: Vec<_> = reply.controllers.into_iter().map(ControllerRow::from).collect();
    print::list(fleet.format, &rows, "no controllers are known yet: the fleet has not begun")
}

async fn add(fleet: Fleet, id: u64, address: &str) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.add_controller(AddControllerRequest { context: Some(context), id, address: address.to_owned() }).await
    };
    let exists = format!("controller {id} at {address} is in the fleet already; nothing was changed");
    change(&fleet, call, &format!("controller {id} at {address} added"), &exists).await
}

async fn remove(fleet: Fleet, id: u64) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.remove_controller(RemoveControllerRequest { context: Some(context), id }).await
    };
    let gone = format!("controller {id} was removed before");
    change(&fleet, call, &format!("controller {id} removed: stop it"), &gone).await
}

async fn change(
    fleet: &Fleet,
    call: impl AsyncFn(Admin, RequestContext) -> Result<Response<ControllerChangeReply>, Status>,
    done: &str,
    exists: &str,
) -> Result<(), Failure> {
    let reply = fleet.client.change_by_steps("replisome controller list", call, |text| output::note(text)).await?;
    print::change(fleet.format, &reply, done, exists)
}
