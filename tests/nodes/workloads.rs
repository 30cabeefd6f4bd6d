//! Workloads as Kubernetes' own controllers run them.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, EvictParams};
use serde_json::{Value, json};

use crate::env::{TestEnv, pod_spec};

impl TestEnv {
    /// Creates an object of `apps/v1` whose pods only have to be there.
    pub async fn workload(&self, kind: &str, name: &str, more: &Value) -> Result<()> {
        let labels = json!({"app": name});
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod_spec()},
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        self.apply(&object).await
    }

    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let args = [args, &["-n", &self.name]].concat();
        self.nodes.cluster.kubectl(&args).await
    }
}

#[tokio::test]
async fn a_deployment_is_rolled_and_scaled() -> Result<()> {
    let env = TestEnv::with_pool(10).await?;
    env.workload("Deployment", "web", &json!({"replicas": 4}))
        .await?;
    let before = env.settle(4).await?;

    env.kubectl(&["rollout", "restart", "deployment/web"])
        .await?;
    env.kubectl(&["rollout", "status", "deployment/web", "--timeout=180s"])
        .await?;
    let after = env.settle(4).await?;
    let remaining = after
        .values()
        .filter(|pod| before.values().any(|old| old == *pod));
    ensure!(remaining.count() == 0, "{before:?} was rolled to {after:?}");

    for replicas in [1, 6, 0] {
        let to = format!("--replicas={replicas}");
        env.kubectl(&["scale", "deployment/web", &to]).await?;
        env.settle(replicas).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_done_holds_nothing() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    let mut spec = pod_spec();
    spec["restartPolicy"] = json!("Never");
    spec["containers"][0]["args"] = json!(["1s"]);
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "work", "namespace": env.name},
        "spec": {"completions": 3, "parallelism": 3, "template": {"spec": spec}},
    });
    env.apply(&job).await?;
    env.kubectl(&[
        "wait",
        "job/work",
        "--for=condition=Complete",
        "--timeout=180s",
    ])
    .await?;
    env.settle(0).await?;
    ensure!(
        env.pods().await?.len() == 3,
        "the finished pods are still there"
    );
    Ok(())
}

#[tokio::test]
async fn each_pod_of_a_daemon_set_has_an_address_and_so_has_its_successor() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    env.workload("DaemonSet", "agent", &json!({})).await?;
    let pods = env.settle(2).await?;
    let first = pods.values().next().cloned().unwrap_or_default();
    env.delete_pod(&first, &DeleteParams::default()).await?;
    env.until(async || {
        ensure!(
            env.uid_of(&first).await?.is_none(),
            "{first} is still there"
        );
        Ok(())
    })
    .await?;
    env.settle(2).await?;
    Ok(())
}

#[tokio::test]
async fn an_evicted_pod_gives_its_address_back() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    env.pod("web", &pod_spec()).await?;
    env.settle(1).await?;
    env.all::<Pod>()
        .await?
        .evict("web", &EvictParams::default())
        .await?;
    env.settle(0).await?;
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_deleted_namespace_is_held() -> Result<()> {
    let env = TestEnv::with_pool(6).await?;
    env.workload("Deployment", "web", &json!({"replicas": 3}))
        .await?;
    env.settle(3).await?;
    let namespaces: Api<Namespace> = Api::all(env.nodes.cluster.admin().await?);
    namespaces
        .delete(&env.name, &DeleteParams::default())
        .await?;
    env.until(async || {
        let there = namespaces.get_opt(&env.name).await?;
        ensure!(there.is_none(), "the namespace is still there");
        Ok(())
    })
    .await?;
    env.settle(0).await?;
    Ok(())
}

impl TestEnv {
    /// Deletes a pod whose controller makes another of its name, and waits until that one is there.
    pub async fn replace(&self, name: &str, how: &DeleteParams) -> Result<()> {
        let before = self.uid_of(name).await?;
        self.delete_pod(name, how).await?;
        self.until(async || {
            let now = self.uid_of(name).await?;
            ensure!(now.is_some() && now != before, "{name} has no successor");
            Ok(())
        })
        .await
    }

    pub async fn uid_of(&self, pod: &str) -> Result<Option<String>> {
        let pod = self.all::<Pod>().await?.get_opt(pod).await?;
        Ok(pod.and_then(|pod| pod.metadata.uid))
    }
}
