//! A cluster, and sending one request to it.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tower::BoxError;

use super::access::Server;
use super::answer::{Meaning, Response, date, judge, server_message};
use super::connection::{ConnectError, Connection, Limits};
use super::credentials::Credentials;
use super::dial::{Reply, whole};
use super::exec_plugin::ExecCredential;
use super::forbidden::Forbidden;
use super::kinds::Kinds;
use super::request::{api_error, readable, seconds};
use crate::retry::{ApiError, Deadline, ErrorKind};

/// How long a request may be without an answer at most: API Priority and Fairness queues it for up
/// to 15 s, and one that is cut before that has to queue again.
const PATIENT: Duration = Duration::from_secs(16);

/// A call that is shorter than a DEL can't wait for that and try again.
const SHORT: Duration = Duration::from_secs(30);

/// So much before the deadline a request without an answer ends: the error then says which.
const MARGIN: Duration = Duration::from_millis(200);

/// After so many server errors in a row another connection is opened: a load balancer may have
/// pinned this one to a sick server.
const SERVER_ERRORS: u32 = 2;

/// A cluster, reached with the credentials of a kubeconfig or of a service account.
pub struct KubeClient {
    credentials: Credentials,
    limits: Limits,
    began: Instant,
    deadline: Deadline,
    /// How long a request may be without an answer before it is sent on another connection too.
    patience: Duration,
    state: Mutex<State>,
    server_errors: Cell<u32>,
    /// Whether a server has accepted a connection.
    reached: Cell<bool>,
    /// Whether the authorizer was seen not to know yet which pods are bound to this node.
    pub(super) authorizer_lags: Cell<bool>,
    /// The kinds of applications that were found by discovery.
    pub(super) kinds: RefCell<Kinds>,
    /// What the server's clock showed with its last answer.
    time: Cell<Option<Timestamp>>,
}

#[derive(Default)]
struct State {
    connection: Option<Rc<Connection>>,
    /// What an exec plugin has returned.
    credential: Option<ExecCredential>,
    /// The last connection that could not be opened.
    failure: Option<Failure>,
}

/// Shared by the requests that waited for the connection.
#[derive(Clone)]
struct Failure {
    at: Instant,
    server: Option<Server>,
    kind: ErrorKind,
    source: SharedError,
}

