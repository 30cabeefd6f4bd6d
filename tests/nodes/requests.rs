//! What the runtime's many calls cost the API server.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use testbed::{Mark, Request, Worker};

use crate::env::{TestEnv, network, pod_on};

/// Where the plugin counts its calls.
const COUNTS: &str = "/var/lib/metrics";

/// A network whose calls are counted.
fn counted() -> Value {
    let mut network = network("underlay");
    network["plugins"][0]["ipam"]["metricsDir"] = json!(COUNTS);
    network
}

/// How many calls of this command have ended well.
fn calls(worker: &Worker, command: &str) -> usize {
    let file = worker.file(&format!("{COUNTS}/leasehold.prom"));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let wanted = format!("leasehold_calls_total{{command=\"{command}\",outcome=\"ok\"}} ");
    let count = text.lines().find_map(|line| line.strip_prefix(&wanted));
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_default()
}

/// The plugin's requests from this worker: its identity is the kubelet's, its name is not.
async fn requests(env: &TestEnv, worker: &Worker, since: &Mark) -> Result<Vec<Request>> {
    let user = format!("system:node:{}", worker.name());
    let all = env.nodes.cluster.requests_since(since).await?.into_iter();
    let of_plugin =
        all.filter(|request| request.user() == user && !request.user_agent.starts_with("kubelet/"));
    Ok(of_plugin.collect())
}

#[tokio::test]
async fn the_second_and_third_del_of_a_pod_cost_a_request_each_at_most_and_no_list() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = env.worker(counted()).await?;
    env.pod("web", &pod_on(&worker)).await?;
    env.settle_on(std::slice::from_ref(&worker), 1).await?;
    let mark = env.nodes.cluster.mark().await?;
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.until(async || {
        let dels = calls(&worker, "DEL");
        ensure!(dels >= 3, "{dels} DELs so far");
        Ok(())
    })
    .await?;
    let requests = requests(&env, &worker, &mark).await?;
    let told: Vec<String> = requests.iter().map(ToString::to_string).collect();
    let released = requests
        .iter()
        .position(|request| ["update", "delete"].contains(&request.verb.as_str()))
        .with_context(|| format!("no release among {told:?}"))?;
    let later = &requests[released + 1..];
    ensure!(later.len() <= 2, "{told:#?}");
    let verbs: BTreeMap<&str, usize> = later.iter().fold(BTreeMap::new(), |mut verbs, request| {
        *verbs.entry(request.verb.as_str()).or_default() += 1;
        verbs
    });
    ensure!(!verbs.contains_key("list"), "{told:#?}");
    env.retire(worker).await
}

#[tokio::test]
async fn status_sends_no_request() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = env.worker(counted()).await?;
    worker.until_ready("True").await?;
    let (mark, before) = (env.nodes.cluster.mark().await?, calls(&worker, "STATUS"));
    env.until(async || {
        let now = calls(&worker, "STATUS");
        ensure!(now >= before + 2, "{now} after {before}");
        Ok(())
    })
    .await?;
    let requests = requests(&env, &worker, &mark).await?;
    ensure!(requests.is_empty(), "{requests:?}");
    env.retire(worker).await
}
