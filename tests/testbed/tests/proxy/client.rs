//! A client that retries nothing and returns how it failed.

use std::error::Error;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use testbed::proxy::Proxy;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

impl Http {
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];
}

/// One process's client: its own connections, closed when it is dropped.
#[derive(Clone)]
pub struct Client {
    base: String,
    hyper: Hyper<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// How a request failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of a reply came.
    NoReply(String),
    /// The head came, and so many bytes of the body.
    Cut(StatusCode, usize, String),
}

/// What the kernel says of a connection that was reset, to who reads and to who writes.
pub const RESET: &[&str] = &["reset", "broken pipe", "Broken pipe"];

impl Failure {
    pub fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.reason().contains(word))
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::NoReply(reason) | Self::Cut(_, _, reason) => reason,
        }
    }
}

impl Client {
    pub fn new(http: Http, base: &str, ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let tls = ClientConfig::builder()
            .with_root_certificates(Arc::new(roots))
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = match http {
            Http::One => https.enable_http1().wrap_connector(tcp),
            Http::Two => https.enable_http2().wrap_connector(tcp),
        };
        let mut builder = Hyper::builder(TokioExecutor::new());
        builder
            .retry_canceled_requests(false)
            .http2_only(http == Http::Two);
        Self {
            base: base.to_owned(),
            hyper: builder.build(https),
        }
    }

    pub fn of(proxy: &Proxy, http: Http) -> Self {
        Self::new(http, &proxy.url(), proxy.ca_pem())
    }

    pub async fn get(&self, path: &str) -> Result<Got, Failure> {
        self.send(Method::GET, path, &Value::Null).await
    }

    pub async fn create(&self, collection: &str, name: &str) -> Result<Got, Failure> {
        self.send(
            Method::POST,
            collection,
            &json!({"metadata": {"name": name}}),
        )
        .await
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Got, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", "Bearer of-n1")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let reply = self
            .hyper
            .request(request)
            .await
            .map_err(|error| Failure::NoReply(chain(&error)))?;
        let (head, mut body) = reply.into_parts();
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(error) => return Err(Failure::Cut(head.status, whole.len(), chain(&error))),
            }
        }
        Ok(Got {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&whole)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&whole).into_owned())),
        })
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |&error| error.source());
    errors
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// A client of kube's own, without the retries that it has by default.
pub fn kube_leases(proxy: &Proxy, caller: &str) -> Api<DynamicObject> {
    let authority = CertificateDer::pem_slice_iter(proxy.ca_pem().as_bytes());
    let mut config = kube::Config::new(proxy.url_for(caller).parse().unwrap());
    config.root_cert = Some(
        authority
            .map(|certificate| certificate.unwrap().to_vec())
            .collect(),
    );
    config.default_retry = false;
    Api::all_with(kube::Client::try_from(config).unwrap(), &kind())
}

pub fn kind() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "leasehold.io",
        "v1alpha1",
        "IPLease",
    ))
}
