//! Where the demo is shown: one page that is rewritten in place on a terminal, plain lines elsewhere.
//!
//! Owns: the place of the page. Never does: switch a terminal into a state that a killed demo would leave behind.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use crate::failure::Failure;
use crate::output;

/// How a whole line looks, where that can be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// As the terminal has it.
    Plain,
    /// A headline.
    Bold,
    /// Of less weight.
    Faint,
    /// Something is wrong.
    Alarm,
}

/// A line of the page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What it says; one column a character.
    pub text: String,
    /// How it looks.
    pub style: Style,
}

impl Line {
    /// A line that looks so.
    pub fn new(style: Style, text: impl Into<String>) -> Self {
        Self { text: text.into(), style }
    }

    /// What is written: cut, since a line that wraps would push the page out of its place.
    fn written(&self, columns: usize, colour: bool) -> String {
        let text: String = self.text.chars().take(columns).collect();
        let code = match self.style {
            Style::Bold => "1",
            Style::Faint => "2",
            Style::Alarm => "31;1",
            Style::Plain => return text,
        };
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    }
}

/// Stdout.
pub struct Screen {
    is_live: bool,
    colour: bool,
    /// Lines of the page that stand above the cursor.
    shown: usize,
}

impl Screen {
    /// Looks at what stdout is.
    pub fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_live: io::stdout().is_terminal() && !is_dumb, colour: output::stdout_takes_colour(), shown: 0 }
    }

    /// Whether a page can be rewritten.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Shows the page instead of what was shown before. What does not fit is cut, at the right and above.
    pub fn show(&mut self, page: &[Line]) {
        let room = size().0.saturating_sub(1);
        self.rewrite(&page[page.len().saturating_sub(room)..]);
    }

    /// Shows the whole page for the last time; what is written now comes below.
    pub fn leave(&mut self, page: &[Line]) {
        self.rewrite(page);
        self.shown = 0;
    }

    fn rewrite(&mut self, page: &[Line]) {
        let (rows, columns) = size();
        let mut frame = String::new();
        if self.shown > 0 {
            // A terminal that became lower has lost the upper lines.
            let _ = write!(frame, "\x1b[{}A", self.shown.min(rows.saturating_sub(1)));
        }
        for line in page {
            let _ = write!(frame, "\r\x1b[2K{}\r\n", line.written(columns, self.colour));
        }
        frame.push_str("\x1b[J");
        self.shown = page.len();
        // A closed terminal is the reader's choice; what is found is also what is returned.
        let _ = io::stdout().lock().write_all(frame.as_bytes());
        let _ = io::stdout().flush();
    }

    /// Writes a line for good.
    pub fn print(&self, line: &Line) -> Result<(), Failure> {
        output::result(line.written(usize::MAX, self.colour))
    }
}

/// Rows and columns of the terminal.
fn size() -> (usize, usize) {
    let size = tcgetwinsize(io::stdout()).map_or((0, 0), |size| (size.ws_row.into(), size.ws_col.into()));
    // One that does not tell is taken for the smallest usual one.
    if size.0 == 0 || size.1 == 0 { (24, 80) } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_is_seen_of_it() {
        let line = Line::new(Style::Bold, "✓ west ─> east");
        assert_eq!(line.written(6, true), "\x1b[1m✓ west\x1b[0m");
        assert_eq!(line.written(6, false), "✓ west");
        assert_eq!(line.written(80, false), "✓ west ─> east");
    }
}
