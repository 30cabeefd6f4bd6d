//! The plugin at work: a real control plane, two simulated nodes, a dozen pods with two addresses
//! each.
//!
//! `cargo run --example demo`, as root, with Rust and Go installed. Nodes and pods are network
//! namespaces on a segment of their own, and all of it is gone in the end, however the end comes.
//! With `--nodes`, and runc installed, the nodes are real ones: kubelet and containerd run a
//! Deployment.

#![expect(clippy::print_stdout, reason = "showing is what it is for")]

mod nodes;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use testbed::{Attachment, Cluster, Node, Pod, Sandbox, Segment};

const PODS: usize = 12;

/// An echo crosses the segment in well under a millisecond; an IPv6 address that was just given is
/// tentative for a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a cluster, attaches pods, shows what happens to their addresses.
#[derive(Parser)]
struct Args {
    /// Leave the cluster and its pods running, and print how to reach and how to stop them.
    #[arg(long)]
    keep: bool,
    /// Run pods on nodes with kubelet and containerd instead of simulated ones.
    #[arg(long)]
    nodes: bool,
}

/// A pod with everything that a runtime has for it.
struct Workload {
    pod: Pod,
    sandbox: Arc<Sandbox>,
    eth0: Attachment,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = if args.nodes {
        on_nodes(&args).await
    } else {
        demo(&args).await
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn on_nodes(args: &Args) -> Result<()> {
    step(
        "Starting etcd, kube-apiserver, controllers and scheduler, with crds/ and deploy/ applied",
    );
    let cluster = Cluster::builder().bare().workloads().start().await?;
    nodes::apply(&cluster).await?;
    let plugin = tokio::task::spawn_blocking(build_plugin).await??;
    let _workers = nodes::demo(&cluster, &plugin).await?;
    end(args, || say_how_to_go_on(&cluster, &[]))
}

async fn demo(args: &Args) -> Result<()> {
    step("Starting etcd and kube-apiserver, with crds/ and deploy/ applied");
    let cluster = Cluster::start().await?;
    let plugin = tokio::task::spawn_blocking(build_plugin).await??;

    step("Two pools, of examples/dual-stack.yaml");
    cluster
        .apply(&testbed::repository().join("examples/dual-stack.yaml"))
        .await?;
    show(&cluster, &["get", "ippools"]).await?;

    let segment = Segment::new()?;
    segment.add_neighbor("10.70.0.1/24")?;
    segment.add_neighbor("fd00:70::1/64")?;
    let nodes = [
        cluster.node("n1").on(&segment).create().await?,
        cluster.node("n2").on(&segment).create().await?,
    ];

    step(&format!(
        "{PODS} pods on two nodes at once, attached by macvlan"
    ));
    let workloads = attach(&plugin, &cluster, &nodes).await?;
    show(&cluster, &["get", "ipleases"]).await?;

    step("The first pod, on n1, pings the last one, on n2, and the gateway");
    ping(&workloads[0], &workloads[PODS - 1].eth0.ips()?)?;
    ping(
        &workloads[0],
        &["10.70.0.1".parse()?, "fd00:70::1".parse()?],
    )?;

    step("Four pods end: their addresses cool down, and no pod gets them for 30 seconds");
    detach(&workloads[..4]).await?;
    let cooling = ["get", "ipleases", "--field-selector=spec.state=Cooling"];
    show(&cluster, &cooling).await?;

    end(args, || say_how_to_go_on(&cluster, &workloads[4..]))
}

/// Clears up, or leaves everything in place.
fn end(args: &Args, keep: impl FnOnce() -> Result<()>) -> Result<()> {
    if args.keep {
        return keep();
    }
    step("Clearing up");
    testbed::clean_up();
    Ok(())
}

/// Builds the plugin as this example was built; cargo prints its progress.
fn build_plugin() -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        // Together with this example, so that its dependencies are those that are built already.
        .args(["build", "--bin=leasehold", "--example=demo"])
        .arg("--message-format=json-render-diagnostics")
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(testbed::repository())
        .stderr(Stdio::inherit());
    // What `cargo run` sets about this example's package would make some build scripts run again,
    // there and back.
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        cargo.env_remove(name);
    }
    let out = cargo.output().context("run cargo build")?;
    ensure!(
        out.status.success(),
        "cargo build ended with {}",
        out.status
    );
    let messages = String::from_utf8(out.stdout)?;
    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = artifacts
        .filter(|message| message["target"]["name"] == "leasehold")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.context("cargo build names no executable")
}

async fn attach(plugin: &Path, cluster: &Cluster, nodes: &[Node; 2]) -> Result<Vec<Workload>> {
    let starting: Vec<_> = (0..PODS)
        .map(|i| {
            tokio::spawn(start(
                plugin.to_owned(),
                cluster.clone(),
                nodes[i * 2 / PODS].clone(),
                i,
            ))
        })
        .collect();
    let mut workloads = Vec::new();
    for workload in starting {
        workloads.push(workload.await??);
    }
    Ok(workloads)
}

/// What kubelet and runtime do for one pod.
async fn start(plugin: PathBuf, cluster: Cluster, node: Node, number: usize) -> Result<Workload> {
    let pod = cluster
        .pod("shop", &format!("web-{number}"))
        .on(&node)
        .create()
        .await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let eth0 = Attachment::new(&plugin, &node, &pod, &sandbox)?.by_macvlan();
    eth0.add().await?.success()?;
    pod.report_addresses(&eth0.ips()?).await?;
    Ok(Workload { pod, sandbox, eth0 })
}

fn ping(from: &Workload, to: &[std::net::IpAddr]) -> Result<()> {
    for address in to {
        let took = from.sandbox.netns().ping(*address, PATIENCE)?;
        println!("{} → {address}: {took:?}", from.pod.name());
    }
    Ok(())
}

async fn detach(workloads: &[Workload]) -> Result<()> {
    for Workload { pod, sandbox, eth0 } in workloads {
        eth0.del().await?.success()?;
        sandbox.remove();
        pod.force_delete().await?;
    }
    Ok(())
}

fn say_how_to_go_on(cluster: &Cluster, workloads: &[Workload]) -> Result<()> {
    let stop = testbed::keep()?;
    let kubectl = cluster.tool(testbed::Tool::Kubectl);
    step("Left up");
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("  {} get ipleases", kubectl.display());
    for Workload {
        pod,
        sandbox,
        eth0: _,
    } in workloads
    {
        println!(
            "  nsenter --net={} ip address  # {}",
            sandbox.netns().path().display(),
            pod.name()
        );
    }
    println!("Stop it, and remove all of it:\n  sh {}", stop.display());
    Ok(())
}

async fn show(cluster: &Cluster, kubectl: &[&str]) -> Result<()> {
    println!("$ kubectl {}", kubectl.join(" "));
    print!("{}", cluster.kubectl(kubectl).await?);
    Ok(())
}

fn step(line: &str) {
    println!("\n== {line}");
}
