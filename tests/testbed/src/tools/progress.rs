//! How far a long build is, in one line: rewritten in place on a terminal, else repeated now and
//! then.
//!
//! It writes to the real stderr: libtest captures what the print macros write, and minutes of
//! silence look like a hang.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is repeated where it cannot be rewritten.
const REPEAT: Duration = Duration::from_secs(15);

/// A line of progress.
pub(super) struct Progress {
    begun: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn start() -> Self {
        Self {
            begun: Instant::now(),
            shown: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows the line that `text` makes, if it is time to. A terminal is shown every change, once a
    /// second.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        let pause = if self.terminal {
            Duration::from_secs(1)
        } else {
            REPEAT
        };
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        self.shown = Some(Instant::now());
        self.write(&text());
    }

    /// Shows the last line.
    pub(super) fn finish(mut self, text: &str) {
        self.write(text);
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
        self.terminal = false;
    }

    fn write(&self, text: &str) {
        let line = line(text, self.begun.elapsed(), self.terminal);
        // Without a stderr there is no one to show it to.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

fn line(text: &str, elapsed: Duration, terminal: bool) -> String {
    let seconds = elapsed.as_secs();
    if terminal {
        format!("\r{text}, {seconds} s\x1b[K")
    } else {
        format!("{text}, {seconds} s\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_one_line_that_is_rewritten() {
        let shown = line("building etcd", Duration::from_secs(3), true);
        assert_eq!(shown, "\rbuilding etcd, 3 s\x1b[K");
    }

    #[test]
    fn a_log_gets_whole_lines() {
        let shown = line("building etcd", Duration::from_millis(3900), false);
        assert_eq!(shown, "building etcd, 3 s\n");
    }
}
