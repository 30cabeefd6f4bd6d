//! How long to go on.

use std::time::Duration;

/// How long to go on: until a time, not for a number of attempts. Under load, a number ends too
/// early, just when waiting would have helped.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// When the last attempt must have ended, as time since the process began.
    pub at: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
}

impl Deadline {
    /// This long after the beginning of the process.
    ///
    /// A connection that hangs must leave time for others: five attempts fit in. The slowest
    /// request is a consistent list, some 0.1 s at 60,000 leases; after four seconds the connection
    /// hangs.
    #[must_use]
    pub fn after(at: Duration) -> Self {
        let attempt = (at / 5).clamp(Duration::from_millis(200), Duration::from_secs(4));
        Self { at, attempt }
    }
}
