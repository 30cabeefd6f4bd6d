//! Each case of the rules, a group of them to a test, judged by real runs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::heartbeats::alive;
use super::run::Attached;
use cases::ARGS;

mod cases;
mod leases;
mod nodes;
mod pods;

/// One whose object was deleted by force while it was ending: kubelet lets it have its time all the
/// same.
#[tokio::test]
async fn a_pod_that_takes_long_to_end_has_its_time() -> Result<()> {
    let env = super::run::env("ending", "10.74.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let pod = env.cluster.pod(env.name(), "ending");
    let pod = pod.on(&node).ending_within(8).create().await?;
    let Attached { pod, address, .. } = env.attach_pod(&node, pod).await?;
    pod.force_delete().await?;
    let gone = Instant::now();
    env.collect_all(&ARGS).await?;
    ensure!(gone.elapsed() > Duration::from_secs(8), "{address}");
    Ok(())
}

/// The margin is on top of the time that a pod is given to end.
#[tokio::test]
async fn a_kubelet_that_is_there_again_has_the_margin() -> Result<()> {
    let env = super::run::env("margin", "10.75.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    env.attach(&node, "gone").await?.pod.force_delete().await?;
    let gone = Instant::now();
    let report = env.collect_all(&["--margin", "5s"]).await?;
    ensure!(gone.elapsed() > Duration::from_secs(5), "{report:#?}");
    Ok(())
}
