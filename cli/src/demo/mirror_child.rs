//! `replisome mirror` as a child process of this very binary: started, killed, waited for; never left behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::scene::{GROUP, Scene, TOPIC};
use crate::failure::Failure;

/// How often offsets are stored: the killed mirror's copies since then come twice.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(500);

/// The mirror's two files, in a directory that goes with it.
pub struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    /// Writes them.
    pub fn write(scene: &Scene) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("replisome-demo-").tempdir();
        let directory = directory
            .map_err(|error| Failure::failed(format!("can't make a directory for temporary files: {error}")))?;
        let files = Self { directory };
        let source = scene.source.bootstrap_servers();
        let consumer = format!("bootstrap.servers={source}\ngroup.id={GROUP}\nauto.offset.reset=earliest\n");
        let producer = format!("bootstrap.servers={}\n", scene.target.bootstrap_servers());
        for (path, text) in [(files.consumer(), consumer), (files.producer(), producer)] {
            fs::write(&path, text).map_err(|error| cannot("write", &path, error))?;
        }
        Ok(files)
    }

    fn consumer(&self) -> PathBuf {
        self.directory.path().join("consumer.properties")
    }

    fn producer(&self) -> PathBuf {
        self.directory.path().join("producer.properties")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("mirror.log")
    }

    /// The last lines the mirror wrote, for a failure's text.
    pub fn last_lines(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// A running mirror. Dropped, it is killed.
pub struct MirrorChild {
    child: Child,
}

impl MirrorChild {
    /// Starts one.
    pub fn start(files: &Files) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::failed(format!("can't find the program of this process: {error}")))?;
        let log = File::options().create(true).append(true).open(files.log());
        let log = log.map_err(|error| cannot("write", &files.log(), error))?;
        let child = Command::new(&program)
            .args(command_line(files))
            // Its last lines are shown if it fails: those of the client library would fill them.
            .env("RUST_LOG", "info,librdkafka=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| cannot("start", &program, error))?;
        Ok(Self { child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(|error| Failure::failed(format!("can't wait for the mirror: {error}")))
    }

    /// Kills it as the kernel would (`kill -9`), and waits until it is gone.
    pub fn kill(mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| Failure::failed(format!("can't kill the mirror: {error}")))
    }
}

impl Drop for MirrorChild {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The mirror's command line, behind the program's name.
fn command_line(files: &Files) -> Vec<String> {
    let path = |path: PathBuf| path.display().to_string();
    let interval = COMMIT_INTERVAL.as_millis().to_string();
    [
        "mirror",
        "--consumer.config",
        &path(files.consumer()),
        "--producer.config",
        &path(files.producer()),
        "--num.streams",
        "2",
        "--whitelist",
        TOPIC,
        "--offset.commit.interval.ms",
        &interval,
        // the embedded brokers can't create topics
        "--manage-topics",
        "off",
        "--until-end",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn cannot(verb: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::failed(format!("can't {verb} {}: {error}", path.display()))
}
