//! The one binary, `replisome`: reads the command line, runs one verb, turns what came of it into an exit code.
//!
//! ```text
//! main ── mirror/  MirrorMaker 1's command: controller and worker in one process
//!      └─ demo/    the product in one minute, on embedded brokers
//! ```
//!
//! Owns: flags, files a user writes, texts a user reads, exit codes. Never does: decide what is copied where
//! (`controller`), copy (`worker`), or speak to Kafka by itself (`kafka`).

mod demo;
mod failure;
mod mirror;
mod output;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::Failure;

/// Copies Kafka topics from one cluster to another, without a consumer group and without a rebalance.
#[derive(Parser)]
#[command(name = "replisome", version, max_term_width = 110, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

/// What is asked for.
#[derive(Subcommand)]
enum Verb {
    /// Copy topics as MirrorMaker 1 does: same flags, same files, same consumer group; one process
    Mirror(Box<mirror::MirrorArgs>),
    /// Show it in under a minute on embedded brokers: a mirror is killed half-way, continued, and checked
    Demo,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version end here too, with code 0. A closed pipe is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match line.verb {
        Verb::Mirror(args) => mirror::run(&args),
        Verb::Demo => demo::run(),
        Verb::Completions { shell } => completions(shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(format!("error: {failure}"));
            failure.exit_code()
        }
    }
}

/// Prints the completion script.
fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "replisome", &mut script);
    let _ = io::Write::write_all(&mut io::stdout().lock(), &script);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        CommandLine::command().debug_assert();
    }
}
