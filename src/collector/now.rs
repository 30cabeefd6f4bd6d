//! What time it is, by two clocks.

use std::time::Duration;

use jiff::Timestamp;

/// The API server's times have whole seconds, in its answers and in objects.
const RESOLUTION: Duration = Duration::from_secs(1);

/// The API server's clock and the run's own: an age is the smaller of both, so that no clock that
/// is fast lets a wait end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The API server's, which is what is written down; `None`: its answers have none.
    pub server: Option<Timestamp>,
    /// The run's own.
    pub own: Timestamp,
}

impl Now {
    /// How long ago that was; zero for what lies ahead, `None` without the API server's clock.
    #[must_use]
    pub fn age(&self, since: Timestamp) -> Option<Duration> {
        let earlier = self.server?.min(self.own);
        Some(Duration::try_from(earlier.duration_since(since)).unwrap_or_default())
    }

    /// Whether more than `wait` has passed since then.
    #[must_use]
    pub fn is_past(&self, since: Timestamp, wait: Duration) -> bool {
        self.age(since)
            .is_some_and(|age| age > wait.saturating_add(RESOLUTION) || wait.is_zero())
    }

    /// Whether that lies ahead by the API server's clock, or that clock is not known.
    #[must_use]
    pub fn is_future(&self, at: Timestamp) -> bool {
        self.server.is_none_or(|server| at > server)
    }

    /// Whether a time that is written in an object has come, by both clocks.
    #[must_use]
    pub fn has_come(&self, at: impl Into<Timestamp>) -> bool {
        let at = at.into();
        self.own >= at && self.server.is_none_or(|server| server >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("a time")
    }

    #[test]
    fn an_age_is_the_smaller_of_both_clocks() {
        for (server, own, age) in [
            (Some(100), 100, Some(100)),
            (Some(100), 3600, Some(100)),
            (Some(3600), 100, Some(100)),
            (Some(-50), 100, Some(0)),
            (None, 100, None),
        ] {
            let now = Now {
                server: server.map(at),
                own: at(own),
            };
            let expected = age.map(Duration::from_secs);
            assert_eq!(now.age(at(0)), expected, "{server:?} and {own}");
        }
    }

    #[test]
    fn a_wait_is_over_only_when_it_is_over_to_the_second() {
        let now = Now {
            server: Some(at(100)),
            own: at(100),
        };
        for (wait, is_past) in [(98, true), (99, false), (100, false), (0, true)] {
            let wait = Duration::from_secs(wait);
            assert_eq!(now.is_past(at(0), wait), is_past, "{wait:?}");
        }
        assert!(!now.is_past(at(0), Duration::MAX));
    }
}
