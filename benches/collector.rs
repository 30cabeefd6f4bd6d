//! What a run of the collector costs: time, requests, bytes and peak memory, with so many
//! dual-stack pods and twice as many leases.
//!
//! `LEASEHOLD_BENCH=quick` makes few; `LEASEHOLD_BENCH_PODS` says how many, `LEASEHOLD_BENCH_NODES`
//! on how many nodes, and `LEASEHOLD_BENCH_DEAD` how many of them are gone. Making them takes most
//! of the time: in a folder that `LEASEHOLD_BENCH_DATA` names, etcd's data stays, and the next run
//! of the same size finds them there, or goes on with a fill that was interrupted. Another version of the API server is used from a folder that
//! `KUBEBUILDER_ASSETS` names. `LEASEHOLD_BENCH_GC` names another build of the collector.

#![expect(clippy::print_stdout, reason = "a benchmark is there to print")]
#![expect(clippy::cast_precision_loss, reason = "sizes for people to read")]

use std::collections::BTreeMap;
use std::env;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use leasehold::api::{Holder, IPLease, IPLeaseSpec, State, lease_name};
use leasehold::ip::Vrf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testbed::{Call, Cluster};
use tokio::task::JoinSet;

const COLLECTOR: &str = env!("CARGO_BIN_EXE_leasehold-gc");
/// Requests under way at once while the stage is set.
const AT_ONCE: usize = 16;

/// How large the cluster is.
#[derive(Clone, Copy)]
struct Size {
    pods: usize,
    nodes: usize,
    /// The pods that are gone, and whose leases are held.
    dead: usize,
}

impl Size {
    fn from_env() -> Result<Self> {
        let quick = env::var("LEASEHOLD_BENCH").as_deref() == Ok("quick");
        let number = |name, default| match env::var(name) {
            Ok(number) => number.parse().context(name),
            Err(_) => Ok(default),
        };
        let (pods, nodes) = if quick {
            (2_000, 100)
        } else {
            (100_000, 5_000)
        };
        let pods = number("LEASEHOLD_BENCH_PODS", pods)?;
        Ok(Self {
            pods,
            nodes: number("LEASEHOLD_BENCH_NODES", nodes)?,
            dead: number("LEASEHOLD_BENCH_DEAD", pods.div_ceil(1000))?,
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let size = Size::from_env()?;
    let data = env::var_os("LEASEHOLD_BENCH_DATA").map(PathBuf::from);
    let builder = Cluster::builder();
    let builder = match &data {
        Some(data) => builder.data(&data.join("etcd")),
        None => builder,
    };
    let cluster = builder.start().await?;
    for (name, subnet) in [("bench", "10.0.0.0/8"), ("bench6", "fd00::/64")] {
        let pool = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": name},
            "spec": {"subnet": subnet}});
        cluster.apply_yaml(&pool.to_string()).await?;
    }
    let begun = Instant::now();
    beat(&cluster, size).await?;
    set(&cluster, size, data.as_deref()).await?;
    let Size { pods, nodes, dead } = size;
    println!(
        "{pods} dual-stack pods of {:.1} kB on {nodes} nodes, there after {:.0} s\n",
        (serde_json::to_vec(&pod(0, 0)?)?.len() + serde_json::to_vec(&status(0)?)?.len()) as f64
            / 1e3,
        begun.elapsed().as_secs_f64()
    );
    println!(
        "{:28} {:>8} {:>9} {:>10} {:>9} {:>10} {:>9}",
        "", "time", "requests", "lists", "of etcd", "reclaimed", "peak"
    );
    // The first run marks the dead and writes the pool's status; the second sees that their nodes
    // have been heard of since, and releases; the third finds nothing to do.
    run(&cluster, "some leases look dead", 0).await?;
    beat(&cluster, size).await?;
    run(&cluster, "and still do", 2 * dead).await?;
    run(&cluster, "nothing is to be done", 0).await
}

/// The addresses of a pod, of each family one.
fn addresses(number: usize) -> Result<[IpAddr; 2]> {
    let host = u32::try_from(number)? + 0x100;
    let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0).to_bits() + u128::from(host);
    Ok([
        Ipv4Addr::from_bits(0x0a00_0000 + host).into(),
        Ipv6Addr::from_bits(v6).into(),
    ])
}

