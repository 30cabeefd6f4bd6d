//! What the answers of the API server mean.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use hyper::body::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::core::Status;
use serde::de::DeserializeOwned;

use super::request::{api_error, parse};
use crate::retry::{ApiError, ErrorKind};
use crate::text::{ERROR_BYTES, truncated};

/// How much of a server's message is shown, in bytes: it may be a proxy's whole page.
const MESSAGE_BYTES: usize = ERROR_BYTES * 2 / 5;

/// What an answer means, as far as every caller has to know.
pub(super) enum Response {
    /// Done: the body.
    Done(Bytes),
    /// There is no object of that name.
    Absent,
    /// An object of that name exists already, or another version of it.
    Conflict,
}

impl Response {
    /// The object that a request which cannot conflict was answered with, `None` if it is absent.
    pub fn object<T: DeserializeOwned>(self, request: &str) -> Result<Option<T>, ApiError> {
        match self {
            Self::Done(body) => parse(request, &body).map(Some),
            Self::Absent => Ok(None),
            Self::Conflict => Err(api_error(
                request,
                ErrorKind::Transient(None),
                "an unexpected conflict",
            )),
        }
    }
}

pub(super) enum Meaning {
    Done,
    Absent,
    Conflict,
}

impl From<Meaning> for Response {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Done => Self::Done(Bytes::new()),
            Meaning::Absent => Self::Absent,
            Meaning::Conflict => Self::Conflict,
        }
    }
}

/// What a status means (Kubernetes API concepts, "HTTP status codes").
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Meaning, ErrorKind> {
    match status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => Ok(Meaning::Done),
        StatusCode::CONFLICT => Ok(Meaning::Conflict),
        StatusCode::NOT_FOUND => not_found(body),
        StatusCode::FORBIDDEN if may_be_lagging(body) => Err(ErrorKind::Forbidden),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ErrorKind::Denied),
        // A resource version, or the token of a list's next page, that is too old.
        StatusCode::GONE => Err(ErrorKind::Expired),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(ErrorKind::Transient(retry_after(headers)))
        }
        status if status.is_server_error() => Err(ErrorKind::Transient(retry_after(headers))),
        _ => Err(ErrorKind::Refused),
    }
}

/// A missing object has a Status with its name, a missing kind a Status without one or the page of
/// Go's server. Any other page is a proxy's, which knows nothing of the API server's objects.
fn not_found(body: &[u8]) -> Result<Meaning, ErrorKind> {
    const PAGE: &[u8] = b"404 page not found";
    match serde_json::from_slice::<Status>(body) {
        Ok(status)
            if status
                .details
                .as_ref()
                .is_some_and(|of| !of.name.is_empty()) =>
        {
            Ok(Meaning::Absent)
        }
        Ok(status) if status.code == 404 || !status.reason.is_empty() => {
            Err(ErrorKind::NotInstalled)
        }
        _ if body.trim_ascii() == PAGE => Err(ErrorKind::NotInstalled),
        _ => Err(ErrorKind::Transient(None)),
    }
}

/// Whether a denial may come from an authorizer that does not know yet which pods are bound to
/// which node: it is neither a missing role's, whose wording is known, nor an admission policy's,
/// unless that asked the authorizer for the pod.
fn may_be_lagging(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let by_role = body.contains(" cannot ") && body.contains(" resource ");
    let by_policy = body.contains("ValidatingAdmissionPolicy");
    body.contains(" is bound to node ") || !by_role && !by_policy
}

/// In seconds, the only form that the API server uses (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// When the server answered (RFC 9110 §6.6.1, in the form that Go's server uses).
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(headers.get(DATE)?.as_bytes())
        .ok()
}

/// The status and the server's message, in one line.
pub(super) fn server_message(status: StatusCode, body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(answer) if !answer.message.is_empty() => answer.message,
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{status}: {}", truncated(&line, MESSAGE_BYTES))
}
