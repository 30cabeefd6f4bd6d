//! Pods that are gone, on nodes of which not all is known.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::cases::End::{Kept, Reclaimed, Untouched};
use super::cases::{ARGS, Cases};
use crate::collector::heartbeats::alive;

#[tokio::test]
async fn a_silent_node_keeps_its_leases_until_release_unreachable_waives_the_proof() -> Result<()> {
    let mut cases = Cases::new("partitioned", "10.95.0.0/24").await?;
    let silent = cases.silent.clone();
    let situation = "a pod force-deleted while its node is partitioned";
    let partitioned = cases
        .gone(&silent, "partitioned", situation, Kept("silent"))
        .await?;
    cases.judge().await?;

    let args = [&ARGS[..], &["--release-unreachable"]].concat();
    let again = cases.env.collect(&args).await?;
    let waived = "the pod is gone, and --release-unreachable waives any proof";
    ensure!(
        again.about(&partitioned.address.to_string())
            == Some(("reclaimed".to_owned(), waived.to_owned())),
        "{again:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_gone_or_vouched_for_releases_what_no_pod_has() -> Result<()> {
    let mut cases = Cases::new("nodes", "10.96.0.0/24").await?;
    let cluster = cases.env.cluster.clone();
    let (deleted, shut_down, alive) = (
        cluster.fresh_node().create().await?,
        cluster.fresh_node().create().await?,
        cluster.fresh_node().create().await?,
    );
    let orphan = "a node deleted while its pod still exists";
    cases.attach(&deleted, "orphan", orphan, Untouched).await?;
    let orphan = "a node deleted, and its pod too";
    let end = Reclaimed("the pod is gone, and its Node object has been gone for long enough");
    cases.gone(&deleted, "orphan-gone", orphan, end).await?;
    deleted.delete().await?;
    let vouched = "a node with the out-of-service taint";
    let end =
        Reclaimed("the pod is gone, and its node has the taint node.kubernetes.io/out-of-service");
    cases.gone(&shut_down, "vouched", vouched, end).await?;
    shut_down.report_ready("Unknown").await?;
    let forgotten = "a node that lives with a forgotten out-of-service taint";
    cases
        .gone(&alive, "forgotten", forgotten, Kept("silent"))
        .await?;
    let nodes: Api<Node> = Api::all(cluster.admin().await?);
    let taint = json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"});
    let patch = Patch::Merge(json!({"spec": {"taints": [taint]}}));
    for node in [shut_down, alive] {
        nodes
            .patch(node.name(), &PatchParams::default(), &patch)
            .await?;
    }
    cases.judge().await?;
    Ok(())
}

/// Kubelet lives, and has lost its container runtime; or it was cut off, is back, and has yet to
/// tear down what was deleted meanwhile.
#[tokio::test]
async fn a_node_that_is_not_ready_proves_nothing_by_its_heartbeats() -> Result<()> {
    let mut cases = Cases::new("unready", "10.97.0.0/24").await?;
    let cluster = cases.env.cluster.clone();
    for (status, name, situation) in [
        ("False", "down", "a pod that is gone, its runtime down"),
        ("Unknown", "back", "a pod that is gone, its node just back"),
    ] {
        let node = cluster.fresh_node().create().await?;
        cases.heartbeats.push(alive(&cluster, &node).await?);
        cases.gone(&node, name, situation, Kept("unready")).await?;
        node.report_ready(status).await?;
    }
    cases.judge().await?;
    let status = cases.env.read_pool(cases.env.name()).await?.status;
    let status = status.unwrap_or_default();
    ensure!(
        status.kept.get("unready") >= Some(&2),
        "the pool does not say what is kept: {status:?}"
    );
    Ok(())
}
