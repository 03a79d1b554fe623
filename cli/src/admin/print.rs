//! Results on stdout: rows and objects, as a table for people or as JSON for scripts. Notes go to stderr.

use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use proto::v1::ChangeReply;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For scripts: stable.
    Json,
}

/// Something that is listed: a row of a table, an object in JSON.
pub trait Row: Serialize {
    /// The table's columns; one that ends in `>` holds numbers.
    const COLUMNS: &'static [&'static str];

    /// The cells, in the columns' order.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows; `empty` is what to say if there are none.
pub fn list<R: Row>(format: Format, rows: &[R], empty: &str) {
    match format {
        Format::Json => json(&rows),
        Format::Table if rows.is_empty() => output::note(empty),
        Format::Table => output::result(table(rows)),
    }
}

/// Prints one object; `page` is how a person reads it.
pub fn object(format: Format, value: &impl Serialize, page: impl FnOnce() -> String) {
    match format {
        Format::Json => json(value),
        Format::Table => output::result(page().trim_end()),
    }
}

/// Prints that a change was made. `what` is what is so now: `route west-east added`.
pub fn change(format: Format, reply: &ChangeReply, what: &str, exists: &str) {
    for note in &reply.notes {
        output::note(format!("note: {note}"));
    }
    if reply.existed {
        output::note(exists);
    }
    match format {
        Format::Json => json(&serde_json::json!({ "revision": reply.revision, "existed": reply.existed })),
        Format::Table if reply.existed => {}
        Format::Table => output::result(format!("{what} (revision {})", reply.revision)),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) {
    output::result(serde_json::to_string_pretty(value).expect("rows are plain data"));
}

/// The rows below their columns' names.
pub fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let is_number = |index: usize| R::COLUMNS[index].ends_with('>');
    let cell = |(index, text): (usize, String)| {
        let cell = Cell::new(text.trim_end_matches('>'));
        if is_number(index) { cell.set_alignment(CellAlignment::Right) } else { cell }
    };
    table.set_header(R::COLUMNS.iter().map(|name| name.to_string()).enumerate().map(cell).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.cells().into_iter().enumerate().map(cell).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.trim_fmt()
}

/// A page of names and values; what is empty is left out.
pub fn page(lines: &[(&str, String)]) -> String {
    let lines: Vec<_> = lines.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = lines.iter().map(|(name, _)| name.len() + 1).max().unwrap_or_default();
    let line = |(name, value): &&(&str, String)| {
        let mut text = String::new();
        for (index, part) in value.lines().enumerate() {
            let name = if index == 0 { format!("{name}:") } else { String::new() };
            text.push_str(&format!("{name:width$}  {part}\n"));
        }
        text
    };
    lines.iter().map(line).collect()
}

/// The one row that was asked for by name.
pub fn only<R>(rows: Vec<R>, what: &str) -> Result<R, Failure> {
    let missing = Failure { exit: crate::failure::Exit::NotFound, text: format!("{what} does not exist") };
    rows.into_iter().next().ok_or(missing)
}
