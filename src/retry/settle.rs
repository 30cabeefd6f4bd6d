//! Writes whose outcome may be unknown.
//!
//! A broken connection proves nothing about the write that was sent on it: it may have been carried
//! out, or will be. So it is repeated on the same object, at the same version, which does no harm,
//! until the answer is definite.

use super::api_error::{ApiError, ErrorKind};
use super::backoff::backoff;
use super::clock::Clock;
use super::retrying::{Error, Retrying};

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit<T> {
    /// It is done, and this is what is stored now.
    Won(T),
    /// Something else is stored: an object of that name, another version of it, or none.
    Lost,
}

/// What a lost write means if an earlier attempt had no answer, judged by what is stored now.
#[derive(Debug, Clone, PartialEq)]
pub enum AfterLoss<T> {
    /// It is what was written: the earlier attempt was carried out.
    Ours(T),
    /// It is another's, or a version that the write can never replace.
    Lost,
    /// Nothing is stored any more, and the earlier attempt may still arrive: the write is repeated.
    Again,
}

/// A write that was given up.
#[derive(Debug)]
pub struct WriteError {
    /// Why.
    pub error: Error,
    /// Whether it may have been carried out, or may still be.
    pub unsettled: bool,
}

impl From<WriteError> for Error {
    fn from(given_up: WriteError) -> Self {
        given_up.error
    }
}

impl<A, C: Clock> Retrying<'_, A, C> {
    /// Repeats a write until its outcome is known or the time is over.
    ///
    /// If it is lost after an attempt without an answer, `read` finds out what became of that
    /// attempt.
    pub async fn settle<T>(
        &self,
        write: impl AsyncFn() -> Result<Commit<T>, ApiError>,
        read: impl AsyncFn() -> Result<AfterLoss<T>, ApiError>,
    ) -> Result<Commit<T>, WriteError> {
        let mut unsettled = false;
        let mut pauses = backoff();
        let mut failed = None;
        loop {
            let lost = match self.in_time(write(), &mut failed).await {
                Ok(Ok(Commit::Lost)) if unsettled => self.retry(&read).await,
                Ok(Ok(commit)) => return Ok(commit),
                Err(error) => {
                    // It was waited for in vain, or not even begun; what is not known is kept.
                    unsettled = true;
                    Err(error)
                }
                Ok(Err(error)) => {
                    unsettled |= matches!(error.kind, ErrorKind::Transient(_));
                    let waited = self.wait(error, &mut pauses).await;
                    waited.map(|error| {
                        failed = Some(error);
                        AfterLoss::Again
                    })
                }
            };
            match lost {
                Ok(AfterLoss::Ours(stored)) => return Ok(Commit::Won(stored)),
                Ok(AfterLoss::Lost) => return Ok(Commit::Lost),
                Ok(AfterLoss::Again) => {}
                Err(error) => return Err(WriteError { error, unsettled }),
            }
        }
    }
}
