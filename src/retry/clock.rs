//! Time and chance, which decisions take from outside.

use std::time::Duration;

use jiff::Timestamp;

/// Time and chance.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Clock {
    /// The node's clock.
    fn now(&self) -> Timestamp;
    /// The time since this process began.
    fn elapsed(&self) -> Duration;
    /// Lets `pause` pass.
    async fn pause(&self, pause: Duration);
    /// Lets time pass until the process has run for so long.
    async fn until(&self, elapsed: Duration);
    /// A number in `0.0..1.0`.
    fn chance(&self) -> f64;
}
