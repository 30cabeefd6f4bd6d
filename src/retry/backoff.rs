//! How long to wait between two attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The upper bounds of the pauses, one after the other. There is no last one: a deadline bounds the
/// retries.
///
/// The first is about as long as a write takes; the longest is short against any deadline.
pub fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .with_factor(2.0)
        .without_max_times()
        .build()
}
