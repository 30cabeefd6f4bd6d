//! A person frees an address in use only after annotating its lease.

use anyhow::{Context, Result};
use kube::api::PostParams;

use super::TwoNodes;

async fn stored(nodes: &TwoNodes, address: &str, lease: &str) -> Result<String> {
    let lease = nodes.lease(address, lease)?;
    let name = lease.metadata.name.clone().unwrap_or_default();
    let leases = nodes.leases_as_admin().await?;
    leases.create(&PostParams::default(), &lease).await?;
    Ok(name)
}

#[tokio::test]
async fn a_held_lease_is_deleted_by_hand_only_once_it_is_annotated() -> Result<()> {
    let nodes = TwoNodes::new("by-hand").await?;
    let name = stored(&nodes, "192.0.2.1", "Held them").await?;
    let words = format!(
        "the address is held by pod by-hand/theirs on {}: if it is not in use any more, first annotate the lease with \
         ipam.leasehold.io/release={}",
        nodes.there.name(),
        nodes.holder("them").uid
    );
    let delete = ["delete", "iplease", &name];
    let refused = async |args: &[&str]| {
        let outcome = nodes.cluster.kubectl(args).await;
        let refusal = outcome.expect_err("refused").to_string();
        assert!(refusal.ends_with(&words), "{refusal}");
    };
    refused(&delete).await;
    // The collector too releases it first, by a replace.
    let collector = "--as=system:serviceaccount:leasehold-system:leasehold-gc";
    refused(&[&delete[..], &[collector]].concat()).await;

    let annotate = async |value: &str| {
        let value = format!("ipam.leasehold.io/release={value}");
        let annotate = ["annotate", "--overwrite", "iplease", &name, &value];
        nodes.cluster.kubectl(&annotate).await
    };
    // The annotation speaks for one holder: neither for any, nor for the one before.
    for value in ["true", "false", &nodes.holder("me").uid] {
        annotate(value).await?;
        refused(&delete).await;
    }
    annotate(&nodes.holder("them").uid).await?;
    nodes.cluster.kubectl(&delete).await.map(drop)
}

#[tokio::test]
async fn leases_that_are_not_held_are_deleted_by_hand() -> Result<()> {
    let nodes = TwoNodes::new("unheld").await?;
    for (address, lease) in [
        ("192.0.2.1", "Cooling them"),
        ("192.0.2.2", "Retained them"),
        ("192.0.2.3", "Quarantined them"),
    ] {
        let name = stored(&nodes, address, lease).await?;
        nodes
            .cluster
            .kubectl(&["delete", "iplease", &name])
            .await
            .context(address)?;
    }
    Ok(())
}
