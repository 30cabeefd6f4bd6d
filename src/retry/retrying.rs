//! An API whose requests are repeated.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::api_error::{ApiError, ErrorKind};
use super::backoff::backoff;
use super::clock::Clock;
use super::deadline::Deadline;

/// How long a denial is doubted: longer than an API server takes from its first answer to its first
/// right one.
const DENIED_GRACE: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The deadline came before a definite answer.
    #[error("no definite answer within {seconds} s")]
    OutOfTime {
        /// The deadline that was set, in seconds.
        seconds: u64,
        /// What the API server last answered, if it was that which took the time.
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
    /// Whether a server has accepted a connection.
    reached: Cell<bool>,
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
            reached: Cell::default(),
            denied_grace: Cell::default(),
        }
    }

    /// Repeats a request until the answer is definite or the time is over.
    pub async fn retry<T>(
        &self,
        request: impl AsyncFn() -> Result<T, ApiError>,
    ) -> Result<T, Error> {
        let mut pauses = backoff();
        let mut last = None;
        loop {
            match self.in_time(request(), &mut last).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(self.wait(error, &mut pauses).await?),
            }
        }
    }

    /// The outcome of one request, which is neither begun nor waited for past the deadline. `last`
    /// is how the attempt before it failed.
    pub(super) async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, ApiError>>,
        last: &mut Option<ApiError>,
    ) -> Result<Result<T, ApiError>, Error> {
        if self.clock.elapsed() >= self.deadline.at {
            return Err(self.out_of_time(last.take()));
        }
        let mut request = pin!(request);
        let mut deadline = pin!(self.clock.until(self.deadline.at));
        let outcome = poll_fn(|context| match request.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => deadline.as_mut().poll(context).map(|()| None),
        })
        .await
        .ok_or_else(|| self.out_of_time(last.take()))?;
        let unreachable = matches!(&outcome, Err(error) if error.kind == ErrorKind::Unreachable);
        if !unreachable {
            self.reached.set(true);
        }
        Ok(outcome)
    }

    /// When to give up, as far as is known by now.
    fn end(&self) -> Duration {
        if self.reached.get() {
            self.deadline.at
        } else {
            self.deadline.unreachable_at
        }
    }

    /// What was definite and only doubted stands as it is.
    fn out_of_time(&self, last: Option<ApiError>) -> Error {
        match last {
            Some(error) if error.kind.is_definite() => Error::Api(error),
            last => Error::OutOfTime {
                seconds: self.end().as_secs(),
                last,
            },
        }
    }

    /// Waits a moment after a lost race, so that rivals finish.
    pub async fn back_off(&self, pauses: &mut impl Iterator<Item = Duration>) -> Result<(), Error> {
        let pause = self.next_pause(Duration::ZERO, pauses);
        if self.clock.elapsed() + pause >= self.end() {
            return Err(self.out_of_time(None));
        }
        self.clock.pause(pause).await;
        Ok(())
    }

    /// Waits as long as the error asks for, and returns it; an error where it is definite, or the
    /// time is over.
    pub(super) async fn wait(
        &self,
        error: ApiError,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<ApiError, Error> {
        if error.kind == ErrorKind::Refused || error.kind.is_definite() && !self.is_in_grace() {
            return Err(Error::Api(error));
        }
        let at_least = if let ErrorKind::Transient(Some(at_least)) = error.kind {
            at_least
        } else {
            Duration::ZERO
        };
        let pause = self.next_pause(at_least, pauses);
        if self.clock.elapsed() + pause >= self.end() {
            return Err(self.out_of_time(Some(error)));
        }
        self.clock.pause(pause).await;
        Ok(error)
    }

    /// Whether the first denial came just now: an API server that starts knows neither roles nor
    /// kinds for a moment, and a kubeconfig that is replaced may be half a file.
    fn is_in_grace(&self) -> bool {
        let elapsed = self.clock.elapsed();
        let until = self.denied_grace.get().unwrap_or(elapsed + DENIED_GRACE);
        self.denied_grace.set(Some(until));
        elapsed < until
    }

    /// Full jitter on top of what the server asked for: rivals that failed together do not come
    /// back together.
    fn next_pause(
        &self,
        at_least: Duration,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Duration {
        let most = pauses.next().unwrap_or_default();
        at_least + most.mul_f64(self.clock.chance())
    }
}
