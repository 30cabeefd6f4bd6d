//! How long to go on.

use std::time::Duration;

/// How long to go on: until a time, not for a number of attempts. Under load, a number ends too
/// early, just when waiting would have helped.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// When the last request must have ended, answered or not, as time since the process began.
    pub at: Duration,
    /// The same where no server has accepted a connection so far.
    pub unreachable_at: Duration,
}

impl Deadline {
    /// This long after the beginning of the process.
    #[must_use]
    pub fn after(at: Duration) -> Self {
        Self {
            at,
            unreachable_at: at,
        }
    }

    /// Sooner, where no server accepts a connection.
    #[must_use]
    pub fn unreachable_after(self, unreachable_at: Duration) -> Self {
        Self {
            unreachable_at,
            ..self
        }
    }
}
