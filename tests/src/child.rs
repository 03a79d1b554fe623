//! Child processes. Owns spawning, signals, reaping and measuring, and all `unsafe` code of the tests; never knows what
//! a child is for.
//!
//! Every child is started by one thread that lives as long as the test process: Linux sends the death signal when the
//! *thread* that started the child ends, and a test's own thread ends with its test.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::wait;

/// The signals tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: please end.
    Terminate,
    /// SIGINT: what Ctrl-C sends.
    Interrupt,
    /// SIGKILL: end now, without a last word.
    Kill,
    /// SIGSTOP: stand still.
    Stop,
    /// SIGCONT: go on.
    Continue,
}

/// How a child ended, and what it had used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// The exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// The greatest VmHWM seen, in bytes; 0 if it ended before the first look.
    pub rss_peak_bytes: u64,
}

/// A running (or just ended) child; killed and reaped when dropped.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    exit: Option<Exit>,
    rss_peak_bytes: u64,
}

type Order = (Command, SyncSender<io::Result<u32>>);

static LIVE: Mutex<BTreeSet<libc::pid_t>> = Mutex::new(BTreeSet::new());

/// Starts `command`; the child is killed by the kernel when this process ends, however it ends.
pub fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (command, answer) in inbox {
                // A caller that no longer listens has panicked; its child dies with this process.
                let _ = answer.send(spawn_here(command));
            }
        });
        Mutex::new(orders)
    });
    let (answer, result) = sync_channel(1);
    let orders = spawner.lock().unwrap_or_else(PoisonError::into_inner).clone();
    orders.send((command, answer)).map_err(|_| io::Error::other("the spawning thread is gone"))?;
    let pid = result.recv().map_err(|_| io::Error::other("the spawning thread is gone"))?? as libc::pid_t;
    Ok(Child { pid, exit: None, rss_peak_bytes: 0 })
}

fn spawn_here(mut command: Command) -> io::Result<u32> {
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's memory.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = command.spawn()?.id();
    live.insert(pid as libc::pid_t);
    Ok(pid)
}

/// Registers `hook` to run when this process ends by returning from `main` or by `exit`.
pub fn at_exit(hook: extern "C" fn()) {
    // SAFETY: the hook is a plain function without unwinding; it uses only statics, which are never freed.
    unsafe { libc::atexit(hook) };
}

/// Kills and reaps every child that is left. For the end of the process: the values of statics are never dropped.
pub fn kill_all() {
    let pids = std::mem::take(&mut *LIVE.lock().unwrap_or_else(PoisonError::into_inner));
    for pid in pids {
        // SAFETY: the pid is a child not yet reaped, so it cannot have been given to another process.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    }
}

/// Whether a process with this id exists.
pub fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

impl Child {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Sends `signal`; nothing happens when it has ended already. After [`Signal::Stop`] every one of its threads stands
    /// still: `kill` itself comes back while threads on other cores still run, long enough for a broker to answer.
    pub fn signal(&mut self, signal: Signal) {
        let number = match signal {
            Signal::Terminate => libc::SIGTERM,
            Signal::Interrupt => libc::SIGINT,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        if self.try_wait().is_some() {
            return;
        }
        // SAFETY: the child was not reaped, so the pid is still its own.
        unsafe { libc::kill(self.pid, number) };
        if signal == Signal::Stop {
            wait::until_true("the child stands still", Duration::from_secs(60), || {
                self.is_stopped() || self.try_wait().is_some()
            });
        }
    }

    /// Whether it is stopped; the kernel says so once all threads are.
    fn is_stopped(&self) -> bool {
        // SAFETY: siginfo_t is plain numbers, for which all zeroes is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // Without WEXITED the end of the child is left to `try_wait`; with WNOWAIT a second look gives the same answer.
        let flags = libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the pointer is to a live local of the right type, and the child was not reaped.
        unsafe { libc::waitid(libc::P_PID, self.pid as libc::id_t, &mut info, flags) };
        // SAFETY: waitid fills the fields of SIGCHLD, or leaves the zeroes.
        unsafe { info.si_pid() == self.pid }
    }

    /// How it ended, if it has; also takes a sample of its memory.
    pub fn try_wait(&mut self) -> Option<Exit> {
        if self.exit.is_some() {
            return self.exit;
        }
        self.rss_peak_bytes();
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = 0;
        // SAFETY: rusage is plain numbers, for which all zeroes is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals of the right types.
        let reaped = unsafe { libc::wait4(self.pid, &mut status, libc::WNOHANG, &mut usage) };
        if reaped != self.pid {
            return None;
        }
        live.remove(&self.pid);
        let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1_000);
        self.exit = Some(Exit {
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            rss_peak_bytes: self.rss_peak_bytes,
        });
        self.exit
    }

    /// How it ended, or `None` when it still runs after `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Option<Exit> {
        wait::until_or_none(deadline, || self.try_wait())
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) -> Exit {
        self.signal(Signal::Kill);
        self.wait(Duration::from_secs(60)).expect("a killed process ends within a minute")
    }

    /// User and system time used so far by all its threads.
    pub fn cpu(&self) -> Duration {
        if let Some(exit) = self.exit {
            return exit.cpu;
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The second field is the name in brackets and may hold blanks; utime and stime are the 14th and 15th.
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        // SAFETY: sysconf has no preconditions.
        let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
        Duration::from_millis(ticks * 1_000 / ticks_per_second)
    }

    /// The greatest resident set so far (VmHWM), in bytes.
    pub fn rss_peak_bytes(&mut self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
        self.rss_peak_bytes = self.rss_peak_bytes.max(kib * 1024);
        self.rss_peak_bytes
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            self.signal(Signal::Kill);
            self.wait(Duration::from_secs(60));
        }
    }
}

#[cfg(test)]
#[path = "child_test.rs"]
mod tests;
