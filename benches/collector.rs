//! What a run of the collector costs: time, requests and peak memory, with so many leases and as many pods.
//!
//! `LEASEHOLD_BENCH=quick` makes few; `LEASEHOLD_BENCH_PODS` says how many.

#![expect(clippy::print_stdout, reason = "a benchmark is there to print")]
#![expect(clippy::cast_precision_loss, reason = "sizes for people to read")]

use std::collections::BTreeMap;
use std::env;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use leasehold::api::{Holder, IPLease, IPLeaseSpec, State};
use serde_json::{Value, json};
use testbed::{Call, Cluster};
use tokio::task::JoinSet;

const COLLECTOR: &str = env!("CARGO_BIN_EXE_leasehold-gc");
/// How many pods a node has, and so how many nodes there are.
const PODS_PER_NODE: usize = 100;
/// Requests under way at once while the stage is set.
const AT_ONCE: usize = 16;
/// Of so many leases one's pod is gone.
const DEAD: usize = 1000;

#[tokio::main]
async fn main() -> Result<()> {
    let quick = env::var("LEASEHOLD_BENCH").as_deref() == Ok("quick");
    let pods = match env::var("LEASEHOLD_BENCH_PODS") {
        Ok(number) => number.parse().context("LEASEHOLD_BENCH_PODS")?,
        Err(_) if quick => 2_000,
        Err(_) => 100_000,
    };
    let cluster = Cluster::start().await?;
    let pool = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": "bench"},
        "spec": {"subnet": "10.0.0.0/8"}});
    cluster.apply_yaml(&pool.to_string()).await?;
    let begun = Instant::now();
    let size = set(&cluster, pods).await?;
    println!(
        "{pods} pods of {:.1} kB and {pods} leases, made in {:.0} s\n",
        size as f64 / 1e3,
        begun.elapsed().as_secs_f64()
    );
    println!(
        "{:28} {:>8} {:>9} {:>10} {:>9}",
        "", "time", "requests", "reclaimed", "peak"
    );
    // The first run marks the dead and writes the pool's status; the second sees that their nodes have been heard of since,
    // and releases; the third finds nothing to do.
    let dead = pods.div_ceil(DEAD);
    run(&cluster, "some leases look dead", 0).await?;
    beat(&cluster, pods).await?;
    run(&cluster, "and still do", dead).await?;
    run(&cluster, "nothing is to be done", 0).await
}

/// A pod as they come: two containers with probes, an environment, volumes, and what controllers write on it.
fn pod(number: usize, node: usize) -> Value {
    let word = |length| "x".repeat(length);
    let env: Vec<Value> = (0..12)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": word(60)}))
        .collect();
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/team/{name}:v1.2.3"), "env": env,
            "args": [word(80), word(80)],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5},
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
        })
    };
    json!({
        "metadata": {
            "name": format!("web-{number}"),
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": format!("web-{number}")},
            "annotations": {"example.com/checksum": word(64), "example.com/notes": word(1500)},
        },
        "spec": {
            "nodeName": format!("node-{node}"),
            "automountServiceAccountToken": false,
            "containers": [container("main"), container("proxy")],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}],
        },
    })
}

/// Makes the pods and their leases; says how large a pod is.
async fn set(cluster: &Cluster, count: usize) -> Result<usize> {
    let client = cluster.admin().await?;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(client.clone());
    let params = PatchParams::apply("bench").force();
    for node in 0..count.div_ceil(PODS_PER_NODE) {
        let name = format!("node-{node}");
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
        nodes.patch(&name, &params, &Patch::Apply(object)).await?;
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let ready = Patch::Merge(ready);
        nodes
            .patch_status(&name, &PatchParams::default(), &ready)
            .await?;
    }
    beat(cluster, count).await?;
    let mut tasks = JoinSet::new();
    for worker in 0..AT_ONCE {
        let client = client.clone();
        tasks.spawn(async move {
            let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
            let leases: Api<IPLease> = Api::all(client);
            let mut size = 0;
            for number in (worker..count).step_by(AT_ONCE) {
                let node = number / PODS_PER_NODE;
                let object: Pod = serde_json::from_value(pod(number, node))?;
                let made = pods.create(&PostParams::default(), &object).await?;
                size = serde_json::to_vec(&made)?.len();
                let uid = if number % DEAD == 0 {
                    format!("00000000-0000-0000-0000-{number:012}")
                } else {
                    made.metadata.uid.context("a uid")?
                };
                leases
                    .create(&PostParams::default(), &lease(number, node, uid)?)
                    .await?;
            }
            anyhow::Ok(size)
        });
    }
    let mut size = 0;
    while let Some(done) = tasks.join_next().await {
        size = done??.max(size);
    }
    Ok(size)
}

