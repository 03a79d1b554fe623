//! Where copying begins, as a user writes it: `earliest`, `latest` or a time.

use jiff::Timestamp;
use proto::v1::StartPosition;
use proto::v1::start_position::At;

use super::units;

/// Reads it.
pub fn parse(text: &str) -> Result<StartPosition, String> {
    let at = match text {
        "earliest" => At::Earliest(true),
        "latest" => At::Latest(true),
        time => {
            let time: Timestamp = time.parse().map_err(|_| {
                "give earliest, latest or a time with its zone, such as 2026-01-31T08:00:00Z".to_owned()
            })?;
            At::TimeMs(time.as_millisecond())
        }
    };
    Ok(StartPosition { at: Some(at) })
}

/// Writes it, so that it can be read again.
pub fn shown(start: Option<&StartPosition>) -> String {
    match start.and_then(|start| start.at.as_ref()) {
        None | Some(At::Earliest(_)) => "earliest".to_owned(),
        Some(At::Latest(_)) => "latest".to_owned(),
        Some(At::Offset(offset)) => format!("offset {offset}"),
        Some(At::TimeMs(time)) => units::time(*time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_shown_again() {
        for (text, again) in [
            ("earliest", "earliest"),
            ("latest", "latest"),
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00.000Z"),
            ("2026-01-31T08:00:00.5+01:00", "2026-01-31T07:00:00.500Z"),
        ] {
            assert_eq!(shown(Some(&parse(text).unwrap())), again);
        }
    }

    #[test]
    fn a_time_without_its_zone_is_none() {
        for bad in ["2026-01-31T08:00:00", "2026-01-31", "yesterday", "1700000000", "", "Latest"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
