//! Signs of life of nodes that have no kubelet here: their leases in `kube-node-lease`, made and
//! renewed.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use testbed::{Cluster, Node};
use tokio::task::JoinHandle;

/// Well below any time between two looks in these tests.
const PERIOD: Duration = Duration::from_millis(200);

/// A node that lives as long as this does.
pub struct Heartbeat(JoinHandle<()>);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Shows once that this node lives.
pub async fn beat(cluster: &Cluster, node: &str) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(cluster.admin().await?, "kube-node-lease");
    let now = MicroTime(Timestamp::now());
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node},
        "spec": {"holderIdentity": node, "renewTime": now},
    });
    let params = PatchParams::apply("testbed").force();
    leases
        .patch(node, &params, &Patch::Apply(lease))
        .await
        .context("renew a heartbeat")?;
    Ok(())
}

/// Shows it again and again.
pub async fn alive(cluster: &Cluster, node: &Node) -> Result<Heartbeat> {
    let (cluster, name) = (cluster.clone(), node.name().to_owned());
    beat(&cluster, &name).await?;
    Ok(Heartbeat(tokio::spawn(async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            // An API server that is away is what some of these tests are about.
            let _ = beat(&cluster, &name).await;
        }
    })))
}
