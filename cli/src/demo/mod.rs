//! `replisome demo`: the product in under a minute, with nothing but this binary.
//!
//! ```text
//! two embedded clusters ─ fill the source ─ mirror (a child process) ─ kill -9 half-way ─ the same command again
//!                                                                                            │ until the end
//!                         verdict ─ plain reader of both clusters ───────────────────────────┘
//! ```
//!
//! Owns: the embedded clusters (on this one thread), the child processes and a directory of temporary files; all end
//! with it, however it ends. Never does: copy a record itself, or know more of a mirror than its command line, its exit
//! code and what it leaves in Kafka.

mod mirror_child;
mod scene;
mod script;
mod verdict;

use crate::failure::Failure;
use crate::output;

/// Runs the demo; a verdict that is not "true" is a failure.
pub fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("can't start: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            outcome = script::play() => outcome,
            signal = interrupted() => {
                signal?;
                Err(Failure::failed("interrupted; nothing is left behind"))
            }
        }
    })
}

/// Waits for a signal that asks this process to end.
async fn interrupted() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failure::failed(format!("can't listen for signals: {error}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// Tells the next thing; the headline in bold where that can be shown.
fn tell(headline: &str, rest: &str) {
    if output::stdout_takes_colour() {
        output::result(format!("\x1b[1m{headline}\x1b[0m{rest}"));
    } else {
        output::result(format!("{headline}{rest}"));
    }
}
