//! What a worker has of the host it runs on: threads for its loops, and memory. A simulation runs many workers in one
//! thread, each loop as a task.

use std::thread::JoinHandle;
use std::time::Duration;

/// A loop, one turn at a time. It never sleeps by itself, so that whoever drives it decides how time passes.
pub trait Work: Send + 'static {
    /// Does all that can be done now. `patience` is how long it may wait for something to happen: what the turn before
    /// asked for, or less.
    fn turn(&mut self, patience: Duration) -> Turn;
}

/// What follows a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Another one, which waits up to this long for something to happen.
    Next(Duration),
    /// Another one, after this long.
    Pause(Duration),
    /// Nothing: the work is done.
    End,
}

/// The host of a worker.
pub trait Host: Send + Sync + 'static {
    /// Runs a loop beside everything else until it ends. Returns its thread, if it has one of its own.
    fn start(&self, name: String, work: Box<dyn Work>) -> Option<JoinHandle<()>>;

    /// Resident memory of the worker's process in bytes; 0 where it is not known.
    fn rss_bytes(&self) -> u64;
}

/// The operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisHost;

impl Host for ThisHost {
    fn start(&self, name: String, mut work: Box<dyn Work>) -> Option<JoinHandle<()>> {
        let turns = move || {
            let mut patience = Duration::ZERO;
            loop {
                match work.turn(std::mem::take(&mut patience)) {
                    Turn::Next(longest) => patience = longest,
                    Turn::Pause(time) => std::thread::sleep(time),
                    Turn::End => return,
                }
            }
        };
        Some(std::thread::Builder::new().name(name).spawn(turns).expect("the system has room for a thread"))
    }

    /// From Linux's `/proc/self/status`.
    fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }
}
