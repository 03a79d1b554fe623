//! Processes of this very binary: started, killed, looked after.
//!
//! Owns: which run, and what each wrote last. Never does: end one that is not to be killed for show (`guard` does, all
//! at once).

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};

use super::guard::Guard;
use crate::failure::Failure;

/// How many of a child's last lines a failure shows: of the one that is to blame, and of each where nobody knows.
const LINES_OF_ONE: usize = 15;
const LINES_OF_EACH: usize = 4;

/// All that were started.
pub struct Children {
    // Dropped before those it ends, so that they can be waited for.
    guard: Guard,
    all: RefCell<Vec<Node>>,
}

struct Node {
    name: String,
    process: Child,
    log: PathBuf,
    killed: bool,
}

impl Children {
    /// None yet.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self { guard: Guard::post()?, all: RefCell::default() })
    }

    /// Writes a file into the directory of temporary files.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.guard.directory().join(name);
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
        Ok(path)
    }

    /// Where a child may keep something.
    pub fn path(&self, name: &str) -> PathBuf {
        self.guard.directory().join(name)
    }

    /// Starts one that is to run on.
    pub fn start(&self, name: &str, args: &[&str]) -> Result<(), Failure> {
        let log = self.path(&format!("{name}.log"));
        let file = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) = file.map_err(|error| cannot("write", &log, &error))?;
        let process = self.guard.command(args).stdout(stdout).stderr(stderr).spawn();
        let process = process.map_err(|error| Failure::failed(format!("can't start {name}: {error}")))?;
        self.all.borrow_mut().push(Node { name: name.to_owned(), process, log, killed: false });
        Ok(())
    }

    /// Runs one to its end and gives what it printed. It fails with what it said.
    pub async fn run(&self, args: &[&str], hidden: &[&str]) -> Result<String, Failure> {
        let line = format!("replisome {}", args.join(" "));
        let mut command = self.guard.command(args.iter().chain(hidden));
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("running a command panics not");
        let output = output.map_err(|error| Failure::failed(format!("can't start {line}: {error}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = last_lines(&String::from_utf8_lossy(&output.stderr), LINES_OF_ONE);
        Err(Failure::failed(format!("`{line}` ended with {}:{said}", output.status)))
    }

    /// The process id of the one with this name.
    pub fn id(&self, name: &str) -> u32 {
        self.all.borrow().iter().find(|node| node.name == name).map_or(0, |node| node.process.id())
    }

    /// Whether the one with this name was killed.
    pub fn is_killed(&self, name: &str) -> bool {
        self.all.borrow().iter().any(|node| node.name == name && node.killed)
    }

    /// Kills one as the kernel would (`kill -9`), and waits until it is gone.
    pub fn kill(&self, name: &str) -> Result<(), Failure> {
        for node in self.all.borrow_mut().iter_mut().filter(|node| node.name == name) {
            node.killed = true;
            let killed = node.process.kill().and_then(|()| node.process.wait());
            killed.map_err(|error| Failure::failed(format!("can't kill {name}: {error}")))?;
        }
        Ok(())
    }

    /// Fails if one ended that was not killed.
    pub fn check(&self) -> Result<(), Failure> {
        for node in self.all.borrow_mut().iter_mut().filter(|node| !node.killed) {
            if let Ok(Some(status)) = node.process.try_wait() {
                return Err(node.ended(status));
            }
        }
        Ok(())
    }

    /// What each wrote last.
    pub fn last_lines(&self) -> String {
        let of = |node: &Node| format!("\n{}:{}", node.name, node.last_lines(LINES_OF_EACH));
        self.all.borrow().iter().filter(|node| !node.killed).map(of).collect()
    }
}

impl Node {
    fn ended(&self, status: ExitStatus) -> Failure {
        Failure::failed(format!("{} ended ({status}); it said last:{}", self.name, self.last_lines(LINES_OF_ONE)))
    }

    fn last_lines(&self, count: usize) -> String {
        last_lines(&String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()), count)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It was killed by the guard, or has ended before. Nobody else waits for it.
        let _ = self.process.wait();
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("\n  {line}")).collect()
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("can't {verb} {}: {error}", path.display()))
}
