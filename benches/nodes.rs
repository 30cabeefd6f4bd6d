//! How fast real nodes start pods: so many on two kubelets to Running, from as many addresses,
//! beside host-local on the same nodes.
//!
//! `LEASEHOLD_BENCH=quick` makes few.

#![expect(clippy::print_stdout, reason = "a benchmark is there to print")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use testbed::{Cluster, Segment, Worker, repository};

const PLUGIN: &str = env!("CARGO_BIN_EXE_leasehold");

/// A hundred pods take some fifteen seconds; this is for a busy machine.
const PATIENCE: Duration = Duration::from_mins(10);

/// An IPAM plugin, by its configuration on each of the two nodes.
struct Ipam {
    name: &'static str,
    on: [Value; 2],
    /// How the addresses begin that it gives there.
    prefixes: [&'static str; 2],
}

#[tokio::main]
async fn main() -> Result<()> {
    let quick = std::env::var("LEASEHOLD_BENCH").as_deref() == Ok("quick");
    let pods: usize = if quick { 10 } else { 100 };
    let cluster = Cluster::builder().bare().workloads().start().await?;
    for path in ["crds", "deploy/rbac.yaml", "deploy/policy.yaml"] {
        cluster.apply(&repository().join(path)).await?;
    }
    let segment = Segment::new()?;
    segment.add_neighbor("10.78.0.1/16")?;
    let start = |name: &'static str| {
        let worker = cluster.worker(name, &segment).plugin(Path::new(PLUGIN));
        worker
            .network(network(&json!({"type": "leasehold"})))
            .start()
    };
    let (one, two) = tokio::try_join!(start("worker-1"), start("worker-2"))?;
    let workers = [one, two];
    for worker in &workers {
        worker.until_ready("True").await?;
    }
    println!("{pods} pods on two nodes, from as many addresses\n");
    println!("{:12} {:>12} {:>12}", "", "to Running", "to gone");
    for ipam in ipams(pods) {
        // Twice each, in turn: the first of all warms caches for the others.
        for _ in 0..2 {
            let (up, down) = measure(&cluster, &workers, &ipam, pods).await?;
            let (up, down) = (up.as_secs_f64(), down.as_secs_f64());
            println!("{:12} {up:>10.1} s {down:>10.1} s", ipam.name);
        }
    }
    Ok(())
}

/// Ours with one pool for both nodes, and host-local with half of the addresses for each.
fn ipams(pods: usize) -> [Ipam; 2] {
    let half = pods / 2;
    let host_local = |node: usize| {
        json!({
            "type": "host-local",
            "ranges": [[{
                "subnet": "10.78.0.0/16",
                "rangeStart": format!("10.78.{}.1", node + 2),
                "rangeEnd": format!("10.78.{}.{half}", node + 2),
            }]],
        })
    };
    let ours = json!({"type": "leasehold", "ipv4Pools": ["bench"]});
    [
        Ipam {
            name: "leasehold",
            on: [ours.clone(), ours],
            prefixes: ["10.78.1.", "10.78.1."],
        },
        Ipam {
            name: "host-local",
            on: [host_local(0), host_local(1)],
            prefixes: ["10.78.2.", "10.78.3."],
        },
    ]
}

fn network(ipam: &Value) -> Value {
    json!({"cniVersion": "1.1.0", "name": "underlay", "plugins": [
        {"type": "macvlan", "master": "eth0", "mode": "bridge", "ipam": ipam},
    ]})
}

/// How long all pods take to run, and then to be gone.
async fn measure(
    cluster: &Cluster,
    workers: &[Worker; 2],
    ipam: &Ipam,
    pods: usize,
) -> Result<(Duration, Duration)> {
    let pool = json!({
        "apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": "bench"},
        "spec": {
            "subnet": "10.78.0.0/16",
            "ips": [format!("10.78.1.1-10.78.1.{pods}")],
            "cooldownSeconds": 0,
        },
    });
    cluster.apply_yaml(&pool.to_string()).await?;
    let api: Api<Pod> = Api::namespaced(cluster.admin().await?, "default");
    for ((worker, on), prefix) in workers.iter().zip(&ipam.on).zip(ipam.prefixes) {
        let path = "/etc/cni/net.d/10-underlay.conflist";
        worker.write(path, &network(on).to_string())?;
        until_loaded(&api, worker, prefix).await?;
    }
    let begun = Instant::now();
    for number in 0..pods {
        let pod = pod(&format!("bench-{number}"), workers[number % 2].name())?;
        api.create(&PostParams::default(), &pod).await?;
    }
    until(&api, |all| {
        let running = |pod: &&Pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            phase == Some("Running")
        };
        all.iter().filter(running).count() == pods
    })
    .await?;
    let up = begun.elapsed();
    let begun = Instant::now();
    let all = ListParams::default();
    api.delete_collection(&DeleteParams::default(), &all)
        .await?;
    until(&api, <[Pod]>::is_empty).await?;
    Ok((up, begun.elapsed()))
}

/// Waits until a pod's address shows that the runtime has read the configuration.
async fn until_loaded(api: &Api<Pod>, worker: &Worker, prefix: &str) -> Result<()> {
    loop {
        api.create(&PostParams::default(), &pod("probe", worker.name())?)
            .await?;
        let address = |pod: &Pod| pod.status.as_ref()?.pod_ip.clone();
        until(api, |all| all.iter().all(|pod| address(pod).is_some())).await?;
        let served = api.get("probe").await?;
        api.delete("probe", &DeleteParams::default()).await?;
        until(api, <[Pod]>::is_empty).await?;
        if address(&served).is_some_and(|address| address.starts_with(prefix)) {
            return Ok(());
        }
    }
}

fn pod(name: &str, node: &str) -> Result<Pod> {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "containers": [
                {"name": "main", "image": "local.test/pause:1", "imagePullPolicy": "Never"},
            ],
        },
    }))
    .context("a pod")
}

async fn until(api: &Api<Pod>, done: impl Fn(&[Pod]) -> bool) -> Result<()> {
    let begun = Instant::now();
    while !done(&api.list(&ListParams::default()).await?.items) {
        ensure!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
