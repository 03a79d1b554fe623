//! All that happened in a run, in order, as one hash; on request also as text.

use std::fmt::{Display, Write};
use std::time::Duration;

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    prints: bool,
    line: String,
}

impl Trace {
    /// An empty one; `prints` says whether each line also goes to stderr.
    pub fn new(prints: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, prints, line: String::new() }
    }

    /// Something happened.
    pub fn note(&mut self, at: Duration, who: &str, what: impl Display) {
        self.line.clear();
        write!(self.line, "{:9.3} {who}: {what}", at.as_secs_f64()).expect("a string takes all");
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if self.prints {
            eprintln!("{}", self.line);
        }
    }

    /// FNV-1a over all lines.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
