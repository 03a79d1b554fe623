//! How a process speaks to the person who runs it: log lines on stderr, as text or JSON. Set up once, in `main`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging to stderr. `RUST_LOG` overrides what is shown; colours only on a terminal and never under `NO_COLOR`.
///
/// # Panics
/// If logging was started before.
pub fn start(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Nobody reads stderr any more: that is no reason to stop, and saying so there would fail as well.
    let logs = logs.log_internal_errors(false);
    match format {
        LogFormat::Text => logs.with_ansi(colours).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
