//! Writing to the person: results to stdout, notes to stderr. A reader that went away (`replisome … | head`) ends
//! nothing and panics nothing; what is left to say is dropped. Results that can't be written otherwise, such as to a
//! full disk, are a failure: whoever reads the file later must not take it for whole.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Writes a line of result to stdout.
pub fn result(line: impl fmt::Display) -> Result<(), Failure> {
    streamed(line).map(|_is_read| ())
}

/// Writes a line of a stream of results to stdout; false once nobody reads it any more.
pub fn streamed(line: impl fmt::Display) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    is_read(writeln!(stdout, "{line}").and_then(|()| stdout.flush()))
}

/// What came of writing to stdout: whether somebody reads it.
pub fn is_read(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        // A closed pipe is the reader's choice, not a failure of the command.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(format!("standard output can't be written: {error}"))),
    }
}

/// Writes a note to stderr.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether stderr is a terminal on which a line can be rewritten in place.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stdout takes colours: only a terminal does, and never under `NO_COLOR`.
pub fn stdout_takes_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line on stderr that is rewritten in place. Log lines may come between: the cursor waits at its beginning.
#[derive(Default)]
pub struct LiveLine {
    shown: bool,
}

impl LiveLine {
    /// Shows `text` instead of what was shown before.
    pub fn show(&mut self, text: &str) {
        // Wrapping is switched off around the text, so that a narrow terminal cuts it instead of breaking it.
        let _ = write!(io::stderr().lock(), "\x1b[2K\x1b[?7l{text}\x1b[?7h\r");
        self.shown = true;
    }

    /// Clears the line.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr().lock(), "\x1b[2K");
        }
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (5_000_000, "5,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
