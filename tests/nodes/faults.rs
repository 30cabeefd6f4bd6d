//! What goes wrong on a node: kubelet, runtime, sandboxes, plugins and power.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::env::{TestEnv, network, pod_on, pod_spec};

/// How long the API server is away: longer than a call of the plugin takes to try again, and than
/// its DEL waits.
const AWAY: Duration = Duration::from_secs(30);

/// Without the time that a pod has to end.
pub fn by_force() -> DeleteParams {
    DeleteParams::default().grace_period(0)
}

#[tokio::test]
async fn the_address_of_a_pod_deleted_by_force_is_held_until_its_kubelet_is_back() -> Result<()> {
    let env = TestEnv::with_pool(1).await?;
    let worker = env.worker(network("underlay")).await?;
    env.pod("web", &pod_on(&worker)).await?;
    let web = env.settle_on(std::slice::from_ref(&worker), 1).await?;

    worker.kill_kubelet().await?;
    env.delete_pod("web", &by_force()).await?;
    // Another pod that would take the address; the only one that there is.
    env.pod("next", &pod_spec()).await?;
    let refusal = env.event("next", "FailedCreatePodSandBox").await?;
    ensure!(refusal.contains("1 held"), "{refusal}");
    ensure!(env.held().await? == web, "{:?}", env.held().await?);
    let runs_on = worker
        .sandboxes()?
        .iter()
        .any(|sandbox| sandbox.netns.is_some());
    ensure!(runs_on, "the sandbox of the deleted pod is gone");

    worker.start_kubelet()?;
    let next = env.settle(1).await?;
    ensure!(next.keys().eq(web.keys()), "{next:?}");
    env.retire(worker).await
}

#[tokio::test]
async fn pods_keep_their_addresses_while_kubelet_and_containerd_are_killed() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    let worker = env.worker(network("underlay")).await?;
    let workers = [worker.clone()];
    for name in ["one", "two"] {
        env.pod(name, &pod_on(&worker)).await?;
    }
    let before = env.settle_on(&workers, 2).await?;
    let sandboxes = sandboxes(&worker)?;

    worker.kill_kubelet().await?;
    worker.kill_containerd().await?;
    ensure!(sandboxes == self::sandboxes(&worker)?, "they run on");
    worker.start_containerd().await?;
    worker.start_kubelet()?;
    // A pod that starts after that shows that both work again.
    env.pod("three", &pod_on(&worker)).await?;
    let after = env.settle_on(&workers, 3).await?;
    ensure!(
        before
            .iter()
            .all(|(address, pod)| after.get(address) == Some(pod)),
        "{before:?}, then {after:?}"
    );
    for name in ["one", "two", "three"] {
        env.delete_pod(name, &DeleteParams::default()).await?;
    }
    env.settle_on(&workers, 0).await?;
    env.retire(worker).await
}

/// The ids of the sandboxes that have a network of their own.
fn sandboxes(worker: &testbed::Worker) -> Result<Vec<String>> {
    let mut ids: Vec<String> = worker
        .sandboxes()?
        .into_iter()
        .filter(|sandbox| sandbox.netns.is_some())
        .map(|sandbox| sandbox.id)
        .collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test]
async fn a_pod_whose_sandbox_was_killed_gets_another_one_and_one_address() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    let worker = env.worker(network("underlay")).await?;
    let workers = [worker.clone()];
    env.pod("web", &pod_on(&worker)).await?;
    env.settle_on(&workers, 1).await?;
    let before = sandboxes(&worker)?;
    for sandbox in worker.sandboxes()? {
        if sandbox.netns.is_some() {
            worker.run(&["kill", "-9", &sandbox.pid.to_string()])?;
        }
    }
    env.until(async || {
        let now = sandboxes(&worker)?;
        ensure!(!now.is_empty() && now != before, "{now:?}");
        Ok(())
    })
    .await?;
    env.settle_on(&workers, 1).await?;
    env.retire(worker).await
}

