//! The API server behind the proxy.
//!
//! Sure to send a request at most once: nothing here retries, and a connection found dead is an
//! error of the request that found it.

use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri, Version, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, crypto::ring};

/// Why an API server can't be addressed.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The address is not of the form `https://host:port`.
    #[error("{0:?} is not the address of an API server")]
    Address(String),
    /// The certificates of its authority can't be read.
    #[error("the API server's authority is not PEM")]
    Pem(#[from] pem::Error),
    /// They can't be used.
    #[error("the API server's authority is unusable")]
    Tls(#[from] rustls::Error),
}

/// An API server, and the connections to it.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Connections>);

#[derive(Debug)]
struct Connections {
    authority: Authority,
    tls: ClientConfig,
    http1: Sender,
    http2: Sender,
}

type Sender = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A request with the whole of its body, so that it can be sent when its client has gone, and
/// again.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) version: Version,
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Upstream {
    /// The API server at `url` (`https://host:port`), whose certificate one of `ca_pem` has signed.
    pub fn new(url: &str, ca_pem: &str) -> Result<Self, UpstreamError> {
        let address = || UpstreamError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| address())?;
        let authority = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) if *scheme == Scheme::HTTPS => authority.clone(),
            _ => return Err(address()),
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::over(authority, tls))
    }

    /// The same server by connections of its own. Each client's connection gets such: then none
    /// waits for another's, and none finds a dead one that another left behind.
    pub(super) fn anew(&self) -> Self {
        Self::over(self.0.authority.clone(), self.0.tls.clone())
    }

    /// Sends the request once, by the version of HTTP that its client speaks.
    pub(super) async fn ask(&self, whole: Whole) -> Result<Response<Incoming>, legacy::Error> {
        let sender = if whole.version == Version::HTTP_2 {
            &self.0.http2
        } else {
            &self.0.http1
        };
        let mut request = Request::new(Full::new(whole.body));
        *request.method_mut() = whole.method;
        *request.uri_mut() = self.address(whole.path);
        *request.headers_mut() = whole.headers;
        strip_hops(request.headers_mut());
        request.headers_mut().remove(header::HOST);
        let mut response = sender.request(request).await?;
        strip_hops(response.headers_mut());
        Ok(response)
    }

    fn address(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.0.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("scheme, authority and path make an address")
    }

    fn over(authority: Authority, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // Nagle against delayed ACK costs 40 ms a request.
        tcp.set_nodelay(true);
        let connector = || {
            hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_only()
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder.retry_canceled_requests(false);
        let http1 = builder.build(connector().enable_http1().wrap_connector(tcp.clone()));
        let http2 = builder
            .http2_only(true)
            .build(connector().enable_http2().wrap_connector(tcp));
        Self(Arc::new(Connections {
            authority,
            tls,
            http1,
            http2,
        }))
    }
}

/// Takes away what is meant for the next hop only (RFC 9110 §7.6.1); each side's HTTP writes its
/// own.
fn strip_hops(headers: &mut HeaderMap) {
    const HOPS: [HeaderName; 7] = [
        header::CONNECTION,
        header::EXPECT,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    for name in HOPS {
        headers.remove(name);
    }
}
