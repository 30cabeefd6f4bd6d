//! Requests to the API server, repeated until the answer is definite or the time is over.
//!
//! This module is sure of when to repeat and when to stop: retries end by a deadline and never by a
//! count, with jitter, and never sooner than the server asks for; a write whose outcome is unknown
//! is repeated until its outcome is known. It knows neither the requests nor what an answer means.

mod api_error;
mod backoff;
mod clock;
mod deadline;
mod retrying;
mod settle;

pub use api_error::{ApiError, ErrorKind};
pub use backoff::backoff;
pub use clock::Clock;
pub use deadline::Deadline;
pub use retrying::{Error, Retrying};
pub use settle::{AfterLoss, Commit, WriteError};
