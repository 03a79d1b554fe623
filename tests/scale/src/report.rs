//! What was measured, with the gates.

use std::fmt;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

/// All figures.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    rows: Vec<Row>,
}

/// A report to which figures are added that no gate is for.
pub struct WithoutGates<'a>(&'a mut Report);

/// Takes figures.
pub trait Figures {
    /// One more figure; a gate is the most that it may be.
    fn add(&mut self, what: &str, of: &str, value: f64, unit: Unit, gate: Option<f64>);

    /// A time.
    fn time(&mut self, what: &str, of: &str, took: Duration, gate: Option<Duration>) {
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        self.add(what, of, millis(took), Unit::Milliseconds, gate.map(millis));
    }
}

/// One figure.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    of: String,
    value: f64,
    unit: Unit,
    gate: Option<f64>,
    passed: bool,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Unit {
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "cores")]
    Cores,
    #[serde(rename = "B")]
    Bytes,
}

impl Report {
    /// The same report, for figures that no gate is for.
    pub fn without_gates(&mut self) -> WithoutGates<'_> {
        WithoutGates(self)
    }

    /// Whether no gate was missed.
    pub fn is_passed(&self) -> bool {
        self.rows.iter().all(|row| row.passed)
    }

    /// The report for programs.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.rows)
    }
}

impl Figures for Report {
    fn add(&mut self, what: &str, of: &str, value: f64, unit: Unit, gate: Option<f64>) {
        let row = Row {
            what: what.to_owned(),
            of: of.to_owned(),
            value,
            unit,
            gate,
            passed: gate.is_none_or(|most| value <= most),
        };
        eprintln!("{row}");
        self.rows.push(row);
    }
}

impl Figures for WithoutGates<'_> {
    fn add(&mut self, what: &str, of: &str, value: f64, unit: Unit, _gate: Option<f64>) {
        self.0.add(what, of, value, unit, None);
    }
}

impl Row {
    fn verdict(&self) -> &'static str {
        match (self.gate, self.passed) {
            (None, _) => "",
            (Some(_), true) => "pass",
            (Some(_), false) => "FAIL",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "ms",
            Self::Cores => "cores",
            Self::Bytes => "B",
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {} {}", self.what, self.of, number(self.value), self.unit)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header(["what", "of", "measured", "at most", ""]);
        for row in &self.rows {
            let gate = row.gate.map(|gate| format!("{} {}", number(gate), row.unit)).unwrap_or_default();
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&row.what),
                Cell::new(&row.of),
                right(format!("{} {}", number(row.value), row.unit)),
                right(gate),
                Cell::new(row.verdict()),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Three digits that count, or all before the point.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}
