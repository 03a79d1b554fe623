//! Scratch directories. Owns where processes under test keep their data and logs, and what is left of it afterwards;
//! never keeps data, and keeps logs only when something panicked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::{env, fs, process};

use crate::child;

/// A directory of one process under test. Files named `*.log` in it survive a failure, in `tests/logs/`.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

static FAILED: AtomicBool = AtomicBool::new(false);
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
const PREFIX: &str = "replisome-tests-";

impl Scratch {
    /// A new empty directory; `name` says what it is for.
    pub fn new(name: &str) -> Self {
        static SET_UP: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        SET_UP.call_once(set_up);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = process_directory().join(format!("{number:03}-{name}"));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        Self { path }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it and gives its path.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }

    /// Writes a Java properties file into it and gives its path.
    pub fn write_properties(&self, name: &str, properties: &[(&str, &str)]) -> PathBuf {
        let lines: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        self.write(name, &lines.concat())
    }

    /// Opens a log file in it for appending; for a child's output.
    pub fn log(&self, name: &str) -> fs::File {
        let path = self.path.join(name);
        let opened = fs::OpenOptions::new().create(true).append(true).open(&path);
        opened.unwrap_or_else(|error| panic!("open {}: {error}", path.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        remove(&self.path);
    }
}

/// The last `lines` lines of a text file, for messages of failure.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn process_directory() -> PathBuf {
    env::temp_dir().join(format!("{PREFIX}{}", process::id()))
}

fn set_up() {
    remove_leftovers_of_dead_processes();
    let earlier_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        FAILED.store(true, Ordering::Relaxed);
        earlier_hook(panic);
    }));
    child::at_exit(clean_up);
}

/// Shared clusters live in statics, which are never dropped: this does it for them.
extern "C" fn clean_up() {
    child::kill_all();
    for path in std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner)) {
        remove(&path);
    }
    // Best effort: the next run removes what could not be removed now.
    let _ = fs::remove_dir_all(process_directory());
}

fn remove(path: &Path) {
    if FAILED.load(Ordering::Relaxed) {
        keep_logs(path);
    }
    let _ = fs::remove_dir_all(path);
}

fn keep_logs(path: &Path) {
    let name = path.file_name().unwrap_or_default();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("logs").join(process::id().to_string()).join(name);
    let logs = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for log in logs.filter(|file| file.extension().is_some_and(|extension| extension == "log")) {
        let copied =
            fs::create_dir_all(&kept).and_then(|()| fs::copy(&log, kept.join(log.file_name().unwrap_or_default())));
        match copied {
            Ok(_) => eprintln!("log kept: {}", kept.join(log.file_name().unwrap_or_default()).display()),
            Err(error) => eprintln!("log {} not kept: {error}", log.display()),
        }
    }
}

fn remove_leftovers_of_dead_processes() {
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse().ok());
        if pid.is_some_and(|pid| !child::exists(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
