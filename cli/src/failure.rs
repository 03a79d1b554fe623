//! How a command ends when it does not end well: an exit code that scripts can rely on and a text for a person.

use std::fmt;
use std::process::ExitCode;

/// Exit codes other than 0 (done).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It was tried and failed.
    Failed = 1,
    /// The command line or a file it names is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// It contradicts what is there.
    Conflict = 4,
    /// It may have happened or not.
    Unknown = 5,
    /// No controller was reached, or none leads.
    NoController = 6,
}

/// Why a command failed: what, which value, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// For scripts.
    pub exit: Exit,
    /// For people.
    pub text: String,
}

impl Failure {
    /// It was tried and failed.
    pub fn failed(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, text: text.to_string() }
    }

    /// The command line or a file it names is wrong.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, text: text.to_string() }
    }

    /// It contradicts what is there.
    pub fn conflict(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Conflict, text: text.to_string() }
    }

    /// What the process returns.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
