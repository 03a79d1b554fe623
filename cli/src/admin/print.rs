//! Results on stdout: rows and objects, as a table for people or as JSON for scripts. Notes go to stderr.

use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
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
    /// The table's columns. One that ends in `>` holds numbers; the last one is left out while it is empty.
    const COLUMNS: &'static [&'static str];

    /// The cells, in the columns' order.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows; `empty` is what to say if there are none.
pub fn list<R: Row>(format: Format, rows: &[R], empty: &str) -> Result<(), Failure> {
    match format {
        Format::Json => json(&rows),
        Format::Table if rows.is_empty() => {
            output::note(empty);
            Ok(())
        }
        Format::Table => output::result(table(rows, 0)),
    }
}

/// Prints one object; `page` is how a person reads it.
pub fn object(format: Format, value: &impl Serialize, page: impl FnOnce() -> String) -> Result<(), Failure> {
    match format {
        Format::Json => json(value),
        Format::Table => output::result(page().trim_end()),
    }
}

/// Prints that a change was made. `what` is what is so now: `route west-east added`.
pub fn change(format: Format, reply: &ChangeReply, what: &str, exists: &str) -> Result<(), Failure> {
    for note in &reply.notes {
        output::note(format!("note: {note}"));
    }
    if reply.existed {
        output::note(exists);
    }
    match format {
        Format::Json => json(&Changed { revision: reply.revision, existed: reply.existed }),
        Format::Table if reply.existed => Ok(()),
        Format::Table => output::result(format!("{what} (revision {})", reply.revision)),
    }
}

/// A change as scripts read it.
#[derive(Serialize)]
struct Changed {
    revision: u64,
    existed: bool,
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    output::result(serde_json::to_string_pretty(value).expect("rows are plain data"))
}

/// The rows below their columns' names. The last column is left out while it is empty,
/// and on a terminal it is the one that gives way, by `indent` more where the table does not begin at the margin.
pub fn table<R: Row>(rows: &[R], indent: u16) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let last = R::COLUMNS.len() - 1;
    let columns = if rows.iter().all(|cells| cells[last].is_empty()) { last } else { last + 1 };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let cell = |(index, text): (usize, &str)| {
        let is_number = R::COLUMNS[index].ends_with('>');
        let cell = Cell::new(text);
        if is_number { cell.set_alignment(CellAlignment::Right) } else { cell }
    };
    let names = R::COLUMNS.iter().map(|name| name.trim_end_matches('>'));
    table.set_header(names.take(columns).enumerate().map(cell).collect::<Vec<_>>());
    for cells in &rows {
        let texts = cells.iter().map(String::as_str);
        table.add_row(texts.take(columns).enumerate().map(cell).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    match table.width() {
        Some(width) if columns > last && width >= WIDTH_MIN => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width - indent);
            for column in table.column_iter_mut().take(last) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        _ => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.trim_fmt()
}

/// A terminal narrower than this breaks lines by itself: there is nothing to arrange.
const WIDTH_MIN: u16 = 80;

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

/// A page with a table below it, if that has rows.
pub fn page_above<R: Row>(page: String, rows: &[R]) -> String {
    if rows.is_empty() { page } else { format!("{page}\n{}", table(rows, 0)) }
}

/// The one row that was asked for by name.
pub fn only<R>(rows: Vec<R>, what: &str) -> Result<R, Failure> {
    let missing = Failure { exit: crate::failure::Exit::NotFound, text: format!("{what} does not exist") };
    rows.into_iter().next().ok_or(missing)
}
