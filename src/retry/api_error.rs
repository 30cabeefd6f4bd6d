//! A request that was not served, and what follows from that.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A request that was not served.
#[derive(Debug)]
pub struct ApiError {
    /// What was asked of whom: `GET https://10.0.0.1:6443/api/v1/…`.
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
    /// No server has accepted a connection: it was not carried out, and another attempt is worth
    /// it.
    Unreachable,
    /// The list has expired between two pages: start it again.
    Expired,
    /// The caller is not known, or no role allows it: `401` and `403`.
    Denied,
    /// A `403` that no missing role explains: the authorizer may not know yet which pods are bound
    /// to the caller's node.
    Forbidden,
    /// The server does not know the kind.
    NotInstalled,
    /// The server's certificate is not trusted.
    Untrusted,
    /// The credentials (a kubeconfig) are missing or cannot be read.
    NoCredentials,
    /// The server rejects the request itself.
    Refused,
}

impl ErrorKind {
    /// Whether another attempt would most likely end the same way: an API server that starts knows
    /// neither roles nor kinds for a moment, and a kubeconfig that is replaced may be half a file.
    pub(super) fn is_definite(self) -> bool {
        match self {
            Self::Denied
            | Self::Forbidden
            | Self::NotInstalled
            | Self::Untrusted
            | Self::NoCredentials
            | Self::Refused => true,
            Self::Transient(_) | Self::Unreachable | Self::Expired => false,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.kind {
            ErrorKind::Transient(_) => "was not answered",
            ErrorKind::Expired => "continues a list that has expired",
            ErrorKind::Unreachable | ErrorKind::Untrusted => "was not sent",
            ErrorKind::Denied | ErrorKind::Forbidden => "was denied",
            ErrorKind::NotInstalled => {
                "names a kind that the API server does not know: apply leasehold's crds/"
            }
            // Not even a server is known.
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
