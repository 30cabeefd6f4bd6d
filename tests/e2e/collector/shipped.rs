//! `deploy/gc.yaml`: what the cluster makes of it, with the real controllers and scheduler.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use testbed::{Call, Cluster, Node, repository};

use super::heartbeats::alive;
use super::run::{COLLECTOR, Report, SYSTEM, token};
use crate::env::{Isolation, TestEnv};

/// What is waited for takes a minute by design; this is for a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// The design's promise: a node that dies costs one run.
const ELSEWHERE: Duration = Duration::from_mins(2);

/// A cluster whose nodes have kubelets only as far as this test acts as one.
struct Nodes {
    env: TestEnv,
}

impl Nodes {
    async fn start() -> Result<Self> {
        let cluster = Cluster::builder()
            .workloads()
            .controller_flag("--node-monitor-period=1s")
            .controller_flag("--node-monitor-grace-period=6s")
            .controller_flag("--node-startup-grace-period=6s");
        let env = Isolation::subnets().cluster(cluster.start().await?);
        let env = env.start().await?;
        let pool = json!({"cooldownSeconds": 0});
        env.pool_of(env.name(), "10.76.0.0/24", pool).await?;
        Ok(Self { env })
    }

    /// A node with room for pods; a scheduler binds none to one that is cordoned.
    async fn furnish(&self, node: &Node, cordoned: bool) -> Result<()> {
        let room = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
        let status = json!({"status": {"capacity": room, "allocatable": room}});
        let nodes: Api<NodeObject> = self.env.api().await?;
        let params = PatchParams::default();
        let spec = json!({"spec": {"unschedulable": cordoned}});
        nodes
            .patch(node.name(), &params, &Patch::Merge(spec))
            .await?;
        nodes
            .patch_status(node.name(), &params, &Patch::Merge(status))
            .await?;
        Ok(())
    }

    fn node(&self) -> testbed::NodeBuilder {
        let node = self.env.cluster.fresh_node();
        node.label("kubernetes.io/os", "linux")
    }

    async fn pods(&self) -> Result<Api<Pod>> {
        Ok(Api::namespaced(self.env.cluster.admin().await?, SYSTEM))
    }

    /// The runs that are bound to this node.
    async fn runs_on(&self, node: &Node) -> Result<Vec<Pod>> {
        let on = ListParams::default().fields(&format!("spec.nodeName={}", node.name()));
        Ok(self.pods().await?.list(&on).await?.items)
    }

    /// What a kubelet says of a run.
    async fn report(&self, run: &Pod, phase: &str) -> Result<()> {
        let name = run.metadata.name.as_deref().context("no name")?;
        let status = Patch::Merge(json!({"status": {"phase": phase}}));
        let pods = self.pods().await?;
        let params = PatchParams::default();
        pods.patch_status(name, &params, &status).await?;
        Ok(())
    }

    async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            let in_time = begun.elapsed() < PATIENCE;
            ensure!(in_time, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn until_unreachable(&self, node: &Node) -> Result<()> {
        let nodes: Api<NodeObject> = self.env.api().await?;
        self.until("a node without heartbeat is tainted", async || {
            let spec = nodes.get(node.name()).await?.spec.unwrap_or_default();
            let mut taints = spec.taints.unwrap_or_default().into_iter();
            Ok(taints.find(|taint| taint.key == "node.kubernetes.io/unreachable"))
        })
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_node_that_falls_silent_under_a_run_keeps_no_other_from_taking_addresses_back()
-> Result<()> {
    let nodes = Nodes::start().await?;
    let env = &nodes.env;
    // It has room for runs only once everybody knows that it is dead.
    let dead_before = &env.node;
    nodes.until_unreachable(dead_before).await?;
    nodes.furnish(dead_before, false).await?;
    let labels = Patch::Merge(json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}}));
    let all: Api<NodeObject> = env.api().await?;
    all.patch(dead_before.name(), &PatchParams::default(), &labels)
        .await?;

    let (first, other) = (nodes.node().create().await?, nodes.node().create().await?);
    let heartbeat = alive(&env.cluster, &first).await?;
    let _heartbeat = alive(&env.cluster, &other).await?;
    nodes.furnish(&other, true).await?;
    nodes.furnish(&first, false).await?;
    let gone = env.attach(&other, "gone").await?;
    gone.pod.force_delete().await?;

    let run = nodes.until("a run is bound", async || {
        Ok(nodes.runs_on(&first).await?.into_iter().next())
    });
    let run = run.await?;
    nodes.report(&run, "Running").await?;
    drop(heartbeat);
    let silent = Instant::now();
    nodes.furnish(&other, false).await?;

    let elsewhere = Cell::new(None);
    nodes
        .until("the address comes back", async || {
            for run in nodes.runs_on(&other).await? {
                let phase = run.status.as_ref().and_then(|s| s.phase.as_deref());
                if phase == Some("Pending") {
                    elsewhere.set(elsewhere.get().or(Some(silent.elapsed())));
                    env.collect(&["--margin", "0"]).await?;
                    nodes.report(&run, "Succeeded").await?;
                }
            }
            Ok(env.lease(gone.address).await?.is_none().then_some(()))
        })
        .await?;
    ensure!(elsewhere.get() < Some(ELSEWHERE), "{elsewhere:?}");
    let on_the_dead = nodes.runs_on(dead_before).await?;
    ensure!(on_the_dead.is_empty(), "{on_the_dead:?}");
    // What began on the silent node is evicted from it, so that it does not count as running for
    // ever.
    let run = nodes.pods().await?.get(&run.name_any()).await?;
    ensure!(run.metadata.deletion_timestamp.is_some(), "{run:?}");
    Ok(())
}

/// Heartbeats are in a namespace of Kubernetes' own, and so was the Role that let the collector
/// read them.
#[tokio::test]
async fn the_collector_works_in_a_namespace_that_a_kustomization_chose() -> Result<()> {
    const CHOSEN: &str = "network";
    let cluster = Cluster::builder().bare().start().await?;
    cluster.apply(&repository().join("crds")).await?;
    let folder = cluster.dir().join("chosen");
    std::fs::create_dir(&folder)?;
    // Kustomize takes no absolute path.
    let up = "../".repeat(folder.components().count() - 1);
    let deploy = repository().join("deploy");
    let resource = format!("{up}{}", deploy.strip_prefix("/")?.display());
    let kustomization = json!({"namespace": CHOSEN, "resources": [resource]});
    std::fs::write(folder.join("kustomization.yaml"), kustomization.to_string())?;
    let folder = folder.display().to_string();
    let manifest = cluster.kubectl(&["kustomize", &folder]).await?;
    ensure!(!manifest.contains(SYSTEM), "{manifest}");
    cluster.apply_yaml(&manifest).await?;

    let node = cluster.fresh_node().create().await?;
    let _heartbeat = alive(&cluster, &node).await?;
    let identity = cluster.admin_kubeconfig_of(0);
    let identity = identity.token(&token(&cluster, CHOSEN).await?);
    let kubeconfig = identity.write(&cluster.dir().join("chosen.kubeconfig"))?;
    let call = Call::new(Path::new(COLLECTOR))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--output=json")
        .arg(format!("--namespace={CHOSEN}"));
    let report = Report::of(&call.run().await?.success()?)?;
    ensure!(report.summary["nodes"] == 1, "{report:#?}");
    Ok(())
}