/// A pod as they come: two containers with probes, an environment, volumes, and what controllers
/// write on it.
///
/// It has a second interface too, whose address another plugin gave.
fn pod(number: usize, node: usize) -> Result<Value> {
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
    let attached = json!([
        {"name": "underlay", "interface": "eth0", "ips": addresses(number)?, "mac": "02:00:00:00:00:01", "default": true,
            "dns": {}, "gateway": ["10.0.0.1", "fd00::1"]},
        {"name": "default/storage", "interface": "net1", "ips": ["192.0.2.7"], "mac": "02:00:00:00:00:02", "dns": {}},
    ]);
    Ok(json!({
        "metadata": {
            "name": format!("web-{number}"),
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": format!("web-{number}")},
            "annotations": {
                "example.com/checksum": word(64), "example.com/notes": word(1500),
                "k8s.v1.cni.cncf.io/networks": "storage",
                "k8s.v1.cni.cncf.io/network-status": serde_json::to_string_pretty(&attached)?,
            },
        },
        "spec": {
            "nodeName": format!("node-{node}"),
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [container("main"), container("proxy")],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}],
        },
    }))
}

/// What its kubelet reports.
fn status(number: usize) -> Result<Value> {
    let [v4, v6] = addresses(number)?;
    let since = "2026-01-01T00:00:00Z";
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/team/{name}:v1.2.3"), "ready": true, "restartCount": 0,
            "imageID": format!("registry.example.com/team/{name}@sha256:{}", "0".repeat(64)),
            "containerID": format!("containerd://{}", "0".repeat(64)), "started": true,
            "state": {"running": {"startedAt": since}},
        })
    };
    let condition = |kind| json!({"type": kind, "status": "True", "lastTransitionTime": since});
    let conditions = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ];
    Ok(json!({"status": {
        "phase": "Running", "hostIP": "198.51.100.1", "hostIPs": [{"ip": "198.51.100.1"}],
        "podIP": v4, "podIPs": [{"ip": v4}, {"ip": v6}], "qosClass": "Burstable", "startTime": since,
        "conditions": conditions.map(condition),
        "containerStatuses": [container("main"), container("proxy")],
    }}))
}

