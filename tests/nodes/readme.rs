//! "Install on a cluster" of the README, followed to the letter on a cluster that has nothing.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use leasehold::api::{IPLease, IPPool};
use serde_json::{Value, json};
use testbed::{Cluster, Segment, Tool, repository};

use crate::env::{image, pod_spec, until};

/// The blocks of the section in this language, each with what it says before it.
fn blocks(language: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("README.md"))?;
    let section = text.split("## Install on a cluster\n").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next());
    let section = section.context("the README has no such section")?;
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    Ok(blocks
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect())
}

/// Runs these lines in a shell, in the repository, as a user with kubectl does.
async fn run(cluster: &Cluster, lines: &str) -> Result<String> {
    let kubectl = cluster.tool(Tool::Kubectl);
    let folder = kubectl.parent().unwrap_or(Path::new("/"));
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let out = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", lines])
        .current_dir(repository())
        .env("PATH", path)
        .env("HOME", cluster.dir())
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{lines}{errors}");
    Ok(String::from_utf8(out.stdout)?)
}

/// The network of the README on the nodes here, whose only interface is `eth0`.
fn network() -> Result<Value> {
    let mut plugin: Value = serde_json::from_str(&blocks("json")?.concat())?;
    plugin["master"] = json!("eth0");
    Ok(json!({
        "cniVersion": plugin["cniVersion"], "name": plugin["name"], "plugins": [plugin],
    }))
}

#[tokio::test]
async fn a_new_user_gets_a_pod_with_an_address_by_the_readme_alone() -> Result<()> {
    let cluster = Cluster::builder().bare().workloads().start().await?;
    let segment = Segment::new()?;
    let worker = cluster.worker("worker-1", &segment);
    let worker = worker.image(&image(&cluster)?).network(network()?);
    let worker = worker.start().await?;
    // The image is there already, and "Check" comes last.
    let mut steps = blocks("sh")?;
    steps.retain(|step| step.starts_with("kubectl "));
    let check = steps.pop().context("the README has no commands")?;
    // Each of its lines begins with a prompt or goes on.
    steps.extend(
        blocks("console")?
            .iter()
            .map(|step| step.replacen("$ ", "", 1)),
    );
    ensure!(steps.len() == 3, "{steps:#?}");
    for step in &steps {
        run(&cluster, step).await?;
    }
    worker.until_ready("True").await?;
    let job = "kubectl wait -n leasehold-system --for=condition=Complete --timeout=180s \
               job -l app.kubernetes.io/component=install";
    run(&cluster, job).await?;

    let client = cluster.admin().await?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": pod_spec(),
    });
    cluster.apply_yaml(&pod.to_string()).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let status = until(async || {
        let status = pods.get("web").await?.status.unwrap_or_default();
        ensure!(status.phase.as_deref() == Some("Running"), "{status:?}");
        Ok(status)
    })
    .await?;
    let all: Api<IPLease> = Api::all(client.clone());
    let all = all.list(&ListParams::default()).await?.items.into_iter();
    let mut leased: Vec<String> = all.map(|lease| lease.spec.address).collect();
    leased.sort();
    let shown = status.pod_ips.unwrap_or_default().into_iter();
    let mut shown: Vec<String> = shown.map(|address| address.ip).collect();
    shown.sort();
    ensure!(
        leased.len() == 2 && leased == shown,
        "{leased:?}, {shown:?}"
    );

    // The collector counts it within a minute.
    let pools: Api<IPPool> = Api::all(client);
    until(async || {
        let pool = pools.get("underlay-v4").await?;
        let held = pool.status.map(|status| status.held);
        ensure!(held == Some(1), "held: {held:?}");
        Ok(())
    })
    .await?;
    let shown = run(&cluster, &check).await?;
    ensure!(
        leased.iter().all(|address| shown.contains(address)),
        "{shown}"
    );
    Ok(())
}
