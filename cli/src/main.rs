//! The one binary, `replisome`: reads the command line, runs one verb, turns what came of it into an exit code.
//!
//! ```text
//! main ─┬─ mirror/       MirrorMaker 1's command: controller and worker in one process
//!       ├─ demo/         the product in one minute, on embedded brokers
//!       ├─ controller/ ┬ the processes of a fleet
//!       ├─ worker/     ┘                          config_file/, daemon/: what they share
//!       └─ admin/        the fleet's commands, over gRPC
//! ```
//!
//! Owns: flags, files a user writes, texts a user reads, exit codes. Never does: decide what is copied where
//! (`controller`), copy (`worker`), or speak to Kafka by itself (`kafka`).

mod admin;
mod config_file;
mod controller;
mod daemon;
mod demo;
mod failure;
mod mirror;
mod output;
mod values;
mod worker;

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::failure::Failure;

/// A leader's rounds over its table leave much behind, which the C library's allocator would keep.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Copies Kafka topics from one cluster to another, without a consumer group and without a rebalance.
#[derive(Parser)]
#[command(
    name = "replisome",
    version,
    max_term_width = 110,
    arg_required_else_help = true,
    after_help = "\
A fleet: start `controller run` on 1, 3 or 5 machines and `worker run` on as many as copy; then `cluster add` both \
clusters, `route add` between them, `topic add` what to copy, and look at it with `status`.\n\nDocs: docs/ in the source \
tree: operations.md, failure-modes.md, reference/"
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

/// What is asked for.
#[derive(Subcommand)]
enum Verb {
    /// Copy topics as MirrorMaker 1 does: same flags, same files, same consumer group; one process
    Mirror(Box<mirror::MirrorArgs>),
    /// Show it in a minute on embedded brokers: a fleet copies, a worker and the leader are killed, all is checked
    Demo(demo::DemoArgs),
    /// The fleet on one page: controllers, workers, routes, lag, what is wrong and what to do about it
    Status(admin::StatusCommand),
    Cluster(admin::ClusterCommand),
    Route(Box<admin::RouteCommand>),
    Topic(admin::TopicCommand),
    Assignment(admin::AssignmentCommand),
    Rebalance(admin::RebalanceCommand),
    Worker(admin::WorkerCommand),
    Controller(admin::ControllerCommand),
    Event(admin::EventCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let words = admin::behind_the_noun(std::env::args_os());
    let matches = command().try_get_matches_from(words);
    let outcome = match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
        Ok(line) => run(line.verb).map(|()| ExitCode::SUCCESS),
        Err(error) => not_run(&error),
    };
    outcome.unwrap_or_else(|failure| {
        output::note(format!("error: {failure}"));
        failure.exit_code()
    })
}

/// Runs one verb.
fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Mirror(args) => mirror::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Status(status) => status.run(),
        Verb::Cluster(cluster) => cluster.run(),
        Verb::Route(route) => route.run(),
        Verb::Topic(topic) => topic.run(),
        Verb::Assignment(assignment) => assignment.run(),
        Verb::Rebalance(rebalance) => rebalance.run(),
        Verb::Worker(worker) => worker.run(),
        Verb::Controller(controller) => controller.run(),
        Verb::Event(event) => event.run(),
        Verb::Completions { shell } => completions(shell),
    }
}

/// Says why no verb runs: the command line is wrong, or asks for help or the version, which ends well.
fn not_run(error: &clap::Error) -> Result<ExitCode, Failure> {
    let printed = error.print();
    if !error.use_stderr() {
        output::is_read(printed)?;
    }
    Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
}

/// The command line. What a noun's other verbs need to reach a fleet is of no use to those that
/// ask none, so their help hides that.
fn command() -> Command {
    let flags = admin::FleetArgs::augment_args(Command::new("flags"));
    let hidden: Vec<_> = flags.get_arguments().map(|flag| flag.clone().hide(true)).collect();
    let mut command = CommandLine::command();
    for (noun, verb) in [("worker", "run"), ("controller", "run"), ("controller", "restore"), ("controller", "repair")]
    {
        let hidden = hidden.clone();
        command = command.mut_subcommand(noun, |noun| noun.mut_subcommand(verb, |verb| verb.args(hidden)));
    }
    command
}

/// Prints the completion script.
fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "replisome", &mut script);
    output::result(String::from_utf8_lossy(&script).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        CommandLine::command().debug_assert();
        command().debug_assert();
    }
}
