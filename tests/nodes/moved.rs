//! Pods of a `StatefulSet` whose node is drained, and whose node dies.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use serde_json::{Value, json};
use testbed::Worker;

use crate::env::{TestEnv, network, pod_spec};
use crate::faults::by_force;

const PODS: usize = 3;

/// A `StatefulSet` that prefers a node of the case's own, which other pods avoid.
fn preferring(worker: &Worker) -> Value {
    let mut spec = pod_spec();
    spec["tolerations"] = json!([{"key": "testbed.local/reserved", "operator": "Exists"}]);
    let here =
        json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [worker.name()]});
    spec["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [here]}},
    ]}});
    json!({
        "replicas": PODS, "serviceName": "db", "podManagementPolicy": "Parallel",
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": spec},
    })
}

#[tokio::test]
async fn each_pod_of_a_stateful_set_has_its_address_again_when_its_node_is_drained_or_dies()
-> Result<()> {
    let env = TestEnv::with_pool(8).await?;
    let worker = env.worker(network("underlay")).await?;
    worker.until_ready("True").await?;
    let others = &env.nodes.workers;
    let workers = [others[0].clone(), others[1].clone(), worker.clone()];
    env.workload("StatefulSet", "db", &preferring(&worker))
        .await?;
    let first = env.settle_on(&workers, PODS).await?;
    let are_the_same = async |on: &[Worker], what: &str| {
        let now = env.settle_on(on, PODS).await?;
        ensure!(now == first, "{what}: {first:?}, then {now:?}");
        Ok(())
    };
    ensure!(env.pods_on(&worker).await? == PODS, "not on its node");

    let node = worker.name();
    let drain = [
        "drain",
        node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
    ];
    env.nodes.cluster.kubectl(&drain).await?;
    are_the_same(others, "drained").await?;

    env.nodes.cluster.kubectl(&["uncordon", node]).await?;
    env.kubectl(&["rollout", "restart", "statefulset/db"])
        .await?;
    env.kubectl(&["rollout", "status", "statefulset/db", "--timeout=180s"])
        .await?;
    are_the_same(&workers, "back").await?;
    ensure!(env.pods_on(&worker).await? == PODS, "not back on its node");

    // Its pods run on, and nothing says so.
    worker.kill_kubelet().await?;
    env.nodes.cluster.kubectl(&["cordon", node]).await?;
    for pod in first.values() {
        env.delete_pod(pod, &by_force()).await?;
    }
    for (address, pod) in &first {
        let waits = format!("an earlier pod of that name has it on node {node}");
        let event = env.event_that_says(pod, &waits).await?;
        ensure!(event.contains(address), "{event}");
        ensure!(env.nodes.watch.answers(address.parse()?).await, "{address}");
    }
    ensure!(env.held().await? == first, "{:?}", env.held().await?);

    worker.power_off()?;
    let taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";
    env.nodes
        .cluster
        .kubectl(&["taint", "node", node, taint])
        .await?;
    let now = env
        .until(async || {
            env.collect(&[]).await?;
            env.settled(others, PODS).await
        })
        .await?;
    ensure!(now == first, "{first:?}, then {now:?}");
    env.retire(worker).await
}

impl TestEnv {
    /// How many of the case's pods are on this node.
    async fn pods_on(&self, worker: &Worker) -> Result<usize> {
        let here = format!("spec.nodeName={}", worker.name());
        let here = ListParams::default().fields(&here);
        Ok(self.all::<Pod>().await?.list(&here).await?.items.len())
    }

    /// Waits for an event of this pod with these words, and returns its message.
    async fn event_that_says(&self, pod: &str, words: &str) -> Result<String> {
        let of_pod = ListParams::default().fields(&format!("involvedObject.name={pod}"));
        self.until(async || {
            let events = self.all::<Event>().await?.list(&of_pod).await?.items;
            let mut messages = events.into_iter().filter_map(|event| event.message);
            let message = messages.find(|message| message.contains(words));
            message.with_context(|| format!("no event of {pod} says: {words}"))
        })
        .await
    }
}