/// Does this for each number below `count`, some at a time.
async fn for_each<F>(
    cluster: &Cluster,
    count: usize,
    make: impl Fn(Client, usize) -> F + Copy + Send + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let mut tasks = JoinSet::new();
    for worker in 0..AT_ONCE {
        let client = cluster.admin().await?;
        tasks.spawn(async move {
            for number in (worker..count).step_by(AT_ONCE) {
                make(client.clone(), number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Makes the nodes, the pods and their leases, unless they are in this folder; and in any case the
/// leases of pods that are gone.
async fn set(cluster: &Cluster, size: Size, data: Option<&Path>) -> Result<()> {
    let described = format!("{} pods on {} nodes", size.pods, size.nodes);
    let note = data.map(|data| data.join("size"));
    let found = note
        .as_ref()
        .and_then(|note| std::fs::read_to_string(note).ok());
    match found {
        Some(found) => ensure!(found == described, "the data is of {found}"),
        None => fill(cluster, size).await?,
    }
    if let Some(note) = note {
        std::fs::write(note, described)?;
    }
    // Marks of an earlier run of the benchmark are stale, and no run goes well that finds such.
    let marks: Api<ConfigMap> = Api::namespaced(cluster.admin().await?, "leasehold-system");
    let (which, how) = (ListParams::default(), DeleteParams::default());
    marks.delete_collection(&how, &which).await?;
    // Spread over the nodes.
    for_each(cluster, size.dead, move |client, gone| async move {
        let number = gone * (size.pods / size.dead);
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let leases: Api<IPLease> = Api::all(client);
        absent(&pods, &format!("web-{number}")).await?;
        let uid = format!("00000000-0000-0000-0000-{number:012}");
        for address in addresses(number)? {
            let lease = lease(number, number % size.nodes, address, &uid);
            let name = lease.name_any();
            if let Some(old) = leases.get_opt(&name).await? {
                // The policy wants a person to name the pod whose address is taken.
                let holder = old.spec.holder.map(|holder| holder.uid);
                let annotations = json!({"ipam.leasehold.io/release": holder});
                let named = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
                leases.patch(&name, &PatchParams::default(), &named).await?;
                absent(&leases, &name).await?;
            }
            leases.create(&PostParams::default(), &lease).await?;
        }
        Ok(())
    })
    .await
}

/// Deletes an object if it is there.
async fn absent<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

/// The object as it is stored, made unless a fill that was interrupted has made it.
async fn present<K>(api: &Api<K>, object: &K) -> Result<K>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug + Resource,
{
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            Ok(api.get(&object.name_any()).await?)
        }
        outcome => Ok(outcome?),
    }
}

/// Makes the nodes, the pods and their leases.
async fn fill(cluster: &Cluster, size: Size) -> Result<()> {
    for_each(cluster, size.nodes, |client, node| async move {
        let nodes: Api<Node> = Api::all(client);
        let name = format!("node-{node}");
        let object = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        present(&nodes, &object).await?;
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let ready = Patch::Merge(ready);
        let params = PatchParams::default();
        nodes.patch_status(&name, &params, &ready).await?;
        Ok(())
    })
    .await?;
    for_each(cluster, size.pods, move |client, number| async move {
        let node = number % size.nodes;
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let leases: Api<IPLease> = Api::all(client);
        let object: Pod = serde_json::from_value(pod(number, node)?)?;
        let made = present(&pods, &object).await?;
        let uid = made.uid().context("a uid")?;
        let status = Patch::Merge(status(number)?);
        pods.patch_status(&made.name_any(), &PatchParams::default(), &status)
            .await?;
        for address in addresses(number)? {
            present(&leases, &lease(number, node, address, &uid)).await?;
        }
        Ok(())
    })
    .await
}

fn lease(number: usize, node: usize, address: IpAddr, uid: &str) -> IPLease {
    let pool = if address.is_ipv4() { "bench" } else { "bench6" };
    let spec = IPLeaseSpec {
        address: address.to_string(),
        pool: pool.to_owned(),
        state: State::Held,
        holder: Some(Holder {
            namespace: "default".to_owned(),
            pod: format!("web-{number}"),
            uid: uid.to_owned(),
            node: format!("node-{node}"),
            container: format!("{number:064x}"),
            interface: "eth0".to_owned(),
            network: "underlay".to_owned(),
            ..Holder::default()
        }),
        // What the first run releases is still cooling in the second one.
        cooldown_seconds: 3600,
        termination_grace_period_seconds: 0,
        ..IPLeaseSpec::default()
    };
    IPLease::new(&lease_name(&Vrf::default(), address), spec)
}

/// Each node shows that it lives.
async fn beat(cluster: &Cluster, size: Size) -> Result<()> {
    for_each(cluster, size.nodes, |client, node| async move {
        let leases: Api<Lease> = Api::namespaced(client, "kube-node-lease");
        let now = leasehold::api::MicroTime(jiff::Timestamp::now());
        let name = format!("node-{node}");
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"renewTime": now}});
        let params = PatchParams::apply("bench").force();
        leases.patch(&name, &params, &Patch::Apply(lease)).await?;
        Ok(())
    })
    .await
}

async fn run(cluster: &Cluster, what: &str, dead: usize) -> Result<()> {
    let before = Served::by(cluster).await?;
    let mark = cluster.mark().await?;
    let args = ["--output", "json", "--timeout", "900", "--margin", "0"];
    let collector = env::var_os("LEASEHOLD_BENCH_GC").unwrap_or_else(|| COLLECTOR.into());
    let call = Call::new(Path::new(&collector))
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
    let after = Served::by(cluster).await?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in &requests {
        *counts
            .entry(format!("{} {}", request.verb, request.resource()))
            .or_default() += 1;
    }
    let taken: u64 = summary["reclaimed"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, n)| n.as_u64())
        .sum();
    ensure!(usize::try_from(taken)? == dead, "{summary}");
    println!(
        "{what:28} {:>6.1} s {:>9} {:>7.1} MB {:>9} {taken:>10} {:>6.1} MB",
        outcome.elapsed.as_secs_f64(),
        counts.values().sum::<usize>(),
        (after.bytes - before.bytes) / 1e6,
        after.lists_of_etcd - before.lists_of_etcd,
        peak as f64 / 1e3
    );
    for (what, count) in &counts {
        println!("    {count:>6} {what}");
    }
    ensure!(peak < 200_000, "more than 200 MB");
    Ok(())
}

/// What an API server has done, by its own account.
struct Served {
    /// The size of all lists that it sent.
    bytes: f64,
    /// How many lists, or pages of them, it has read from etcd.
    lists_of_etcd: f64,
}

impl Served {
    async fn by(cluster: &Cluster) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let metrics = cluster.admin().await?.request_text(request).await?;
        let sum = |name: &str, label: &str| -> f64 {
            let of_name = metrics.lines().filter(|line| line.starts_with(name));
            let values = of_name.filter(|line| line.contains(label));
            let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum()
        };
        Ok(Self {
            bytes: sum("apiserver_response_sizes_sum", "verb=\"LIST\""),
            lists_of_etcd: sum("etcd_request_duration_seconds_count", "operation=\"list\""),
        })
    }
}

/// The most memory that a process has had so far, in kB.
fn peak_of(status: &Path) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
