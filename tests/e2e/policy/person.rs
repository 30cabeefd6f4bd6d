//! A person takes an address in use from its holder only after annotating its lease.

use anyhow::{Context, Result, ensure};
use kube::api::PostParams;
use serde_json::{Value, json};

use super::TwoNodes;

async fn stored(nodes: &TwoNodes, address: &str, lease: &str) -> Result<String> {
    let lease = nodes.lease(address, lease)?;
    let name = lease.metadata.name.clone().unwrap_or_default();
    let leases = nodes.leases_as_admin().await?;
    leases.create(&PostParams::default(), &lease).await?;
    Ok(name)
}

/// What a person is told of a lease of theirs that is held.
fn advice(nodes: &TwoNodes, namespace: &str) -> String {
    format!(
        "the address is held by pod {namespace}/theirs on {}: if it is not in use any more, first annotate the lease with \
         ipam.leasehold.io/release={}",
        nodes.there.name(),
        nodes.holder("them").uid
    )
}

#[tokio::test]
async fn a_held_lease_gets_another_holder_by_hand_only_once_it_is_annotated() -> Result<()> {
    let nodes = TwoNodes::new("edited").await?;
    let name = stored(&nodes, "192.0.2.1", "Held them").await?;
    let patch = async |spec: Value| {
        let patch = json!({"spec": spec}).to_string();
        let patch = ["patch", "iplease", &name, "--type=merge", "-p", &patch];
        nodes.cluster.kubectl(&patch).await
    };
    let another = json!({"holder": {"uid": "another"}});
    let released = json!({"state": "Cooling", "releasedAt": "2026-01-31T12:00:00.000000Z", "holder": {"uid": "another"}});
    for spec in [another.clone(), released] {
        let refusal = patch(spec).await.expect_err("refused").to_string();
        ensure!(refusal.ends_with(&advice(&nodes, "edited")), "{refusal}");
    }
    // What is not the holder may be edited.
    patch(json!({"cooldownSeconds": 7})).await?;
    let release = format!("ipam.leasehold.io/release={}", nodes.holder("them").uid);
    let annotate = ["annotate", "iplease", &name, &release];
    nodes.cluster.kubectl(&annotate).await?;
    patch(another).await.map(drop)
}

#[tokio::test]
async fn a_held_lease_is_deleted_by_hand_only_once_it_is_annotated() -> Result<()> {
    let nodes = TwoNodes::new("by-hand").await?;
    let name = stored(&nodes, "192.0.2.1", "Held them").await?;
    let words = advice(&nodes, "by-hand");
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
