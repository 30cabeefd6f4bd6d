//! Plugins that reach the API server through a proxy, each under a name by which the proxy knows
//! it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use kube::api::{Api, Patch, PatchParams, PostParams};
use leasehold::api::{IPLease, IPLeaseSpec, IPPool, State};
use serde_json::{Value, json};
use testbed::proxy::{Log, On, Proxy};
use testbed::{Attachment, Cluster, Pod};

use super::TestEnv;
use super::objects::until_cached;

/// A proxy in front of this API server.
pub async fn in_front_of(cluster: &Cluster, server: usize) -> Result<Proxy> {
    until_creates_are_quick(cluster).await?;
    Ok(Proxy::start(&cluster.url(server), &cluster.ca_pem())?)
}

/// An API server waits for two seconds before it creates the first object of a kind that is younger
/// than that, for other servers to hear of the kind (k8s.io/apiextensions-apiserver,
/// `customresource_handler.go`).
async fn until_creates_are_quick(cluster: &Cluster) -> Result<()> {
    let spec = IPLeaseSpec {
        address: "192.0.2.1".to_owned(),
        state: State::Retained,
        ..IPLeaseSpec::default()
    };
    let leases: Api<IPLease> = Api::all(cluster.admin().await?);
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    leases
        .create(&dry_run, &IPLease::new("192.0.2.1", spec))
        .await?;
    Ok(())
}

impl TestEnv {
    /// The proxy in front of the API server.
    pub fn proxy(&self) -> &Proxy {
        let proxy = self.proxy.as_ref();
        proxy.expect("this isolation has no proxy: ask for one by Isolation::proxy")
    }

    /// Whether there is one.
    pub fn is_proxied(&self) -> bool {
        self.proxy.is_some()
    }

    /// The node's kubeconfig, through the proxy and under this name.
    pub fn kubeconfig_via(&self, caller: &str) -> Result<PathBuf> {
        let identity = self.node.identity().server(&self.proxy().url_for(caller));
        let identity = identity.ca(self.proxy().ca_pem());
        self.node.write_kubeconfig(caller, &identity)
    }

    /// The first interface of a pod. Its plugin is this caller, and has five seconds.
    pub fn eth0_via(&self, caller: &str, pod: &Pod) -> Result<Attachment> {
        let eth0 = self.eth0(pod)?.ipam("timeoutSeconds", json!(5));
        Ok(eth0.ipam("kubeconfig", json!(self.kubeconfig_via(caller)?)))
    }

    /// Has ADD begin with a list of this pool's leases, as where the collector found nothing free.
    pub async fn report_full(&self, pool: &str) -> Result<()> {
        self.report(
            pool,
            &json!({"free": 0, "observedAt": "2026-01-01T00:00:00.000000Z"}),
        )
        .await
    }

    /// Has the collector have counted so.
    pub async fn report(&self, pool: &str, status: &Value) -> Result<()> {
        let status = json!({"status": status});
        let pools: Api<IPPool> = self.api().await?;
        let written = pools
            .patch_status(pool, &PatchParams::default(), &Patch::Merge(status))
            .await?;
        until_cached(&pools, &written).await
    }

    /// Waits until so many leases are held.
    pub async fn until_held(&self, leases: usize) -> Result<()> {
        while self.held().await?.len() < leases {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits until the proxy has nothing in hand of this caller any more.
    pub async fn until_all_has_arrived(&self, caller: &str) -> Result<Log> {
        let of_caller = On::any().caller(caller);
        let quiet = |log: &Log| log.of(&of_caller).all(|record| record.ended.is_some());
        Ok(self.proxy().wait_for("the last request", quiet).await?)
    }
}
