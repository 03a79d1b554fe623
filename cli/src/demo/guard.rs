//! What makes sure that nothing is left: a process that waits for the demo's end, however it comes.
//!
//! ```text
//! demo ── a pipe that only the demo holds open ──> guard ── owns the directory, leads the group of all other processes
//!   returns, is interrupted, is kill -9'd: the pipe closes ──> the directory is removed, the group killed
//! ```
//!
//! Owns: the directory of temporary files and the process group. Never does: anything before the pipe closes. There is
//! no other way in which the demo's processes and files go.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{Signal, kill_current_process_group, setpgid};

use crate::daemon::signals::Signals;
use crate::failure::Failure;

/// How often the removal is tried, and the pause between: what still runs may add a file while its directory goes.
const REMOVAL_ATTEMPTS: u32 = 100;
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// The demo's hold on its guard. Dropped, it returns when directory and processes are gone.
pub struct Guard {
    process: Child,
    /// Closed to end everything.
    pipe: Option<ChildStdin>,
    program: PathBuf,
    directory: PathBuf,
}

impl Guard {
    /// Starts the guard.
    pub fn post() -> Result<Self, Failure> {
        let program = env::current_exe()
            .map_err(|error| Failure::failed(format!("can't find the program of this process: {error}")))?;
        let failed = |error| Failure::failed(format!("can't start the guard of the demo's processes: {error}"));
        let mut command = Command::new(&program);
        command.args(["demo", "--guard"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let pipe = process.stdin.take();
        let mut directory = String::new();
        if let Some(answer) = process.stdout.take() {
            BufReader::new(answer).read_line(&mut directory).map_err(failed)?;
        }
        let guard = Self { process, pipe, program, directory: PathBuf::from(directory.trim_end_matches('\n')) };
        if directory.is_empty() {
            return Err(failed(io::Error::other("it ended at once")));
        }
        Ok(guard)
    }

    /// Where temporary files belong.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// This very program with other arguments, as a process that goes when the demo goes.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        let group = i32::try_from(self.process.id()).expect("process ids are positive numbers of 32 bits");
        command.args(args).process_group(group).stdin(Stdio::null());
        // What the person at the terminal has set for another fleet is not meant for this one.
        for (name, _) in env::vars_os() {
            if name == "RUST_LOG" || name.to_string_lossy().starts_with("REPLISOME_") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe = None;
        // It kills itself with the others; that this fails is not possible for a child that nobody else waits for.
        let _ = self.process.wait();
    }
}

/// The guard's own life.
pub fn stand() -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("the guard of the demo's processes: {error}"));
    setpgid(None, None).map_err(|error| failed(error.into()))?;
    // Whoever asks every process of this name to end must not take away the one that cleans up.
    let _deaf = Signals::listen()?;
    let directory = tempfile::Builder::new().prefix("replisome-demo-").tempdir().map_err(failed)?.keep();
    let answer = writeln!(io::stdout(), "{}", directory.display()).and_then(|()| io::stdout().flush());
    let held = answer.and_then(|()| io::copy(&mut io::stdin(), &mut io::sink()));
    let removed = remove(&directory);
    // The last deed: it ends this process too.
    let killed = kill_current_process_group(Signal::KILL).map_err(io::Error::from);
    held.and(removed).and(killed).map_err(failed)
}

fn remove(directory: &Path) -> io::Result<()> {
    for _ in 1..REMOVAL_ATTEMPTS {
        if fs::remove_dir_all(directory).is_ok() {
            return Ok(());
        }
        thread::sleep(REMOVAL_PAUSE);
    }
    fs::remove_dir_all(directory)
}
