//! What is shipped does its work as it is applied: installer, collector, image.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{Api, DeleteParams, PostParams};
use leasehold::api::IPPool;
use serde_json::json;
use testbed::repository;

use crate::PLUGIN;
use crate::env::{TestEnv, network, pod_on, pod_spec};

#[tokio::test]
async fn a_node_that_joins_later_is_served_without_a_hand() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    let late = env.worker(network("underlay")).await?;
    late.until_ready("True").await?;
    env.pod("web", &pod_on(&late)).await?;
    env.settle_on(std::slice::from_ref(&late), 1).await?;
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.settle(0).await?;
    env.retire(late).await
}

#[tokio::test]
async fn deleting_the_installer_changes_nothing_on_the_nodes() -> Result<()> {
    let env = TestEnv::in_a_cluster_of_its_own(4).await?;
    let delete = [
        "delete",
        "-n",
        "leasehold-system",
        "daemonset/leasehold-installer",
    ];
    env.nodes
        .cluster
        .kubectl(&[&delete[..], &["--cascade=foreground"]].concat())
        .await?;
    for worker in &env.nodes.workers {
        let there = std::fs::read(worker.file("/opt/cni/bin/leasehold"))?;
        ensure!(
            there == std::fs::read(PLUGIN)?,
            "another file than was installed"
        );
    }
    env.pod("web", &pod_spec()).await?;
    env.settle(1).await?;
    Ok(())
}

#[tokio::test]
async fn the_job_of_a_node_installs_the_plugin_there() -> Result<()> {
    let env = TestEnv::with_pool(1).await?;
    let (cluster, worker) = (&env.nodes.cluster, &env.nodes.workers[1]);
    let folder = repository().join("deploy/install").display().to_string();
    let manifest = cluster.kubectl(&["kustomize", &folder]).await?;
    let manifest = manifest
        .replace("HASH", &env.name)
        .replace("NODE", worker.name());
    let file = worker.file("/opt/cni/bin/leasehold");
    let before = file.metadata()?.modified()?;
    cluster.apply_yaml(&manifest).await?;
    let job = format!("job/leasehold-install-{}", env.name);
    let done = [
        "wait",
        "-n",
        "leasehold-system",
        &job,
        "--for=condition=Complete",
    ];
    cluster
        .kubectl(&[&done[..], &["--timeout=180s"]].concat())
        .await?;
    ensure!(
        std::fs::read(&file)? == std::fs::read(PLUGIN)?,
        "another file"
    );
    ensure!(
        file.metadata()?.modified()? > before,
        "the file was there before the Job"
    );
    Ok(())
}

#[tokio::test]
async fn the_collector_writes_the_status_of_pools_as_a_pod() -> Result<()> {
    let env = TestEnv::with_pool(7).await?;
    let cluster = &env.nodes.cluster;
    let system = "leasehold-system";
    let client = cluster.admin().await?;
    let cron: CronJob = Api::namespaced(client.clone(), system)
        .get("leasehold-gc")
        .await?;
    let mut spec = cron
        .spec
        .and_then(|cron| cron.job_template.spec)
        .context("no Job")?;
    // On a node that no case takes away while it runs.
    let pod = spec.template.spec.get_or_insert_default();
    pod.node_name = Some(env.nodes.workers[0].name().to_owned());
    let job: Job = serde_json::from_value(json!({"metadata": {"name": env.name}, "spec": spec}))?;
    let jobs: Api<Job> = Api::namespaced(client.clone(), system);
    jobs.create(&PostParams::default(), &job).await?;
    env.until(async || {
        let status = jobs.get(&env.name).await?.status.unwrap_or_default();
        ensure!(
            status.succeeded == Some(1),
            "the collector has not succeeded: {:?}\n{}",
            status.conditions,
            logs(&env)
        );
        Ok(())
    })
    .await?;
    let pools: Api<IPPool> = Api::all(client);
    let status = pools.get(&env.name).await?.status.context("no status")?;
    ensure!(status.capacity == 7, "{status:?}");
    Ok(())
}

/// What the collector of the case has written.
fn logs(env: &TestEnv) -> String {
    let folder = format!("/var/log/pods/leasehold-system_{}*/gc/*.log", env.name);
    let show = format!("cat {folder} 2>&1");
    env.nodes.workers[0]
        .run(&["sh", "-c", &show])
        .unwrap_or_else(|error| error.to_string())
}
