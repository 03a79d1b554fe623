//! `replisome mirror` as its user meets it: what it refuses and with which words, and what it serves over HTTP. Owns
//! texts and exit codes on real Kafka; what is copied is shown elsewhere.
//!
//! Every refusal names what is wrong, its value and the remedy, ends in bounded time with the exit code that scripts
//! rely on, and shows no secret. 1: it was tried and failed, 2: wrong command line or file, 4: it contradicts what is
//! there.

#[path = "command/clusters.rs"]
mod clusters;
#[path = "command/credentials.rs"]
mod credentials;
#[path = "command/files.rs"]
mod files;
#[path = "command/http.rs"]
mod http;
#[path = "command/partitions.rs"]
mod partitions;

use std::time::{Duration, Instant};

use replisome_tests::kafka_cluster::shared;
use replisome_tests::mirror::Mirror;
use replisome_tests::process::Replisome;

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const CONFLICT: i32 = 4;

/// A password, wherever one is given; must never be seen again.
const CANARY: &str = "canary-d41d8cd98f";

/// The longest that a refusal may take: a broker that does not answer is waited for that long.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(40);
const COPY_DEADLINE: Duration = Duration::from_secs(60);

/// A mirror between the shared clusters.
fn mirror(group: &str, whitelist: &str) -> Mirror {
    let (source, target) = shared();
    Mirror::new(source.bootstrap(), target.bootstrap(), group, whitelist)
}

/// The process refuses to go on: this exit code, all these texts in its last words, nothing on stdout, no panic, no secret.
/// Gives the time it took.
#[track_caller]
fn assert_refused(mut replisome: Replisome, code: i32, texts: &[&str]) -> Duration {
    let started = Instant::now();
    replisome.wait_for_code(code, REFUSAL_DEADLINE);
    let took = started.elapsed();
    let (stdout, stderr) = (replisome.stdout(), replisome.stderr());
    // On a terminal nothing is logged before it.
    let error: String =
        stderr.lines().skip_while(|line| !line.starts_with("error: ")).map(|line| format!("{line}\n")).collect();
    for text in texts {
        assert!(error.contains(text), "{text:?} is not in the error:\n{stderr}");
    }
    assert_no_accident(&stdout, &stderr);
    assert_eq!(stdout, "", "results");
    eprintln!("{code} after {:.1} s: {stderr}", took.as_secs_f64());
    took
}

/// No panic, no backtrace, no secret.
#[track_caller]
fn assert_no_accident(stdout: &str, stderr: &str) {
    for text in ["panicked", "backtrace", "BACKTRACE", CANARY] {
        assert!(!stderr.contains(text) && !stdout.contains(text), "{text:?} is in:\n{stdout}\n{stderr}");
    }
}
