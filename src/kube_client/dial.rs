//! A connection: address, TCP, TLS, HTTP.
//!
//! Sure that each step ends in time, that an address that swallows packets holds up no other, and
//! that a peer that has died is found while a request waits for it. kube's own connector is not
//! used: it leaves `TCP_NODELAY` off, which costs a cold process 44 ms, opens a connection for each
//! of the first parallel requests, and follows the environment's proxies.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tower::BoxError;

use super::access::Server;
use super::request::seconds;
use super::resolve::resolve;
use super::tls::Untrusted;
use crate::retry::ErrorKind;

/// When the next address is tried beside one that has not answered.
const NEXT_ADDRESS: Duration = Duration::from_millis(500);

/// How often a peer is asked whether it lives while a request waits, and how long it may take to
/// answer.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the network has not taken by then is not sent any more: a write whose call has given up
/// must not come later.
const UNACKNOWLEDGED_MS: u32 = 4_000;

/// How a connection failed, and what follows from that.
pub(super) struct DialError {
    pub kind: ErrorKind,
    pub source: BoxError,
}

/// A connection that speaks HTTP.
pub(super) enum Http {
    /// Requests share it.
    H2(http2::SendRequest<Full<Bytes>>),
    /// One after the other.
    H1(Mutex<http1::SendRequest<Full<Bytes>>>),
}

/// Status, headers and body of an answer.
pub(super) type Reply = (StatusCode, HeaderMap, Bytes);

impl Http {
    /// Sends a request for a path of `server`; the answer's body is still to be read.
    pub async fn send(
        &self,
        server: &Server,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Incoming>, BoxError> {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let path = format!("{}{path}", server.prefix);
        match self {
            Self::H2(connection) => {
                head.uri = Uri::builder()
                    .scheme(server.scheme.clone())
                    .authority(server.authority.clone())
                    .path_and_query(path)
                    .build()?;
                let request = Request::from_parts(head, Full::from(body));
                let mut connection = connection.clone();
                connection.ready().await?;
                Ok(connection.send_request(request).await?)
            }
            Self::H1(connection) => {
                head.uri = path.parse()?;
                let host = HeaderValue::from_str(server.authority.as_str())?;
                head.headers.insert(HOST, host);
                let request = Request::from_parts(head, Full::from(body));
                let mut connection = connection.lock().await;
                connection.ready().await?;
                Ok(connection.send_request(request).await?)
            }
        }
    }
}

/// Reads an answer whole.
pub(super) async fn whole(response: Response<Incoming>) -> Result<Reply, BoxError> {
    let (head, body) = response.into_parts();
    Ok((head.status, head.headers, body.collect().await?.to_bytes()))
}

/// Connects to the first address of the server that can be talked to. Each has what finding its
/// name leaves of `limit` for TCP and TLS together.
pub(super) async fn dial(
    server: &Server,
    tls: Option<ClientConfig>,
    limit: Duration,
) -> Result<Http, DialError> {
    let until = Instant::now() + limit;
    let resolved = timeout(limit, resolve(server.host())).await;
    let addresses = resolved
        .map_err(|_| {
            let (host, limit) = (server.host(), seconds(limit));
            unreachable(format!("cannot resolve {host}: no answer within {limit} s"))
        })?
        .map_err(unreachable)?;
    let limit = until.saturating_duration_since(Instant::now());
    let tls = tls.map(Arc::new);
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure: Option<DialError> = None;
    let mut begin = |attempts: &mut JoinSet<_>| {
        let next: Option<IpAddr> = waiting.next();
        if let Some(address) = next {
            let address = SocketAddr::new(address, server.port());
            attempts.spawn(connect(address, server.clone(), tls.clone(), limit));
        }
        next.is_some()
    };
    begin(&mut attempts);
    loop {
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(http))) => return Ok(http),
                Some(Ok(Err(error))) => {
                    // The first address is the one that a person would try.
                    failure.get_or_insert(error);
                    begin(&mut attempts);
                }
                Some(Err(error)) => {
                    failure.get_or_insert(unreachable(error));
                    begin(&mut attempts);
                }
                None => {
                    return Err(failure.unwrap_or_else(|| unreachable("it has no address")));
                }
            },
            () = sleep(NEXT_ADDRESS) => {
                begin(&mut attempts);
            }
        }
    }
}

fn unreachable(source: impl Into<BoxError>) -> DialError {
    DialError {
        kind: ErrorKind::Unreachable,
        source: source.into(),
    }
}

async fn connect(
    address: SocketAddr,
    server: Server,
    tls: Option<Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Http, DialError> {
    match timeout(limit, handshakes(address, server, tls)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(unreachable(format!(
            "cannot connect to {address}: no answer within {} s",
            seconds(limit)
        ))),
    }
}

async fn handshakes(
    address: SocketAddr,
    server: Server,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Http, DialError> {
    let failed = |error: &dyn std::fmt::Display| {
        unreachable(format!("cannot connect to {address}: {error}"))
    };
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|error| failed(&error))?;
    tcp.set_nodelay(true).map_err(|error| failed(&error))?;
    setsockopt(&tcp, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_MS)
        .map_err(|error| failed(&error))?;
    let Some(tls) = tls else {
        return http1(tcp).await.map_err(|error| failed(&error));
    };
    let stream = TlsConnector::from(tls)
        .connect(server.name, tcp)
        .await
        .map_err(|error| tls_error(address, &error))?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(stream).await.map_err(|error| failed(&error))
    } else {
        http1(stream).await.map_err(|error| failed(&error))
    }
}

/// A certificate that is not trusted will not be trusted in a minute either.
fn tls_error(address: SocketAddr, error: &io::Error) -> DialError {
    let untrusted = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .and_then(Untrusted::of);
    match untrusted {
        Some(untrusted) => DialError {
            kind: ErrorKind::Untrusted,
            source: untrusted.into(),
        },
        None => unreachable(format!("cannot connect to {address}: TLS: {error}")),
    }
}

async fn http2<S>(stream: S) -> Result<Http, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    Ok(Http::H2(sender))
}

async fn http1<S>(stream: S) -> Result<Http, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(Http::H1(Mutex::new(sender)))
}
