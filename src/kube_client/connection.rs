//! The way to an API server: where the credentials lead, and the connection.
//!
//! Sure of whom it talks to and as whom; what is said is the [door](super::door)'s business.

use std::time::Duration;

use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::client::{Body, ConfigExt};
use kube::config::Config;
use tower::{BoxError, ServiceBuilder};

use super::credentials::Credentials;
use super::exec_plugin;
use super::kubeconfig::KubeconfigError;

/// A connection and whom it leads to.
#[derive(Clone)]
pub(super) struct Connection {
    pub client: Client,
    pub server: String,
}

impl Connection {
    /// Reads what leads there, and makes ready for requests that may take `attempt` each.
    pub async fn to(credentials: &Credentials, attempt: Duration) -> Result<Self, KubeconfigError> {
        let config = credentials.config().await?;
        let server = config.cluster_url.to_string();
        let client = exec_plugin::within(attempt, config, move |config| dial(config, attempt));
        Ok(Self {
            server,
            client: client.await.map_err(|error| credentials.unusable(error))?,
        })
    }
}

/// kube's own connector does not set `TCP_NODELAY`, which costs a cold process 44 ms of Nagle against delayed
/// acknowledgements, and speaks no HTTP/2, where reads in parallel share one connection.
fn dial(config: &Config, attempt: Duration) -> Result<Client, BoxError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // What the network has not taken by then is not sent any more: a write whose call has given up must not come later.
    tcp.set_tcp_user_timeout(Some(attempt));
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
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(hyper);
    Ok(Client::new(service, config.default_namespace.clone()))
}
