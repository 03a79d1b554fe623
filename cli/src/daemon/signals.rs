//! Signals that ask the process to end.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals, each as often as it comes.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts listening; from now on neither ends the process by itself.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::failed(format!("can't listen for signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next one, by name. Cancel-safe.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Waits for `work`; the name of the signal that came first, if one did.
pub async fn unless_signal<T>(work: impl Future<Output = T>, signals: &mut Signals) -> Result<T, &'static str> {
    tokio::select! {
        done = work => Ok(done),
        name = signals.next() => Err(name),
    }
}
