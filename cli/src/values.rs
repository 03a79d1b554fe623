//! Values as people write them, on command lines and in configuration files: sizes, durations, addresses, switches.
//!
//! Owns: how each is read, and what to say of one that can't be. Never does: know what it is for.

use std::time::Duration;

use clap::ValueEnum;
use common::telemetry::LogFormat;
use jiff::SignedDuration;

/// What a process may hold at least: below this its clients have no room for a single large record.
const MEMORY_BYTES_MIN: usize = 16 << 20;

/// On or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Switch {
    /// Do it.
    On,
    /// Leave it.
    Off,
}

/// The form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormatArg {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogFormatArg> for LogFormat {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}

/// An address as it is given, which may be a name; only its form is checked here.
pub fn host_and_port(text: &str) -> Result<String, String> {
    match port(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("give a host and a port, such as 127.0.0.1:9404 or localhost:9404".to_owned()),
    }
}

/// Whether somebody can be reached at the address: port 0 is only good for listening.
pub fn is_reachable_form(text: &str) -> bool {
    port(text).is_some_and(|port| port > 0)
}

/// The port of an address, if that is one.
fn port(text: &str) -> Option<u16> {
    let (host, port) = text.rsplit_once(':')?;
    is_host(host).then(|| port.parse().ok())?
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && is_plain(host),
    }
}

/// The number of a partition.
pub fn partition(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a partition is a whole number from 0".to_owned())
}

/// A size with its unit.
pub fn memory_bytes(text: &str) -> Result<usize, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("give a whole number with KiB, MiB or GiB, such as 96MiB".to_owned()),
    };
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= MEMORY_BYTES_MIN => Ok(bytes),
        Some(_) => Err(format!("at least {}MiB are needed", MEMORY_BYTES_MIN >> 20)),
        None => Err("give a whole number with KiB, MiB or GiB, such as 96MiB".to_owned()),
    }
}

/// A span of time with its unit, above zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span = text.trim().parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    match span {
        Some(span) if !span.is_zero() => Ok(span),
        _ => Err("give a number with a unit, such as 500ms, 10s or 1m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "localhost:9404", "[::1]:9404", "controller-1.svc:7401"] {
            assert_eq!(host_and_port(good), Ok(good.to_owned()));
        }
        for bad in ["nonsense", ":9404", "localhost:", "localhost:port", "127.0.0.1:70000", "", "http://a:1", "::1:1"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
        assert!(
            is_reachable_form("broker-1:9092") && !is_reachable_form("broker-1:0") && !is_reachable_form("broker-1")
        );
    }

    #[test]
    fn sizes_have_a_unit_and_a_floor() {
        assert_eq!(memory_bytes("96MiB"), Ok(96 << 20));
        assert_eq!(memory_bytes("32768 KiB"), Ok(32 << 20));
        assert_eq!(memory_bytes("1GiB"), Ok(1 << 30));
        for bad in ["96", "96MB", "MiB", "-1MiB", "1MiB", "99999999999999999999GiB", "99999999999GiB", ""] {
            assert!(memory_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_are_above_zero() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("1m 30s", 90_000), ("1.5s", 1_500)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["10", "", "0s", "-1s", "soon", "1 fortnight"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