#[tokio::test]
async fn after_a_power_cut_each_pod_holds_one_address_again() -> Result<()> {
    let env = TestEnv::with_pool(6).await?;
    let worker = env.worker(network("underlay")).await?;
    let workers = [worker.clone()];
    for name in ["one", "two"] {
        env.pod(name, &pod_on(&worker)).await?;
    }
    env.settle_on(&workers, 2).await?;
    let before = sandboxes(&worker)?;
    worker.reboot().await?;
    ensure!(
        sandboxes(&worker)?.iter().all(|id| !before.contains(id)),
        "no sandbox outlives it"
    );
    env.until(async || {
        ensure!(sandboxes(&worker)?.len() == 2, "no new sandboxes");
        Ok(())
    })
    .await?;
    env.settle_on(&workers, 2).await?;
    env.retire(worker).await
}

/// A plugin that passes on what it is given, and fails to undo it while the file is there.
pub const CHAINED: &str = r#"#!/bin/sh
case $CNI_COMMAND in
ADD) sed 's/.*"prevResult":\(.*\),"type":"chained".*/\1/' ;;
DEL) [ ! -e /run/chained-fails ] || { echo '{"code": 100, "msg": "chained fails"}'; touch /run/chained-failed; exit 1; } ;;
VERSION) echo '{"cniVersion": "1.1.0", "supportedVersions": ["1.1.0"]}' ;;
esac
"#;

#[tokio::test]
async fn an_address_is_held_as_long_as_a_chained_plugin_keeps_its_pod_from_ending() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let mut chain = network("underlay");
    if let Some(plugins) = chain["plugins"].as_array_mut() {
        plugins.push(json!({"type": "chained"}));
    }
    let worker = env.worker_with(chain, CHAINED).await?;
    let workers = [worker.clone()];
    env.pod("web", &pod_on(&worker)).await?;
    let held = env.settle_on(&workers, 1).await?;

    worker.write("/run/chained-fails", "")?;
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.until(async || {
        ensure!(
            worker.file("/run/chained-failed").exists(),
            "the DEL has not come"
        );
        Ok(())
    })
    .await?;
    // The chain is undone from its end: our DEL has not come, and the interface is there.
    ensure!(env.held().await? == held, "{:?}", env.held().await?);
    std::fs::remove_file(worker.file("/run/chained-fails"))?;
    env.settle_on(&workers, 0).await?;
    env.retire(worker).await
}

#[tokio::test]
async fn a_pod_that_finds_its_pool_full_says_so_and_starts_once_there_is_room() -> Result<()> {
    let env = TestEnv::with_pool(1).await?;
    env.pod("first", &pod_spec()).await?;
    env.settle(1).await?;
    env.pod("second", &pod_spec()).await?;
    let refusal = env.event("second", "FailedCreatePodSandBox").await?;
    ensure!(
        refusal.contains(&env.name) && refusal.contains("1 held"),
        "{refusal}"
    );
    env.pool(2, 1).await?;
    env.settle(2).await?;
    Ok(())
}

#[tokio::test]
async fn a_node_whose_plugin_is_misconfigured_is_not_ready_and_says_why() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = env.worker(misspelt()).await?;
    env.until(async || {
        let message = worker.until_ready("False").await?;
        ensure!(message.contains("ipv4pool"), "{message}");
        Ok(())
    })
    .await?;
    worker.write(
        "/etc/cni/net.d/10-underlay.conflist",
        &network("underlay").to_string(),
    )?;
    worker.until_ready("True").await?;
    env.pod("web", &pod_on(&worker)).await?;
    env.settle_on(std::slice::from_ref(&worker), 1).await?;
    env.retire(worker).await
}

/// A configuration with a key that no one reads.
fn misspelt() -> Value {
    let mut network = network("underlay");
    network["plugins"][0]["ipam"]["ipv4pool"] = json!("a");
    network
}

#[tokio::test]
async fn pods_that_come_and_go_while_the_api_server_is_away_are_served_in_the_end() -> Result<()> {
    let env = TestEnv::in_a_cluster_of_its_own(6).await?;
    let workers = &env.nodes.workers;
    for name in ["stays", "goes"] {
        env.pod(name, &pod_spec()).await?;
    }
    env.settle(2).await?;
    env.delete_pod("goes", &DeleteParams::default()).await?;
    env.pod("comes", &pod_on(&workers[0])).await?;
    env.nodes.cluster.stop_api_server(0).await;
    tokio::time::sleep(AWAY).await;
    env.nodes.cluster.restart_api_server(0).await?;
    let held = env.settle(2).await?;
    let pods: BTreeSet<&str> = held.values().map(String::as_str).collect();
    ensure!(pods == BTreeSet::from(["comes", "stays"]), "{held:?}");
    Ok(())
}
