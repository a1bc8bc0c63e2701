//! How far it is, on a terminal and nowhere else.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);

/// One line on standard error that is written again and again.
pub(super) struct Progress {
    what: &'static str,
    of: Option<u64>,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, of: Option<u64>) -> Self {
        Self { what, of, shown: None, terminal: std::io::stderr().is_terminal() }
    }

    pub(super) fn bytes(&mut self, bytes: u64) {
        if !self.terminal || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let share = self
            .of
            .filter(|of| *of > 0)
            .map_or_else(String::new, |of| format!(", {} %", bytes.min(of) * 100 / of));
        let mut out = std::io::stderr();
        // A terminal that is gone must not end the work.
        let _ = write!(out, "\r{}: {}{share}  ", self.what, mib(bytes));
        let _ = out.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// A size for people.
pub(super) fn mib(bytes: u64) -> String {
    let tenths = bytes / (1024 * 1024 / 10);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
