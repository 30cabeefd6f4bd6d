//! An API whose requests are repeated.

use std::cell::Cell;
use std::time::Duration;

use super::api_error::{ApiError, ErrorKind};
use super::backoff::backoff;
use super::clock::Clock;
use super::deadline::Deadline;

/// How long a denial is retried: longer than an API server that has just started gives wrong ones.
const DENIED_GRACE: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The deadline came before a definite answer.
    #[error("no definite answer within {seconds} s")]
    OutOfTime {
        /// The deadline that was set, in seconds.
        seconds: u64,
        /// The last answer of the API server, if it was what took the time.
        #[source]
        last: Option<ApiError>,
    },
    /// The API server gave a definite refusal.
    #[error(transparent)]
    Api(ApiError),
}

/// An API, and how long to go on asking it.
pub struct Retrying<'a, A, C> {
    /// What is asked: each call of it is one request.
    pub api: &'a A,
    /// Time and chance.
    pub clock: &'a C,
    /// When to give up.
    pub deadline: Deadline,
    /// Until when a denial may still be a server's that has just started.
    denied_grace: Cell<Option<Duration>>,
}

impl<'a, A, C: Clock> Retrying<'a, A, C> {
    /// Asks `api` until `deadline`.
    pub fn new(api: &'a A, clock: &'a C, deadline: Deadline) -> Self {
        Self {
            api,
            clock,
            deadline,
            denied_grace: Cell::default(),
        }
    }

    /// Repeats a request until the answer is definite or the time is over.
    pub async fn retry<T>(
        &self,
        request: impl AsyncFn() -> Result<T, ApiError>,
    ) -> Result<T, Error> {
        let mut pauses = backoff();
        loop {
            match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait(error, &mut pauses).await?,
            }
        }
    }

    /// Waits a moment after a lost race, so that rivals finish.
    pub async fn back_off(&self, pauses: &mut impl Iterator<Item = Duration>) -> Result<(), Error> {
        self.pause(Duration::ZERO, None, pauses).await
    }

    /// Waits as long as the error asks for; returns it where it is definite, or the time is over.
    pub(super) async fn wait(
        &self,
        error: ApiError,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<(), Error> {
        match error.kind {
            ErrorKind::Transient(at_least) => {
                self.pause(at_least.unwrap_or_default(), Some(error), pauses)
                    .await
            }
            ErrorKind::Expired => self.pause(Duration::ZERO, Some(error), pauses).await,
            ErrorKind::Denied | ErrorKind::NotInstalled | ErrorKind::NoCredentials
                if self.is_in_grace() =>
            {
                let doubted = self.pause(Duration::ZERO, None, pauses).await;
                // Without time for a retry the denial is final.
                doubted.map_err(|_| Error::Api(error))
            }
            ErrorKind::Denied
            | ErrorKind::NotInstalled
            | ErrorKind::NoCredentials
            | ErrorKind::Refused => Err(Error::Api(error)),
        }
    }

    /// Whether the first denial was a moment ago: an API server that has just started knows neither
    /// roles nor kinds yet, and a kubeconfig that is being replaced may be half a file.
    fn is_in_grace(&self) -> bool {
        let elapsed = self.clock.elapsed();
        let until = self.denied_grace.get().unwrap_or(elapsed + DENIED_GRACE);
        self.denied_grace.set(Some(until));
        elapsed < until
    }

    /// Full jitter on top of what the server asked for: rivals that failed together do not come
    /// back together.
    async fn pause(
        &self,
        at_least: Duration,
        last: Option<ApiError>,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<(), Error> {
        let pause = at_least
            + pauses
                .next()
                .unwrap_or_default()
                .mul_f64(self.clock.chance());
        // No attempt starts that could end after the deadline.
        if self.clock.elapsed() + pause + self.deadline.attempt > self.deadline.at {
            return Err(Error::OutOfTime {
                seconds: self.deadline.at.as_secs(),
                last,
            });
        }
        self.clock.pause(pause).await;
        Ok(())
    }
}