fn lease(number: usize, node: usize, uid: String) -> Result<IPLease> {
    let address = Ipv4Addr::from_bits(0x0a00_0100 + u32::try_from(number)?).to_string();
    let spec = IPLeaseSpec {
        address: address.clone(),
        pool: "bench".to_owned(),
        state: State::Held,
        holder: Some(Holder {
            namespace: "default".to_owned(),
            pod: format!("web-{number}"),
            uid,
            node: format!("node-{node}"),
            container: format!("{number:064x}"),
            interface: "eth0".to_owned(),
            network: "underlay".to_owned(),
            ..Holder::default()
        }),
        // What the first run takes back still cools when the second one looks.
        cooldown_seconds: 3600,
        termination_grace_period_seconds: 0,
        ..IPLeaseSpec::default()
    };
    Ok(IPLease::new(&address, spec))
}

/// Each node shows that it lives.
async fn beat(cluster: &Cluster, pods: usize) -> Result<()> {
    use k8s_openapi::api::coordination::v1::Lease;
    let leases: Api<Lease> = Api::namespaced(cluster.admin().await?, "kube-node-lease");
    let params = PatchParams::apply("bench").force();
    for node in 0..pods.div_ceil(PODS_PER_NODE) {
        let name = format!("node-{node}");
        let now = leasehold::api::MicroTime(jiff::Timestamp::now());
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"renewTime": now}});
        leases.patch(&name, &params, &Patch::Apply(lease)).await?;
    }
    Ok(())
}

async fn run(cluster: &Cluster, what: &str, dead: usize) -> Result<()> {
    let mark = cluster.mark().await?;
    let args = ["--output", "json", "--timeout", "900", "--margin", "0"];
    let call = Call::new(Path::new(COLLECTOR))
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig());
    let call = args.iter().fold(call, |call, arg| call.arg(*arg));
    let running = call.spawn()?;
    let process = PathBuf::from(format!("/proc/{}/status", running.pid()));
    let mut peak = 0;
    let mut outcome = std::pin::pin!(running.wait());
    let outcome = loop {
        tokio::select! {
            outcome = &mut outcome => break outcome?,
            () = tokio::time::sleep(Duration::from_millis(20)) => peak = peak.max(peak_of(&process)),
        }
    };
    let outcome = outcome.success()?;
    let summary: Value = serde_json::from_str(outcome.stdout.lines().last().context("a summary")?)?;
    let requests = cluster.requests_since(&mark).await?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in &requests {
        *counts
            .entry(format!("{} {}", request.verb, request.resource()))
            .or_default() += 1;
    }
    let lists = requests.iter().filter(|request| request.verb == "list");
    for list in lists {
        let limit = list
            .uri
            .split(['?', '&'])
            .find_map(|pair| pair.strip_prefix("limit="));
        let limit = limit.and_then(|limit| limit.parse::<u32>().ok());
        ensure!(
            limit.is_some_and(|limit| limit <= 500),
            "a list of more than 500: {list}"
        );
    }
    let taken: u64 = summary["reclaimed"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, n)| n.as_u64())
        .sum();
    ensure!(usize::try_from(taken)? == dead, "{summary}");
    println!(
        "{what:28} {:>6.1} s {:>9} {taken:>10} {:>6.1} MB",
        outcome.elapsed.as_secs_f64(),
        counts.values().sum::<usize>(),
        peak as f64 / 1e3
    );
    for (what, count) in &counts {
        println!("    {count:>6} {what}");
    }
    ensure!(peak < 200_000, "more than 200 MB");
    Ok(())
}

/// The most memory that a process has had so far, in kB.
fn peak_of(status: &Path) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
