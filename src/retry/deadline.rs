//! How long to go on.

use std::time::Duration;

/// How long to go on. Bounded by a deadline and never by a count: under load a count ends too early just when patience
/// would have helped.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The time since the process began at which the last attempt has ended.
    pub at: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
}

impl Deadline {
    /// This long after the beginning of the process.
    ///
    /// A connection that hangs must leave time for others: five attempts fit in. Of all requests a consistent
    /// list takes longest, some 0.1 s at 60,000 leases; four seconds are a hung connection.
    #[must_use]
    pub fn after(at: Duration) -> Self {
        let attempt = (at / 5).clamp(Duration::from_millis(200), Duration::from_secs(4));
        Self { at, attempt }
    }
}
