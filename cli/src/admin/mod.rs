//! The fleet's commands: one request to whichever controller leads, one answer to the person or the script.
//!
//! ```text
//! cluster, route, topic, …   what can be asked          client   finds the leader, asks again, knows what is unknown
//!          |                                              |
//!          +----------------> client ------ gRPC ------> controllers
//!          |
//!        print               rows and objects as a table or as JSON
//! ```
//!
//! Owns: nouns and verbs, the JSON that scripts rely on, texts and exit codes. Never does: decide or remember anything
//! about a fleet.

mod actor;
mod assignment;
mod attempt;
mod backup;
mod client;
#[cfg(test)]
mod client_test;
mod cluster;
mod controller;
mod event;
mod leading_flags;
mod print;
mod properties;
mod reason;
mod rebalance;
mod route;
#[cfg(test)]
mod rows_test;
mod search;
mod start;
mod status;
mod topic;
mod units;
mod worker;

use std::time::Duration;

use proto::v1::{ChangeReply, RequestContext};
use tonic::{Response, Status};

use crate::failure::Failure;
use crate::values::{duration, host_and_port};
use attempt::Admin;
use client::Client;
use print::Format;

pub use actor::host;
pub use assignment::AssignmentCommand;
pub use cluster::ClusterCommand;
pub use controller::ControllerCommand;
pub use event::EventCommand;
pub use leading_flags::behind_the_noun;
pub use rebalance::RebalanceCommand;
pub use route::RouteCommand;
pub use status::StatusCommand;
pub use topic::TopicCommand;
pub use worker::WorkerCommand;

/// Where controllers are, unless `--controllers` says so.
const CONTROLLERS_VARIABLE: &str = "REPLISOME_CONTROLLERS";
/// How long to try, unless `--timeout` says so: twice the longest election.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// What every command of a fleet takes.
#[derive(clap::Args, Clone, Debug)]
pub struct FleetArgs {
    /// Controllers of the fleet, any of them; the leader is found by itself [env: REPLISOME_CONTROLLERS]
    #[arg(long, global = true, value_name = "HOST:PORT,...", help_heading = HEADING, display_order = 1000)]
    controllers: Option<String>,

    /// How results are written; json is stable [default: table]
    #[arg(long, short, global = true, value_enum, value_name = "table|json", hide_possible_values = true,
          help_heading = HEADING, display_order = 1001)]
    output: Option<Format>,

    /// How long to look for the leader and wait for its answer [default: 10s]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, help_heading = HEADING,
          display_order = 1002)]
    timeout: Option<Duration>,
}

const HEADING: &str = "Fleet options";

impl FleetArgs {
    /// Whom to ask and how to answer.
    fn fleet(&self) -> Result<Fleet, Failure> {
        let (place, text) = match &self.controllers {
            Some(text) => ("--controllers", text.clone()),
            None => (CONTROLLERS_VARIABLE, std::env::var(CONTROLLERS_VARIABLE).unwrap_or_default()),
        };
        let mut controllers: Vec<String> = Vec::new();
        for address in text.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            let address = host_and_port(address).map_err(|_| {
                Failure::usage(format!("{place}: {address:?} is no address: give HOST:PORT, such as 127.0.0.1:7401"))
            })?;
            if !controllers.contains(&address) {
                controllers.push(address);
            }
        }
        if controllers.is_empty() {
            return Err(Failure::usage(format!(
                "which fleet? name its controllers with --controllers HOST:PORT,... or in {CONTROLLERS_VARIABLE}, such \
                 as 127.0.0.1:7401"
            )));
        }
        let client = Client::new(controllers, self.timeout.unwrap_or(TIMEOUT_DEFAULT));
        Ok(Fleet { client, format: self.format() })
    }

    fn format(&self) -> Format {
        self.output.unwrap_or(Format::Table)
    }

    /// Refuses these flags where they would say nothing. `key` is the one by which the verb's configuration file says
    /// what `--controllers` does, if there is one; the other flags have none.
    fn check_absent(&self, verb: &str, key: Option<&str>) -> Result<(), Failure> {
        let given = [
            ("--controllers", self.controllers.is_some()),
            ("--output", self.output.is_some()),
            ("--timeout", self.timeout.is_some()),
        ];
        let Some((flag, _)) = given.iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
        let remedy = match key.filter(|_| *flag == "--controllers") {
            Some(key) => format!("set the key {key} in its configuration file, or {CONTROLLERS_VARIABLE}"),
            None => "leave it out; it is for commands that ask a fleet".to_owned(),
        };
        Err(Failure::usage(format!("{verb} takes no {flag}: {remedy}")))
    }

    /// Runs one command.
    fn run(&self, work: impl AsyncFnOnce(Fleet) -> Result<(), Failure>) -> Result<(), Failure> {
        let fleet = self.fleet()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("can't start: {error}")))?;
        let outcome = runtime.block_on(work(fleet));
        // A name that is still being looked up must not keep the process.
        runtime.shutdown_background();
        outcome
    }
}

/// A fleet to ask, and the form of the answer.
struct Fleet {
    client: Client,
    format: Format,
}

impl Fleet {
    /// Asks for a change, then prints that it is `done`, or that it was so already: `exists`. `find_out` is the command
    /// that shows whether it was made.
    async fn change(
        &self,
        find_out: &str,
        done: &str,
        exists: &str,
        call: impl AsyncFn(Admin, RequestContext) -> Result<Response<ChangeReply>, Status>,
    ) -> Result<(), Failure> {
        let reply = self.client.change(find_out, call).await?;
        print::change(self.format, &reply, done, exists)
    }
}
