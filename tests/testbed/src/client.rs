//! Clients of the API server for the tests themselves: to arrange and to look.

use anyhow::{Context, Result};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tower::{BoxError, ServiceBuilder};

/// A client of the runtime that calls this.
///
/// kube's own leaves Nagle's algorithm on, and so waits 40 ms for a delayed acknowledgement now and
/// then; hence this stack.
pub(crate) async fn connect(kubeconfig: &str) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).context("read a kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .context("understand a kubeconfig")?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = config
        .rustls_https_connector_with_connector(tcp)
        .context("set up TLS")?;
    let hyper: Hyper<_, kube::client::Body> = Hyper::builder(TokioExecutor::new()).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().context("set up credentials")?)
        .map_err(BoxError::from)
        .service(hyper);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}
