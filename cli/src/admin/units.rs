//! Numbers as people read them, and what is not known as `-`.

use jiff::Timestamp;

use crate::output::grouped;

/// A number with its thousands apart.
pub fn count(number: Option<u64>) -> String {
    number.map_or_else(unknown, grouped)
}

/// An offset, exactly as Kafka's tools print it.
pub fn offset(offset: Option<i64>) -> String {
    offset.map_or_else(unknown, |offset| offset.to_string())
}

/// A size in bytes.
pub fn bytes(bytes: Option<u64>) -> String {
    let Some(bytes) = bytes else { return unknown() };
    match bytes {
        0..0x10_0000 => format!("{}KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{}MiB", bytes >> 20),
        _ => format!("{:.1}GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// Bytes a second.
pub fn rate(bytes: Option<u64>) -> String {
    bytes.map_or_else(unknown, |rate| format!("{}/s", self::bytes(Some(rate))))
}

/// How far behind something is.
pub fn behind(seconds: Option<f64>) -> String {
    match seconds {
        None => unknown(),
        Some(seconds) if seconds < 60.0 => format!("{seconds:.1}s"),
        Some(seconds) if seconds < 3_600.0 => format!("{}m {}s", seconds as u64 / 60, seconds as u64 % 60),
        Some(seconds) => format!("{}h {}m", seconds as u64 / 3_600, seconds as u64 % 3_600 / 60),
    }
}

/// A text that may be missing.
pub fn text(text: &str) -> String {
    if text.is_empty() { unknown() } else { text.to_owned() }
}

/// A list of texts.
pub fn names(names: &[String]) -> String {
    text(&names.join(", "))
}

/// A time in milliseconds since the epoch, as RFC 3339.
pub fn time(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(|_| time_ms.to_string(), |time| format!("{time:.3}"))
}

/// Something that an empty text stands for, in JSON.
pub fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// What is not known.
fn unknown() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_and_what_is_unknown_is_a_dash() {
        assert_eq!([count(Some(1_234)), count(None), offset(Some(1_234)), offset(None)], ["1,234", "-", "1234", "-"]);
        assert_eq!([None, Some(2048), Some(96 << 20), Some(3 << 29)].map(bytes), ["-", "2KiB", "96MiB", "1.5GiB"]);
        assert_eq!([rate(None), rate(Some(3 << 20))], ["-", "3MiB/s"]);
        let seconds = [None, Some(0.0), Some(61.0), Some(7_260.0)];
        assert_eq!(seconds.map(behind), ["-", "0.0s", "1m 1s", "2h 1m"]);
        assert_eq!([text(""), names(&[]), names(&["a".to_owned(), "b".to_owned()])], ["-", "-", "a, b"]);
    }

    #[test]
    fn times_are_as_rfc_3339_has_them() {
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
