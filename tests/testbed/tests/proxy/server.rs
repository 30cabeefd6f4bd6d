//! A server that keeps objects as an API server does, over TLS, and that can be killed.
//!
//! It creates once and refuses to create again, and knows nothing else of the API: what the proxy
//! does must not rest on more.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

pub struct Server {
    pub ca_pem: String,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    objects: Objects,
    running: Option<JoinHandle<()>>,
}

impl Server {
    pub async fn start() -> Self {
        let (acceptor, ca_pem) = certificate();
        let mut server = Self {
            ca_pem,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            acceptor,
            objects: Objects::default(),
            running: None,
        };
        server.run().await;
        server
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn put(&self, path: &str, object: Value) {
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub fn has(&self, path: &str) -> bool {
        self.objects.lock().unwrap().contains_key(path)
    }

    /// As SIGKILL would: every connection is gone.
    pub async fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            assert!(running.await.is_err(), "the server ended by itself");
        }
    }

    /// Starts again at the same address, with the same objects.
    pub async fn run(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (acceptor, objects) = (self.acceptor.clone(), Arc::clone(&self.objects));
        self.running = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let (acceptor, objects) = (acceptor.clone(), Arc::clone(&objects));
                connections.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let service = service_fn(|request| answer(Arc::clone(&objects), request));
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(tls), service)
                        .await;
                });
            }
        }));
    }
}

async fn answer(
    objects: Objects,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let object: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let mut objects = objects.lock().unwrap();
    let (status, reply) = match head.method {
        Method::POST => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let at = format!("{path}/{name}");
            match objects.entry(at) {
                Entry::Occupied(_) => (StatusCode::CONFLICT, json!({"reason": "AlreadyExists"})),
                Entry::Vacant(free) => (StatusCode::CREATED, free.insert(object).clone()),
            }
        }
        Method::PUT => {
            objects.insert(path, object.clone());
            (StatusCode::OK, object)
        }
        // What came is shown, so that a test sees what arrives here.
        _ if path == "/echo" => {
            let sent = head
                .headers
                .get(header::AUTHORIZATION)
                .map(|value| value.to_str().unwrap());
            (
                StatusCode::OK,
                json!({"uri": head.uri.path_and_query().unwrap().as_str(), "authorization": sent}),
            )
        }
        _ => match objects.get(&path) {
            Some(object) => (StatusCode::OK, object.clone()),
            None if path.ends_with('s') => {
                let inside = |at: &&String| at.starts_with(&path);
                let names: Vec<&String> = objects.keys().filter(inside).collect();
                (StatusCode::OK, json!({"names": names}))
            }
            None => (StatusCode::NOT_FOUND, json!({"reason": "NotFound"})),
        },
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.to_string())));
    *response.status_mut() = status;
    Ok(response)
}

fn certificate() -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca_pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let key = KeyPair::generate().unwrap();
    let shown = params.signed_by(&key, &issuer).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![shown.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), ca_pem)
}
