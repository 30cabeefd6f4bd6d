//! The way to an API server: where the credentials lead, and the connection.
//!
//! Sure of whom it talks to and as whom; what is said is the [door](super::door)'s business.

use std::time::Duration;

use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::client::middleware::AuthLayer;
use kube::client::{Body, ConfigExt};
use kube::config::Config;
use tower::{BoxError, ServiceBuilder};

use super::access::Access;
use super::credentials;
use super::kubeconfig::KubeconfigError;

/// A connection and whom it leads to.
#[derive(Clone)]
pub(super) struct Line {
    pub client: Client,
    pub server: String,
}

impl Line {
    /// Reads what leads there. A program that has to be run for credentials may take `patience`.
    pub async fn to(access: &Access, patience: Duration) -> Result<Self, KubeconfigError> {
        let unusable = |error| access.unusable(error);
        let config = access.config().await?;
        let auth = credentials::layer(&config, patience)
            .await
            .map_err(unusable)?;
        Ok(Self {
            server: config.cluster_url.to_string(),
            client: dial(&config, auth).map_err(unusable)?,
        })
    }
}

/// kube's own connector does not set `TCP_NODELAY`, which costs a cold process 44 ms of Nagle against delayed
/// acknowledgements, and speaks no HTTP/2, where reads in parallel share one connection.
fn dial(config: &Config, auth: Option<AuthLayer>) -> Result<Client, BoxError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut https = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        https =
            https.with_server_name_resolver(FixedServerNameResolver::new(name.clone().try_into()?));
    }
    let https = https.enable_all_versions().wrap_connector(tcp);
    let hyper: Hyper<_, Body> =
        // A repeat is decided where the outcome of a write is settled, never below it.
        Hyper::builder(TokioExecutor::new()).retry_canceled_requests(false).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .map_err(BoxError::from)
        .service(hyper);
    Ok(Client::new(service, config.default_namespace.clone()))
}
