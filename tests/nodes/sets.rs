//! A Deployment whose addresses a firewall can know.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, ListParams};
use leasehold::api::{IPClaim, IPLease};
use serde_json::json;

use crate::env::{TestEnv, pod_spec};

/// No ADD is under way when the collector runs.
const SHORT: [&str; 2] = ["--add-timeout=10s", "--claim-grace=10s"];

#[tokio::test]
async fn a_deployment_keeps_to_its_set_while_it_is_rolled_scaled_and_deleted() -> Result<()> {
    // A run of the collector that waits this little would take from other cases' workloads.
    let env = TestEnv::in_a_cluster_of_its_own(1).await?;
    env.subnet(100, 60).await?;
    let annotations = json!({"ipam.leasehold.io/subnet": json!({"ipv4": [env.name]}).to_string()});
    let template = json!({
        "metadata": {"labels": {"app": "web"}, "annotations": annotations},
        "spec": pod_spec(),
    });
    env.workload(
        "Deployment",
        "web",
        &json!({"replicas": 10, "template": template}),
    )
    .await?;
    env.settle(10).await?;
    let first = env.set().await?;
    ensure!(first.len() == 13, "ten, and a quarter more: {first:?}");

    env.kubectl(&["rollout", "restart", "deployment/web"])
        .await?;
    env.kubectl(&["rollout", "status", "deployment/web", "--timeout=180s"])
        .await?;
    env.settle(10).await?;
    ensure!(
        env.set().await? == first,
        "a rollout went outside of {first:?}"
    );

    env.kubectl(&["scale", "deployment/web", "--replicas=40"])
        .await?;
    env.settle(40).await?;
    let grown = env.set().await?;
    ensure!(
        grown.len() == 50 && grown.is_superset(&first),
        "{first:?}, then {grown:?}"
    );

    env.kubectl(&["scale", "deployment/web", "--replicas=10"])
        .await?;
    env.settle(10).await?;
    env.until(async || {
        env.collect(&SHORT).await?;
        let shrunk = env.set().await?;
        ensure!(shrunk.len() == 13 && shrunk.is_subset(&grown), "{shrunk:?}");
        Ok(())
    })
    .await?;
    env.settle(10).await?;

    env.kubectl(&["delete", "deployment/web"]).await?;
    env.settle(0).await?;
    env.until(async || {
        env.collect(&SHORT).await?;
        let claims = env
            .all::<IPClaim>()
            .await?
            .list(&ListParams::default())
            .await?;
        ensure!(
            claims.items.is_empty(),
            "the set is still there: {:?}",
            claims.items
        );
        let leases = env.leases_of_subnet().await?;
        ensure!(leases.is_empty(), "{leases:?}");
        Ok(())
    })
    .await
}

impl TestEnv {
    /// The Subnet of the case, with so many of its addresses from this one on.
    async fn subnet(&self, first: u8, count: u8) -> Result<()> {
        let last = self.address(first + count - 1);
        let watched = (first..first + count).map(|host| self.address(host));
        self.nodes.watch.add(watched);
        self.apply(&json!({
            "apiVersion": "leasehold.io/v1alpha1", "kind": "Subnet",
            "metadata": {"name": self.name},
            "spec": {
                "subnet": format!("{}/24", self.address(0)),
                "ips": [format!("{}-{last}", self.address(first))],
                "gateway": self.address(1),
            },
        }))
        .await
    }

    /// The addresses of the only set of the case, of which every lease is of the Subnet, and every
    /// lease of the Subnet one.
    async fn set(&self) -> Result<BTreeSet<String>> {
        let claims = self
            .all::<IPClaim>()
            .await?
            .list(&ListParams::default())
            .await?;
        let [claim] = &claims.items[..] else {
            anyhow::bail!("{} claims", claims.items.len());
        };
        let status = claim.status.clone().context("a status")?;
        let set: BTreeSet<String> = status.addresses.into_iter().collect();
        let leases = self.leases_of_subnet().await?;
        let kept: BTreeSet<String> = leases.into_iter().map(|lease| lease.spec.address).collect();
        ensure!(
            kept == set,
            "the set is {set:?}, the leases are of {kept:?}"
        );
        Ok(set)
    }

    async fn leases_of_subnet(&self) -> Result<Vec<IPLease>> {
        let leases: Api<IPLease> = Api::all(self.nodes.cluster.admin().await?);
        let of_subnet = ListParams::default().fields(&format!("spec.pool=subnet/{}", self.name));
        Ok(leases.list(&of_subnet).await?.items)
    }
}
