//! Time and chance as the machine has them.

use std::time::{Duration, Instant};

use jiff::{Timestamp, Unit};

use crate::retry::Clock;

/// The node's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// A clock whose elapsed time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    /// To the microsecond, the precision of a lease.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.round(Unit::Microsecond).unwrap_or(now)
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    async fn pause(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    async fn until(&self, elapsed: Duration) {
        tokio::time::sleep(elapsed.saturating_sub(self.elapsed())).await;
    }

    fn chance(&self) -> f64 {
        rand::random()
    }
}
