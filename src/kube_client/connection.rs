//! The way to an API server: the credentials as they are now, and a connection.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use jiff::Timestamp;
use tower::BoxError;

use super::access::Server;
use super::credentials::Credentials;
use super::dial::{DialError, Http, dial};
use super::exec_plugin::ExecCredential;
use super::tls;
use crate::retry::ErrorKind;

/// A connection and whom it leads to.
pub(super) struct Connection {
    http: Http,
    pub server: Server,
    authorization: Option<HeaderValue>,
}

/// How long the parts of a way to a server may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// A program that returns credentials.
    exec: Duration,
    /// TCP and TLS together, to one address.
    dial: Duration,
    /// What is left of the time that a server has to accept a connection.
    left: Duration,
}

/// How long TCP and TLS may take at most. A server under load takes a second.
const DIAL: Duration = Duration::from_secs(10);

impl Limits {
    /// In a call of this length.
    pub fn within(call: Duration) -> Self {
        Self {
            // What is left is for what the credentials are needed for.
            exec: call * 4 / 5,
            dial: DIAL.min(call / 3),
            left: Duration::MAX,
        }
    }

    /// Where no server has accepted a connection so far.
    pub fn left(self, left: Duration) -> Self {
        Self { left, ..self }
    }
}

/// Why there is no connection.
pub(super) struct ConnectError {
    /// To which server, if that is known.
    pub server: Option<Server>,
    pub kind: ErrorKind,
    pub source: BoxError,
}

impl Connection {
    /// Reads what leads there, and connects. An exec plugin is run only if `credential` holds
    /// nothing, or what has expired.
    pub async fn open(
        credentials: &Credentials,
        credential: &mut Option<ExecCredential>,
        limits: Limits,
    ) -> Result<Self, ConnectError> {
        let unusable = |source: BoxError| ConnectError {
            server: None,
            kind: ErrorKind::NoCredentials,
            source,
        };
        let access = credentials
            .access()
            .map_err(|error| unusable(error.into()))?;
        let mut identity = &access.identity;
        if let Some(exec) = &access.identity.exec {
            let expired =
                |known: &ExecCredential| known.expires.is_some_and(|at| at <= Timestamp::now());
            if credential.as_ref().is_none_or(expired) {
                let run = credentials.run(exec, limits.exec).await;
                *credential = Some(run.map_err(|error| unusable(error.into()))?);
            }
        }
        if access.identity.exec.is_some()
            && let Some(known) = credential
        {
            identity = &known.identity;
        }
        let why = |error: BoxError| unusable(credentials.unusable(error).into());
        let authorization = match &identity.authorization {
            Some(value) => {
                let mut value = HeaderValue::from_str(value)
                    .map_err(|_| why("its token has characters that no header can hold".into()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let tls = if access.server.is_tls() {
            Some(tls::config(&access, identity.certificate.as_ref()).map_err(why)?)
        } else {
            None
        };
        let server = access.server;
        let limit = if access.identity.exec.is_some() {
            // The program may have taken all of that time.
            limits.dial
        } else {
            limits.dial.min(limits.left)
        };
        match dial(&server, tls, limit).await {
            Ok(http) => Ok(Self {
                http,
                server,
                authorization,
            }),
            Err(DialError { kind, source }) => Err(ConnectError {
                server: Some(server),
                kind,
                source,
            }),
        }
    }

    /// Sends a request; the answer's body is still to be read.
    pub async fn send(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Incoming>, BoxError> {
        if let Some(authorization) = &self.authorization {
            request
                .headers_mut()
                .insert(AUTHORIZATION, authorization.clone());
        }
        self.http.send(&self.server, request).await
    }
}
