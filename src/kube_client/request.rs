//! Requests and what their answers mean.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use kube::core::params::{ListParams, VersionMatch};
use serde::de::DeserializeOwned;
use tower::BoxError;

use super::connection::Connection;
use super::credentials::Credentials;
use super::forbidden::Forbidden;
use super::kubeconfig::KubeconfigError;
use crate::lease::Freshness;
use crate::retry::{ApiError, ErrorKind};
use crate::text::{ERROR_BYTES, truncated};

/// A cluster, reached with the credentials of a kubeconfig or of a service account.
pub struct KubeClient {
    credentials: Credentials,
    /// How long one request may take.
    attempt: Duration,
    connection: RefCell<Option<Connection>>,
    /// What the server's clock showed with its last answer.
    time: Cell<Option<Timestamp>>,
    /// How many objects the next page of a list should have, by the size of those on the last one.
    pub(super) fitting: Cell<u32>,
}

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

impl KubeClient {
    /// The cluster that this leads to, which is given so long for an answer. Files are read with the first request, and
    /// again after any trouble with the connection or the credentials, since they may have been replaced meanwhile.
    #[must_use]
    pub fn new(credentials: Credentials, attempt: Duration) -> Self {
        Self {
            credentials,
            attempt,
            connection: RefCell::new(None),
            time: Cell::new(None),
            fitting: Cell::default(),
        }
    }

    /// What the server's clock showed with its last answer, in whole seconds.
    pub(super) fn server_time_of_last_answer(&self) -> Option<Timestamp> {
        self.time.get()
    }

    /// Sends one request; returns with the answer what was asked of whom.
    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<(String, Response), ApiError> {
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error) => {
                let what = format!("{} {}", request.method(), readable(request.uri()));
                return Err(api_error(&what, ErrorKind::NoCredentials, error));
            }
        };
        let what = format!(
            "{} {}{}",
            request.method(),
            connection.server.trim_end_matches('/'),
            readable(request.uri())
        );
        let reply = tokio::time::timeout(self.attempt, exchange(&connection.client, request)).await;
        let (status, headers, body) = match reply {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                self.hang_up();
                return Err(api_error(&what, ErrorKind::Transient(None), error));
            }
            Err(_) => {
                self.hang_up();
                let late = format!("no answer within {} s", self.attempt.as_secs_f32());
                return Err(api_error(&what, ErrorKind::Transient(None), late));
            }
        };
        self.time.set(date(&headers).or(self.time.get()));
        match judge(status, &headers, &body) {
            Ok(meaning) => Ok((
                what,
                if let Meaning::Done = meaning {
                    Response::Done(body)
                } else {
                    meaning.into()
                },
            )),
            Err(kind) => {
                if status == StatusCode::UNAUTHORIZED {
                    self.hang_up();
                }
                let message = server_message(status, &body);
                Err(match kind {
                    ErrorKind::Denied => api_error(
                        &what,
                        kind,
                        Forbidden::new(status, message, self.credentials.place()),
                    ),
                    ErrorKind::Transient(_)
                    | ErrorKind::Expired
                    | ErrorKind::NotInstalled
                    | ErrorKind::NoCredentials
                    | ErrorKind::Refused => api_error(&what, kind, message),
                })
            }
        }
    }

    /// Drops the connection: the next request makes another, with the kubeconfig as it is then.
    fn hang_up(&self) {
        self.connection.borrow_mut().take();
    }

    async fn connection(&self) -> Result<Connection, KubeconfigError> {
        if let Some(connection) = &*self.connection.borrow() {
            return Ok(connection.clone());
        }
        let connection = Connection::to(&self.credentials, self.attempt).await?;
        Ok(self.connection.borrow_mut().insert(connection).clone())
    }
}

/// An address without what kube leaves in it where a query could be.
fn readable(uri: &Uri) -> String {
    uri.to_string()
        .replace("?&", "?")
        .trim_end_matches('?')
        .to_owned()
}

async fn exchange(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<(StatusCode, HeaderMap, Bytes), BoxError> {
    let reply = client.send(request.map(Body::from)).await;
    // The layer of the client that it came through does not matter.
    let reply = reply.map_err(|error| {
        if let kube::Error::Service(cause) = error {
            cause
        } else {
            error.into()
        }
    })?;
    let (head, body) = reply.into_parts();
    Ok((head.status, head.headers, body.collect().await?.to_bytes()))
}

enum Meaning {
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
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Meaning, ErrorKind> {
    match status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => Ok(Meaning::Done),
        StatusCode::CONFLICT => Ok(Meaning::Conflict),
        // A missing object is told by name; a missing kind by a page that is not even JSON.
        StatusCode::NOT_FOUND if names_an_object(body) => Ok(Meaning::Absent),
        StatusCode::NOT_FOUND => Err(ErrorKind::NotInstalled),
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

fn names_an_object(body: &[u8]) -> bool {
    serde_json::from_slice::<Status>(body).is_ok_and(|status| {
        status
            .details
            .is_some_and(|details| !details.name.is_empty())
    })
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
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(headers.get(DATE)?.as_bytes())
        .ok()
}

/// The status and the server's message, in one line.
fn server_message(status: StatusCode, body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(answer) if !answer.message.is_empty() => answer.message,
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{status}: {}", truncated(&line, MESSAGE_BYTES))
}

/// How old a list may be, in the API server's terms ("resourceVersion=0": from its cache, of any age).
pub(super) fn list_params(freshness: Freshness) -> ListParams {
    match freshness {
        Freshness::Cached => ListParams::default()
            .at("0")
            .matching(VersionMatch::NotOlderThan),
        Freshness::Consistent => ListParams::default(),
    }
}

/// A request that could be built; one that could not is at fault itself.
pub(super) fn built(
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Request<Vec<u8>>, ApiError> {
    request.map_err(|error| api_error("a request", ErrorKind::Refused, error))
}

pub(super) fn parse<T: DeserializeOwned>(request: &str, body: &[u8]) -> Result<T, ApiError> {
    // An answer that breaks off has been noticed before; one that is whole and not understood may be a proxy's page.
    serde_json::from_slice(body)
        .map_err(|error| api_error(request, ErrorKind::Transient(None), error))
}

pub(super) fn api_error(
    request: &str,
    kind: ErrorKind,
    source: impl Into<Box<dyn StdError + Send + Sync>>,
) -> ApiError {
    ApiError {
        request: request.to_owned(),
        kind,
        source: source.into(),
    }
}
