//! The clock, and what Linux tells of a process.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Linux counts a process's time in hundredths of a second, whatever the machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// How long something takes: the median of some runs.
pub fn median<T>(runs: usize, mut run: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let begin = Instant::now();
            let result = run();
            let took = begin.elapsed();
            drop(result);
            took
        })
        .collect();
    times.sort();
    times[runs / 2]
}

/// The processor time that a process has used, in seconds.
pub fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read a node's processor time")?;
    let (_, after_name) = stat.rsplit_once(')').context("a process has a name")?;
    let ticks = |index| after_name.split_whitespace().nth(index).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = (ticks(11).context("utime")?, ticks(12).context("stime")?);
    Ok((user + system) / TICKS_PER_SECOND)
}

/// The memory that a process has now, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read a node's memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS")?;
    Ok(kibibytes * 1024)
}
