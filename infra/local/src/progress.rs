//! What the person at the terminal sees while the stack starts.

use std::io::Write as _;

/// Prints one line per step, or nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    quiet: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// A terminal that went away is no reason to stop.
    pub(crate) fn say(self, line: impl AsRef<str>) {
        if !self.quiet {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{}", line.as_ref());
            let _ = out.flush();
        }
    }
}
