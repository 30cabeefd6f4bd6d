//! What is shipped does its work as it is applied: installer, collector, image.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, DeleteParams};
use leasehold::api::IPPool;
use serde_json::json;

use crate::env::{TestEnv, network};

#[tokio::test]
async fn a_node_that_joins_later_is_served_without_a_hand() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    let nodes = env.nodes;
    let late = nodes.cluster.worker("late", &nodes.segment);
    let late = late
        .image(&nodes.image)
        .network(network("underlay"))
        .start()
        .await?;
    // Before, containerd finds no plugin of the name in the configuration.
    late.until_ready("True").await?;
    let mut spec = crate::env::pod_spec();
    spec["nodeName"] = json!("late");
    env.pod("web", &spec).await?;
    env.settle_on(std::slice::from_ref(&late), 1).await?;
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.settle(0).await?;
    // The next scheduling of the installer's pods would look for it.
    drop(late);
    nodes.cluster.kubectl(&["delete", "node", "late"]).await?;
    Ok(())
}

#[tokio::test]
async fn the_collector_writes_the_status_of_pools_as_a_pod() -> Result<()> {
    let env = TestEnv::with_pool(7).await?;
    let cluster = &env.nodes.cluster;
    let system = "leasehold-system";
    let run = [
        "create",
        "job",
        "-n",
        system,
        "--from=cronjob/leasehold-gc",
        &env.name,
    ];
    cluster.kubectl(&run).await?;
    let jobs: Api<Job> = Api::namespaced(cluster.admin().await?, system);
    env.until(async || {
        let status = jobs.get(&env.name).await?.status.unwrap_or_default();
        if status.succeeded != Some(1) {
            let logs = cluster
                .kubectl(&["get", "pods", "-n", system, "-o", "wide"])
                .await?;
            anyhow::bail!("the collector's job has not succeeded: {status:?}\n{logs}");
        }
        Ok(())
    })
    .await?;
    let pools: Api<IPPool> = Api::all(cluster.admin().await?);
    let status = pools.get(&env.name).await?.status.context("no status")?;
    ensure!(status.capacity == 7, "{status:?}");
    Ok(())
}
