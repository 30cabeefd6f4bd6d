//! How many ADDs at once survive in the cgroup of thick Multus (50 Mi, a tenth of a CPU for the
//! daemon and all that it runs), beside Whereabouts in the same place in the same run.
//!
//! What runs in place of Multus says itself what it does (`tests/testbed/tools/multus`). A call
//! survives if its ADD succeeds before a kubelet would give up. `LEASEHOLD_BENCH=quick` makes few;
//! `LEASEHOLD_BENCH_PLUGIN` names another build of the plugin.

#![expect(clippy::print_stdout, reason = "a benchmark is there to print")]

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::{Cluster, Segment, Tool, Tools, Worker, repository};

#[path = "add/whereabouts.rs"]
mod whereabouts;

/// Attaches and detaches so many pods at once. Arguments: a name for them, their number, a file
/// with the configuration.
const CALLS: &str = r#"
call() {
    CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin \
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2;K8S_POD_INFRA_CONTAINER_ID=$2;K8S_POD_UID=$3" \
        timeout 240 /opt/cni/bin/multus <"$4"
}
uids=$(cat /run/uids)
all() {
    number=0
    for uid in $uids; do
        number=$((number + 1))
        if call "$1" "$2-$number" "$uid" "$3" >"/run/$2-$number.out" 2>&1; then echo ok; else echo "failed: $(tr '\n' ' ' <"/run/$2-$number.out")"; fi &
    done
    wait
}
number=0
for uid in $uids; do number=$((number + 1)); ip netns add "$1-$number"; done
begun=$(date +%s%N)
all ADD "$1" "$2"
echo "$((($(date +%s%N) - begun) / 1000000)) ms"
all DEL "$1" "$2" >/dev/null
number=0
for uid in $uids; do number=$((number + 1)); ip netns del "$1-$number"; done
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let quick = std::env::var("LEASEHOLD_BENCH").as_deref() == Ok("quick");
    let counts: &[usize] = if quick {
        &[1, 4]
    } else {
        &[1, 2, 4, 8, 16, 32, 64]
    };
    let plugin = std::env::var_os("LEASEHOLD_BENCH_PLUGIN");
    let plugin = plugin.map_or_else(|| env!("CARGO_BIN_EXE_leasehold").into(), PathBuf::from);
    let cluster = Cluster::builder().bare().workloads().start().await?;
    for path in ["crds", "deploy/rbac.yaml", "deploy/policy.yaml"] {
        cluster.apply(&repository().join(path)).await?;
    }
    let segment = Segment::new()?;
    let worker = cluster.worker("worker-1", &segment).plugin(&plugin);
    let worker = worker.thick_multus(&[]).network(json!({"name": "none"}));
    let worker = worker.start().await?;
    // The calls are made here.
    worker.kill_kubelet().await?;

    let pool = json!({
        "apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": "bench"},
        "spec": {"subnet": "10.78.0.0/16", "cooldownSeconds": 0},
    });
    cluster.apply_yaml(&pool.to_string()).await?;
    let mut peers = vec![(
        "leasehold",
        json!({"type": "leasehold", "ipv4Pools": ["bench"]}),
    )];
    match Tools::ready(&[Tool::Whereabouts]) {
        Ok(tools) => {
            worker.install(&tools.path(Tool::Whereabouts), "/opt/cni/bin")?;
            for kind in whereabouts::definitions() {
                cluster.apply_yaml(&kind.to_string()).await?;
            }
            let kubeconfig = "/etc/cni/net.d/multus.d/multus.kubeconfig";
            let path = "/etc/cni/net.d/whereabouts.d/whereabouts.conf";
            worker.write(path, &whereabouts::file(kubeconfig).to_string())?;
            let ipam = json!({"type": "whereabouts", "range": "10.79.0.0/16"});
            peers.push(("whereabouts", ipam));
        }
        Err(error) => println!("without Whereabouts: {error:#}"),
    }
    println!("ADDs at once in 50 Mi and a tenth of a CPU\n");
    println!(
        "{:12} {:>8} {:>9} {:>10} {:>10}",
        "", "at once", "survive", "time", "OOM kills"
    );
    for (name, ipam) in peers {
        for count in counts {
            let (survived, seconds, kills) =
                measure(&cluster, &worker, name, &ipam, *count).await?;
            println!("{name:12} {count:>8} {survived:>9} {seconds:>8.1} s {kills:>10}");
        }
    }
    Ok(())
}

/// How many of so many ADDs succeed, after how long the last call ends, and how many processes the
/// kernel kills meanwhile.
async fn measure(
    cluster: &Cluster,
    worker: &Worker,
    name: &str,
    ipam: &Value,
    count: usize,
) -> Result<(usize, f64, u64)> {
    let prefix = format!("{name}-{count}");
    let mut uids = Vec::new();
    for number in 1..=count {
        let pod = pod(&format!("{prefix}-{number}"), worker.name());
        let pod = cluster.create_yaml(&pod.to_string()).await?;
        uids.push(pod.metadata.uid.context("a pod without a uid")?);
    }
    worker.write("/run/uids", &uids.join("\n"))?;
    worker.write("/run/config", &configuration(worker, ipam)?.to_string())?;
    let before = worker.multus_oom_kills()?;
    let outcomes = worker.run(&["sh", "-c", CALLS, "calls", &prefix, "/run/config"])?;
    let milliseconds = outcomes.lines().find_map(|line| line.strip_suffix(" ms"));
    let milliseconds: f64 = milliseconds.context("no time")?.parse()?;
    let survived = outcomes.lines().filter(|line| *line == "ok").count();
    if let Some(why) = outcomes
        .lines()
        .find_map(|line| line.strip_prefix("failed: "))
    {
        let why: String = why.chars().take(120).collect();
        println!("{:12} {why}", "");
    }
    cluster
        .kubectl(&["delete", "pods", "--all", "--force", "--grace-period=0"])
        .await?;
    Ok((
        survived,
        milliseconds / 1e3,
        worker.multus_oom_kills()? - before,
    ))
}

/// The node's configuration, with another network behind Multus.
fn configuration(worker: &Worker, ipam: &Value) -> Result<Value> {
    let list = std::fs::read(worker.file("/etc/cni/net.d/10-none.conflist"))?;
    let list: Value = serde_json::from_slice(&list)?;
    let mut plugin = list["plugins"][0].clone();
    plugin["cniVersion"] = json!("1.0.0");
    plugin["name"] = list["name"].clone();
    plugin["delegates"] = json!([{"cniVersion": "1.0.0", "name": "underlay", "plugins": [
        {"type": "macvlan", "master": "eth0", "mode": "bridge", "ipam": ipam},
    ]}]);
    Ok(plugin)
}

fn pod(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "local.test/pause:1"}],
        },
    })
}
