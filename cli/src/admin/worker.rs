//! `replisome worker …`: the workers of a fleet, and running one.

use clap::Subcommand;
use common::ids::{PoolName, WorkerId};
use proto::v1::{
    DrainWorkerRequest, ListAssignmentsRequest, ListWorkersRequest, ReleaseHoldRequest, RemoveWorkerRequest,
    UndrainWorkerRequest, Worker,
};
use serde::Serialize;

use super::assignment::{AssignmentRow, assignments};
use super::print::{self, Row};
use super::{Admin, Fleet, FleetArgs, units};
use crate::failure::Failure;
use crate::worker::RunArgs;

/// Workers: run one, list, describe, drain, undrain, remove, give missing ones up
#[derive(clap::Args)]
pub struct WorkerCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a worker
    Run(RunArgs),
    /// List all workers
    #[command(visible_alias = "ls")]
    List,
    /// Show one worker and what it copies
    Describe {
        /// Its id
        id: WorkerId,
    },
    /// Take everything from a worker and give it nothing more, over its restarts too
    Drain {
        /// Its id
        id: WorkerId,
    },
    /// Let a drained worker work again
    Undrain {
        /// Its id
        id: WorkerId,
    },
    /// Forget a worker that is not there, with its drain and the pins to it
    Remove {
        /// Its id
        id: WorkerId,
    },
    /// Give up the workers that are missing since many were lost at once: what they have moves now
    ReleaseHold {
        /// Those of this pool, and not of all
        #[arg(long, value_name = "POOL")]
        pool: Option<PoolName>,
    },
}

impl WorkerCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Run(args) => {
                self.fleet.check_absent("worker run", Some("controllers"))?;
                crate::worker::run(&args)
            }
            Verb::List => self.fleet.run(list),
            Verb::Describe { id } => self.fleet.run(async |fleet| describe(fleet, &id).await),
            Verb::Drain { id } => self.fleet.run(async |fleet| drain(fleet, &id).await),
            Verb::Undrain { id } => self.fleet.run(async |fleet| undrain(fleet, &id).await),
            Verb::Remove { id } => self.fleet.run(async |fleet| remove(fleet, &id).await),
            Verb::ReleaseHold { pool } => self.fleet.run(async |fleet| release_hold(fleet, pool).await),
        }
    }
}

/// A worker as scripts read it.
#[derive(Serialize)]
pub struct WorkerRow {
    id: String,
    session: Option<String>,
    state: String,
    address: Option<String>,
    partitions: u32,
    version: Option<String>,
    rss_bytes: Option<u64>,
    weight: Option<u32>,
    pool: String,
    bytes_per_second: Option<u64>,
}

impl From<Worker> for WorkerRow {
    fn from(worker: Worker) -> Self {
        Self {
            id: worker.id,
            session: units::given(worker.session),
            state: worker.state,
            address: units::given(worker.address),
            partitions: worker.partitions,
            version: units::given(worker.version),
            rss_bytes: Some(worker.rss_bytes).filter(|bytes| *bytes > 0),
            weight: Some(worker.weight).filter(|weight| *weight > 0),
            pool: worker.pool,
            bytes_per_second: worker.bytes_per_second,
        }
    }
}

impl Row for WorkerRow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "STATE", "POOL", "PARTITIONS>", "WEIGHT>", "LOAD>", "MEMORY>", "ADDRESS", "VERSION", "SESSION"];

    fn cells(&self) -> Vec<String> {
        let known = |text: &Option<String>| units::text(text.as_deref().unwrap_or_default());
        vec![
            self.id.clone(),
            self.state.clone(),
            self.pool.clone(),
            self.partitions.to_string(),
            units::count(self.weight.map(u64::from)),
            units::rate(self.bytes_per_second),
            units::bytes(self.rss_bytes),
            known(&self.address),
            known(&self.version),
            known(&self.session),
        ]
    }
}

/// A worker with what it has.
#[derive(Serialize)]
struct WorkerDetails {
    #[serde(flatten)]
    worker: WorkerRow,
    assignments: Vec<AssignmentRow>,
}

async fn workers(fleet: &Fleet, id: &str) -> Result<Vec<WorkerRow>, Failure> {
    let request = ListWorkersRequest { id: id.to_owned() };
    let reply = fleet.client.read(async |mut admin| admin.list_workers(request.clone()).await).await?;
    Ok(reply.workers.into_iter().map(WorkerRow::from).collect())
}

async fn list(fleet: Fleet) -> Result<(), Failure> {
    let rows = workers(&fleet, "").await?;
    print::list(fleet.format, &rows, "no workers; start one with: replisome worker run --config worker.toml")
}

async fn describe(fleet: Fleet, id: &WorkerId) -> Result<(), Failure> {
    let worker = print::only(workers(&fleet, id.as_str()).await?, &format!("worker {id}"))?;
    let request = ListAssignmentsRequest { worker: id.to_string(), ..Default::default() };
    let details = WorkerDetails { worker, assignments: assignments(&fleet, request).await? };
    print::object(fleet.format, &details, || {
        let WorkerDetails { worker, assignments } = &details;
        let known = |text: &Option<String>| units::text(text.as_deref().unwrap_or_default());
        let page = print::page(&[
            ("Id", worker.id.clone()),
            ("State", worker.state.clone()),
            ("Address", known(&worker.address)),
            ("Version", known(&worker.version)),
            ("Session", known(&worker.session)),
            ("Memory", units::bytes(worker.rss_bytes)),
            ("Pool", worker.pool.clone()),
            ("Weight", units::count(worker.weight.map(u64::from))),
            ("Partitions", worker.partitions.to_string()),
            ("Load", units::rate(worker.bytes_per_second)),
        ]);
        print::page_above(page, assignments)
    })
}

async fn drain(fleet: Fleet, id: &WorkerId) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.drain_worker(DrainWorkerRequest { context: Some(context), id: id.to_string() }).await
    };
    let exists = format!("worker {id} is drained already; nothing was changed");
    fleet
        .change(&format!("replisome worker describe {id}"), &format!("worker {id} is being drained"), &exists, call)
        .await
}

async fn undrain(fleet: Fleet, id: &WorkerId) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.undrain_worker(UndrainWorkerRequest { context: Some(context), id: id.to_string() }).await
    };
    let exists = format!("worker {id} is not drained; nothing was changed");
    fleet
        .change(&format!("replisome worker describe {id}"), &format!("worker {id} may work again"), &exists, call)
        .await
}

async fn remove(fleet: Fleet, id: &WorkerId) -> Result<(), Failure> {
    let call = async |mut admin: Admin, context| {
        admin.remove_worker(RemoveWorkerRequest { context: Some(context), id: id.to_string() }).await
    };
    // It is never there already: what is gone is not found.
    fleet.change("replisome worker list", &format!("worker {id} removed"), "", call).await
}

async fn release_hold(fleet: Fleet, pool: Option<PoolName>) -> Result<(), Failure> {
    let pool = pool.map(String::from).unwrap_or_default();
    let call = async |mut admin: Admin, context| {
        admin.release_hold(ReleaseHoldRequest { context: Some(context), pool: pool.clone() }).await
    };
    let done = "the missing workers are given up; what they have moves to others";
    fleet.change("replisome status", done, "no moves are held; nothing was changed", call).await
}
