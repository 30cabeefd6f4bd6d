//! The plugin on real nodes: two kubelets with containerd run a Deployment that is rolled and
//! scaled.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use testbed::{Cluster, Segment, Worker, repository};

use crate::{PATIENCE, show, step};

const REPLICAS: usize = 20;

/// Two pools of one subnet, one for the nodes of each rack.
const POOLS: &str = "
apiVersion: leasehold.io/v1alpha1
kind: IPPool
metadata: {name: rack-1}
spec:
  subnet: 10.77.0.0/24
  ips: [10.77.0.10-10.77.0.59]
  gateway: 10.77.0.1
  default: true
  nodeAffinity: {matchLabels: {rack: '1'}}
---
apiVersion: leasehold.io/v1alpha1
kind: IPPool
metadata: {name: rack-2}
spec:
  subnet: 10.77.0.0/24
  ips: [10.77.0.110-10.77.0.159]
  gateway: 10.77.0.1
  default: true
  nodeAffinity: {matchLabels: {rack: '2'}}
";

/// Runs the demo; what runs in the end is returned, and ends when that is dropped.
pub(crate) async fn demo(cluster: &Cluster, plugin: &Path) -> Result<[Worker; 2]> {
    step("Two nodes with kubelet, containerd and runc, a rack each");
    let segment = Segment::new()?;
    segment.add_neighbor("10.77.0.1/24")?;
    let worker = |name: &'static str, rack: &'static str| {
        let worker = cluster.worker(name, &segment).label("rack", rack);
        worker.plugin(plugin).network(network()).start()
    };
    let (one, two) = tokio::try_join!(worker("worker-1", "1"), worker("worker-2", "2"))?;
    tokio::try_join!(one.until_ready("True"), two.until_ready("True"))?;
    show(cluster, &["get", "nodes", "--label-columns=rack"]).await?;

    step("A pool for the nodes of each rack");
    cluster.apply_yaml(POOLS).await?;
    show(cluster, &["get", "lhpool"]).await?;

    step(&format!("A Deployment of {REPLICAS} pods, on macvlan"));
    cluster.apply_yaml(&deployment().to_string()).await?;
    rolled_out(cluster).await?;
    show(cluster, &["get", "pods", "-o", "wide"]).await?;
    show(cluster, &["get", "lhlease"]).await?;

    step("A pod of the first node pings one of the second, and the gateway");
    ping(&one, &two)?;

    step(
        "The Deployment is rolled: each new pod has an address before an old one gives its own back",
    );
    cluster
        .kubectl(&["rollout", "restart", "deployment/web"])
        .await?;
    rolled_out(cluster).await?;
    show(cluster, &["get", "lhlease"]).await?;

    step("And scaled to zero: the addresses cool down, and no pod gets them for 30 seconds");
    cluster
        .kubectl(&["scale", "deployment/web", "--replicas=0"])
        .await?;
    let gone = [
        "wait",
        "pods",
        "-l",
        "app=web",
        "--for=delete",
        "--timeout=180s",
    ];
    cluster.kubectl(&gone).await?;
    show(cluster, &["get", "lhlease"]).await?;
    Ok([one, two])
}

/// The kinds, and what the plugin may do. The collector would need our image.
pub(crate) async fn apply(cluster: &Cluster) -> Result<()> {
    for path in ["crds", "deploy/rbac.yaml", "deploy/policy.yaml"] {
        cluster.apply(&repository().join(path)).await?;
    }
    Ok(())
}

fn network() -> serde_json::Value {
    json!({"cniVersion": "1.1.0", "name": "underlay", "plugins": [
        {"type": "macvlan", "master": "eth0", "mode": "bridge", "ipam": {"type": "leasehold"}},
    ]})
}

fn deployment() -> serde_json::Value {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "containers": [
                    {"name": "web", "image": "local.test/pause:1", "imagePullPolicy": "Never"},
                ],
            }},
        },
    })
}

async fn rolled_out(cluster: &Cluster) -> Result<()> {
    let status = ["rollout", "status", "deployment/web", "--timeout=300s"];
    cluster.kubectl(&status).await.map(drop)
}

fn ping(from: &Worker, to: &Worker) -> Result<()> {
    let first = |worker: &Worker| {
        let sandboxes = worker.sandboxes()?;
        let first = sandboxes.into_iter().next();
        first.with_context(|| format!("no pod runs on {}", worker.name()))
    };
    let (from, to) = (first(from)?, first(to)?);
    let own = from.addresses("eth0")?;
    let other = to.addresses("eth0")?;
    for address in [other[0].addr(), "10.77.0.1".parse()?] {
        let took = from.ping(address, PATIENCE)?;
        println!("{} → {address}: {took:?}", own[0].addr());
    }
    Ok(())
}
