//! One admin command. Owns running it against all controllers and reading what it printed; never tries again.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Fleet;
use crate::process::Replisome;

/// Longer than any `--timeout` of the tests: a command always ends by itself.
const END_DEADLINE: Duration = Duration::from_secs(60);

/// What came of an admin command.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages of failure.
    pub command: String,
    /// Its exit code.
    pub code: i32,
    /// Its results.
    pub stdout: String,
    /// Its notes and errors.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Fleet {
    /// Runs an admin command.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Output {
        self.cli_at(&self.addresses().join(","), args)
    }

    /// Runs an admin command that knows only these controllers.
    #[track_caller]
    pub fn cli_at(&self, controllers: &str, args: &[&str]) -> Output {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        run(&[args, &["--controllers", controllers]].concat(), &environment)
    }

    /// Runs an admin command that must succeed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> Output {
        let output = self.cli(args);
        output.expect(0, &[]);
        output
    }

    /// Runs an admin command that must succeed, and gives its JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.ok(&[args, &["-o", "json"]].concat()).json()
    }

    /// The JSON of an admin command, if it succeeds.
    #[track_caller]
    pub fn json_or_none(&self, args: &[&str]) -> Option<Value> {
        let output = self.cli(&[args, &["-o", "json"]].concat());
        (output.code == 0).then(|| output.json())
    }
}

/// Runs the binary with these arguments and environment variables until it ends.
#[track_caller]
pub fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let started = Instant::now();
    let mut process = Replisome::start_as("cli", args, environment);
    let exit = process.wait(END_DEADLINE);
    let took = started.elapsed();
    let command = args.join(" ");
    let code = exit.code.unwrap_or_else(|| panic!("{command}: ended by a signal: {exit:?}\n{}", process.tail()));
    Output { command, code, stdout: process.stdout(), stderr: process.stderr(), took }
}

impl Output {
    /// Ended with this code, and said all these texts on stderr.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "exit code of {self}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in what it says: {self}");
        }
        for text in ["panicked", "backtrace", "BACKTRACE"] {
            assert!(!self.stderr.contains(text), "{text:?} is in what it says: {self}");
        }
    }

    /// Its results as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, stdout, stderr, took } = self;
        write!(f, "`{command}`: {code} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
