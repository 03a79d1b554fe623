//! `replisome controller …`: the controllers of a fleet, and running one.

use clap::Subcommand;
use proto::v1::{Controller, ListControllersRequest};
use serde::Serialize;

use super::print::{self, Row};
use super::{Admin, Fleet, FleetArgs, units};
use crate::controller::RunArgs;
use crate::failure::Failure;

/// Controllers: run one, list them
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
}

impl ControllerCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Run(args) => {
                self.fleet.check_absent("controller run")?;
                crate::controller::run(&args)
            }
            Verb::List => self.fleet.run(list),
        }
    }
}

/// A controller as scripts read it.
#[derive(Serialize)]
pub struct ControllerRow {
    id: u64,
    address: String,
    role: String,
    term: u64,
    applied: u64,
    version: Option<String>,
}

impl From<Controller> for ControllerRow {
    fn from(controller: Controller) -> Self {
        Self {
            id: controller.id,
            address: controller.address,
            role: controller.role,
            term: controller.term,
            applied: controller.applied,
            version: units::given(controller.version),
        }
    }
}

impl Row for ControllerRow {
    const COLUMNS: &'static [&'static str] = &["ID>", "ADDRESS", "ROLE", "TERM>", "APPLIED>", "VERSION"];

    fn cells(&self) -> Vec<String> {
        // One that does not answer has told nothing.
        let told = |number: u64| if self.role == UNREACHABLE { units::text("") } else { number.to_string() };
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
    let reply = fleet.client.survey(call, |reply| leader(&reply.controllers).is_some(), |_| None).await?;
    let rows: Vec<_> = reply.controllers.into_iter().map(ControllerRow::from).collect();
    print::list(fleet.format, &rows, "no controllers are known yet: the fleet has not begun");
    Ok(())
}
