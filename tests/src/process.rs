//! The `replisome` binary under test. Owns starting it with its output in files, and reading that output; never builds
//! it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use crate::child::{self, Child, Exit, Signal};
use crate::scratch::{self, Scratch};
use crate::wait;

/// Whether the long forms of the tests are asked for: `REPLISOME_FULL=1`.
pub fn is_full() -> bool {
    env::var("REPLISOME_FULL").is_ok_and(|value| value == "1")
}

/// A `replisome` process; killed when dropped.
#[derive(Debug)]
pub struct Replisome {
    child: Child,
    scratch: Scratch,
    _files: Option<Arc<Scratch>>,
}

/// Where the binary is: `$REPLISOME_BIN`, else beside the tests' own binaries.
pub fn binary() -> PathBuf {
    let given = env::var_os("REPLISOME_BIN").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let own = env::current_exe().expect("the path of this binary");
        own.ancestors().nth(2).expect("test binaries lie in target/PROFILE/deps").join("replisome")
    });
    assert!(path.is_file(), "no binary at {}: build it, or name it in REPLISOME_BIN", path.display());
    path
}

impl Replisome {
    /// Starts `replisome` with these arguments.
    pub fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::start_with(args, &[])
    }

    /// Starts `replisome` with these arguments and environment variables.
    pub fn start_with<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, environment: &[(&str, &str)]) -> Self {
        Self::start_as("replisome", args, environment)
    }

    /// Starts `replisome` with these arguments and environment variables; `name` is what its logs are kept under.
    pub fn start_as<S: AsRef<OsStr>>(
        name: &str,
        args: impl IntoIterator<Item = S>,
        environment: &[(&str, &str)],
    ) -> Self {
        let scratch = Scratch::new(name);
        let mut command = Command::new(binary());
        command.args(args).envs(environment.iter().copied()).current_dir(scratch.path()).stdin(Stdio::null());
        command.stdout(scratch.log("stdout.log")).stderr(scratch.log("stderr.log"));
        let child = child::spawn(command).expect("start replisome");
        Self { child, scratch, _files: None }
    }

    /// Keeps a directory of files that it reads for as long as it runs.
    #[must_use]
    pub fn with_files(mut self, files: Arc<Scratch>) -> Self {
        self._files = Some(files);
        self
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        self.read("stdout.log")
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.read("stderr.log")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it still runs after `deadline`, with the end of its output.
    #[track_caller]
    pub fn wait(&mut self, deadline: Duration) -> Exit {
        let exit = self.child.wait(deadline);
        exit.unwrap_or_else(|| panic!("replisome still runs after {deadline:?}\n{}", self.tail()))
    }

    /// Waits until it ends by itself, with this exit code.
    #[track_caller]
    pub fn wait_for_code(&mut self, code: i32, deadline: Duration) -> Exit {
        let exit = self.wait(deadline);
        assert_eq!(exit.code, Some(code), "exit code; {exit:?}\n{}", self.tail());
        exit
    }

    /// Waits until stdout or stderr contains `text`.
    ///
    /// # Panics
    /// When it does not by the deadline, or the process ended without it; with the end of its output.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str, deadline: Duration) {
        let found = wait::until_or_none(deadline, || {
            let ended = self.try_wait().is_some();
            let found = self.stdout().contains(text) || self.stderr().contains(text);
            (found || ended).then_some(found)
        });
        assert!(found == Some(true), "no {text:?} in the output; ended: {}\n{}", found.is_some(), self.tail());
    }

    /// SIGTERM, then waits for its end.
    #[track_caller]
    pub fn stop(&mut self, deadline: Duration) -> Exit {
        self.signal(Signal::Terminate);
        self.wait(deadline)
    }

    /// kill -9.
    pub fn kill(&mut self) -> Exit {
        self.child.kill()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.child.signal(signal);
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<Exit> {
        self.child.try_wait()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Duration {
        self.child.cpu()
    }

    /// The greatest resident set so far, in bytes.
    pub fn rss_peak_bytes(&mut self) -> u64 {
        self.child.rss_peak_bytes()
    }

    /// The end of its output, for messages of failure.
    pub fn tail(&self) -> String {
        let end = |name| scratch::tail(&self.scratch.path().join(name), 30);
        format!("--- stdout\n{}\n--- stderr\n{}", end("stdout.log"), end("stderr.log"))
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.scratch.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