/// An error that several requests have failed by.
#[derive(Debug, Clone)]
struct SharedError(Arc<dyn StdError + Send + Sync>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl KubeClient {
    /// The cluster that these credentials lead to. Files are read with the first request, and again
    /// after any error of the connection or the credentials, since they may have been replaced
    /// meanwhile.
    #[must_use]
    pub fn new(credentials: Credentials, deadline: Deadline) -> Self {
        Self {
            credentials,
            limits: Limits::within(deadline.at),
            began: Instant::now(),
            deadline,
            patience: if deadline.at < SHORT {
                // One that is lost without a trace must leave time for another.
                PATIENT.min(deadline.at / 3)
            } else {
                PATIENT
            },
            state: Mutex::default(),
            server_errors: Cell::default(),
            reached: Cell::default(),
            authorizer_lags: Cell::default(),
            kinds: RefCell::default(),
            time: Cell::new(None),
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
        let (connection, reply) = self.reply(&request).await?;
        self.settle(&request, &connection, reply)
    }

    /// The same for an answer that may be large: `read` gets its parts as they arrive, and none is
    /// kept. What it got of an answer that breaks off counts for nothing.
    pub(super) async fn stream(
        &self,
        request: Request<Vec<u8>>,
        mut read: impl FnMut(&[u8]),
    ) -> Result<(String, Response), ApiError> {
        let connection = self.connection(&request).await?;
        let outcome = async {
            let mut response = self.in_time(connection.send(request.clone())).await??;
            if response.status() != StatusCode::OK {
                return self.in_time(whole(response)).await?;
            }
            while let Some(frame) = self.in_time(response.body_mut().frame()).await? {
                if let Ok(bytes) = frame?.into_data() {
                    read(&bytes);
                }
            }
            let (head, _) = response.into_parts();
            Ok((head.status, head.headers, Bytes::new()))
        };
        let reply = outcome.await;
        let reply = reply.map_err(|error| self.broken_off(&request, &connection, error))?;
        self.settle(&request, &connection, reply)
    }

    /// What an answer means.
    fn settle(
        &self,
        request: &Request<Vec<u8>>,
        connection: &Rc<Connection>,
        (status, headers, body): Reply,
    ) -> Result<(String, Response), ApiError> {
        let what = what(request, Some(&connection.server));
        self.time.set(date(&headers).or(self.time.get()));
        self.watch(status, connection);
        match judge(status, &headers, &body) {
            Ok(Meaning::Done) => Ok((what, Response::Done(body))),
            Ok(Meaning::Absent) => Ok((what, Response::Absent)),
            Ok(Meaning::Conflict) => Ok((what, Response::Conflict)),
            Err(kind) => {
                let lags = self.authorizer_lags.get() && status == StatusCode::FORBIDDEN;
                let kind = if lags { ErrorKind::Forbidden } else { kind };
                let message = server_message(status, &body);
                Err(match kind {
                    ErrorKind::Denied | ErrorKind::Forbidden => {
                        let place = self.credentials.place();
                        api_error(&what, kind, Forbidden::new(status, message, place))
                    }
                    ErrorKind::Transient(_)
                    | ErrorKind::Unreachable
                    | ErrorKind::Expired
                    | ErrorKind::NotInstalled
                    | ErrorKind::Untrusted
                    | ErrorKind::NoCredentials
                    | ErrorKind::Refused => api_error(&what, kind, message),
                })
            }
        }
    }

    /// Drops a connection to a server that does not know us any more, or fails again and again.
    fn watch(&self, status: StatusCode, connection: &Rc<Connection>) {
        if status == StatusCode::UNAUTHORIZED {
            self.hang_up(connection);
            if let Ok(mut state) = self.state.try_lock() {
                state.credential = None;
            }
        }
        if !status.is_server_error() {
            self.server_errors.set(0);
            return;
        }
        let errors = self.server_errors.get() + 1;
        self.server_errors.set(errors % SERVER_ERRORS);
        if errors >= SERVER_ERRORS {
            self.hang_up(connection);
        }
    }

    /// The answer, of whichever connection has it first.
    async fn reply(&self, request: &Request<Vec<u8>>) -> Result<(Rc<Connection>, Reply), ApiError> {
        let connection = self.connection(request).await?;
        let sent = Instant::now();
        let mut first = pin!(self.exchange(&connection, request));
        if let Ok(outcome) = timeout(self.patience(), &mut first).await {
            return outcome;
        }
        self.hang_up(&connection);
        let silent = || {
            api_error(
                &what(request, Some(&connection.server)),
                ErrorKind::Transient(None),
                silence(sent.elapsed()),
            )
        };
        if request.method() != Method::GET {
            // Another attempt at a write has to wait for the outcome of this one: it is for the
            // caller to settle.
            return Err(silent());
        }
        let mut second = pin!(async {
            let another = self.connection(request).await?;
            self.exchange(&another, request).await
        });
        let either = async {
            tokio::select! {
                outcome = &mut first => match outcome {
                    Ok(reply) => Ok(reply),
                    Err(_) => second.await,
                },
                outcome = &mut second => match outcome {
                    Ok(reply) => Ok(reply),
                    Err(_) => first.await,
                },
            }
        };
        timeout(self.patience(), either).await.unwrap_or_else(|_| {
            self.drop_connection();
            Err(silent())
        })
    }

    /// How long the next answer is waited for.
    fn patience(&self) -> Duration {
        let left = self.deadline.at.saturating_sub(self.began.elapsed());
        match left.checked_sub(MARGIN) {
            Some(left) if !left.is_zero() => self.patience.min(left),
            // The caller's deadline ends it.
            _ => self.patience,
        }
    }

    async fn exchange(
        &self,
        connection: &Rc<Connection>,
        request: &Request<Vec<u8>>,
    ) -> Result<(Rc<Connection>, Reply), ApiError> {
        let reply = async { whole(connection.send(request.clone()).await?).await };
        match reply.await {
            Ok(reply) => Ok((connection.clone(), reply)),
            Err(error) => Err(self.broken_off(request, connection, error)),
        }
    }

    /// The next part of an answer.
    async fn in_time<T>(&self, part: impl Future<Output = T>) -> Result<T, BoxError> {
        let part = timeout(self.patience, part).await;
        part.map_err(|_| silence(self.patience).into())
    }

    fn broken_off(
        &self,
        request: &Request<Vec<u8>>,
        connection: &Rc<Connection>,
        error: BoxError,
    ) -> ApiError {
        self.hang_up(connection);
        let what = what(request, Some(&connection.server));
        api_error(&what, ErrorKind::Transient(None), error)
    }

    async fn connection(&self, request: &Request<Vec<u8>>) -> Result<Rc<Connection>, ApiError> {
        self.shared_connection().await.map_err(|failure| {
            let what = what(request, failure.server.as_ref());
            api_error(&what, failure.kind, failure.source)
        })
    }

    /// The connection that there is, or a new one. Requests that come meanwhile wait for that, and
    /// fail with it.
    async fn shared_connection(&self) -> Result<Rc<Connection>, Failure> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if let Some(failure) = state.failure.as_ref().filter(|failure| failure.at > asked) {
            return Err(failure.clone());
        }
        let mut limits = self.limits;
        if !self.reached.get() {
            let until = self.deadline.unreachable_at;
            limits = limits.left(until.saturating_sub(self.began.elapsed()));
        }
        let opened = Connection::open(&self.credentials, &mut state.credential, limits);
        let opened = Box::pin(opened).await;
        self.reached.set(self.reached.get() || opened.is_ok());
        match opened {
            Ok(connection) => Ok(state.connection.insert(Rc::new(connection)).clone()),
            Err(ConnectError {
                server,
                kind,
                source,
            }) => {
                let failure = Failure {
                    at: Instant::now(),
                    server,
                    kind,
                    source: SharedError(source.into()),
                };
                Err(state.failure.insert(failure).clone())
            }
        }
    }

    /// Drops the connection, whichever it is: the next request opens another, with the kubeconfig
    /// as it is then.
    fn drop_connection(&self) {
        // The request that holds the state is opening one.
        if let Ok(mut state) = self.state.try_lock() {
            state.connection = None;
        }
    }

    /// Drops this connection, unless there is another by now.
    fn hang_up(&self, connection: &Rc<Connection>) {
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        let is_this = |current: &Rc<Connection>| Rc::ptr_eq(current, connection);
        if state.connection.as_ref().is_some_and(is_this) {
            state.connection = None;
        }
    }
}

fn silence(patience: Duration) -> String {
    format!("no answer within {} s", seconds(patience))
}

fn what(request: &Request<Vec<u8>>, server: Option<&Server>) -> String {
    let server = server.map(Server::url).unwrap_or_default();
    format!("{} {server}{}", request.method(), readable(request.uri()))
}
