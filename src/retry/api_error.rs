//! A request that was not served, and what follows from that.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A request that was not served.
#[derive(Debug)]
pub struct ApiError {
    /// Method and URL: `GET https://10.0.0.1:6443/api/v1/…`.
    pub request: String,
    /// What follows from it.
    pub kind: ErrorKind,
    /// What went wrong.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// What follows from a request that was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may have been carried out or not. Retry, after the time that the server asks for.
    Transient(Option<Duration>),
    /// The list has expired between two pages: start it again.
    Expired,
    /// The caller is not known, or is not allowed: `401` and `403`.
    Denied,
    /// The server does not know the kind.
    NotInstalled,
    /// The credentials (a kubeconfig) are missing or cannot be read.
    NoCredentials,
    /// The server rejects the request itself.
    Refused,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.kind {
            ErrorKind::Transient(_) => "was not answered",
            ErrorKind::Expired => "continues a list that has expired",
            ErrorKind::Denied => "was denied",
            ErrorKind::NotInstalled => {
                "names a kind that the API server does not know: apply leasehold's crds/"
            }
            // Nothing was sent.
            ErrorKind::NoCredentials => return f.write_str("no usable API server credentials"),
            ErrorKind::Refused => "was refused",
        };
        write!(f, "{} {outcome}", self.request)
    }
}

impl StdError for ApiError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
