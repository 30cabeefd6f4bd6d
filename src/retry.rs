//! Requests to the API server, repeated until the answer is definite or the time is over.
//!
//! Sure of when to repeat and when to stop: retries end by a deadline and never by a count, with jitter, and no earlier
//! than the server asks for; a write whose outcome is unknown is repeated until its outcome is known. What is asked, of
//! whom, and what an answer means for anybody is not known here.

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
