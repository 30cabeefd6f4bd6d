//! An object that no request about is answered keeps no other from its turn.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::Outcome;
use testbed::proxy::{By, Do, On};

use super::faults::Faulty;
use super::run::Report;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// A quarter of it passes before what comes next has its turn.
const ARGS: [&str; 4] = ["--margin", "0", "--timeout", "40"];

impl Faulty {
    /// A run did what it could, said what it could not, and wrote the status.
    async fn did_the_rest(&self, outcome: &Outcome, words: &str) -> Result<()> {
        ensure!(outcome.code == Some(1), "{outcome}");
        ensure!(outcome.stdout.contains(words), "no {words:?} in {outcome}");
        ensure!(
            !self.env.is_held(self.dead).await?,
            "not released: {outcome}"
        );
        let report = Report::of(outcome)?;
        ensure!(report.summary["statuses"] != 0, "{report:#?}");
        Ok(())
    }
}

/// As where a webhook's server is down.
#[tokio::test]
async fn a_lease_that_can_not_be_recreated_keeps_no_other_from_being_released() -> Result<()> {
    let faulty = Faulty::new("uncreated", "10.55.0.0/24").await?;
    let env = &faulty.env;
    let node = env.cluster.fresh_node().create().await?;
    let pod = env.cluster.pod(env.name(), "uses").on(&node);
    let pod = pod.create().await?;
    pod.report_addresses(&["10.55.0.200".parse()?]).await?;
    let rule = faulty
        .proxy
        .rule(On::create("ipleases"), Do::answer(500).retry_after(1));
    let outcome = faulty.collect(&ARGS).await?;
    rule.remove();
    faulty
        .did_the_rest(&outcome, "lease 10.55.0.200 was not recreated")
        .await?;
    pod.force_delete().await
}

/// What is not known of it counts for the pod: its annotation makes a lease.
#[tokio::test]
async fn a_namespace_that_can_not_be_read_keeps_no_lease_from_being_released() -> Result<()> {
    let faulty = Faulty::new("unread", "10.56.0.0/24").await?;
    let env = &faulty.env;
    let node = env.cluster.fresh_node().create().await?;
    let status = json!([{"name": "net", "interface": "net1", "ips": ["10.56.0.200"]}]);
    let pod = env.cluster.pod(env.name(), "claims").on(&node);
    let pod = pod
        .annotation(NETWORKS, "net")
        .annotation(NETWORK_STATUS, &status.to_string());
    let pod = pod.create().await?;
    pod.patch_status(json!({"phase": "Running"})).await?;
    let rule = faulty
        .proxy
        .rule(On::get("namespaces"), Do::LoseReply(By::Silence));
    let outcome = faulty.collect(&ARGS).await?;
    rule.remove();
    faulty
        .did_the_rest(
            &outcome,
            "all annotations of pods of Namespace unread count",
        )
        .await?;
    let made = env.lease("10.56.0.200".parse()?).await?;
    let holder = made.and_then(|lease| lease.spec.holder);
    let holder = holder.context("what it may use was not kept for it")?;
    assert_eq!(holder.uid, pod.uid());
    pod.force_delete().await
}

/// Lease, pod and node are read before each release; leases of one pod, and of one node, share what
/// they have in common.
#[tokio::test]
async fn leases_of_one_node_share_the_reads_before_their_release() -> Result<()> {
    const PODS: usize = 4;
    let faulty = Faulty::new("shares", "10.57.0.0/24").await?;
    let env = &faulty.env;
    let node = env.cluster.fresh_node().create().await?;
    super::heartbeats::beat(&env.cluster, node.name()).await?;
    for (pod, interface) in (1..=PODS).flat_map(|pod| [(pod, "eth0"), (pod, "net1")]) {
        let holder = json!({"namespace": env.name(), "pod": format!("gone-{pod}"), "uid": format!("uid-{pod}"),
            "node": node.name(), "container": "c", "interface": interface});
        let last = 100 + 2 * pod + usize::from(interface == "net1");
        let spec = json!({"state": "Held", "holder": holder, "cooldownSeconds": 600, "terminationGracePeriodSeconds": 0});
        env.write_lease(&format!("10.57.0.{last}"), spec).await?;
    }
    env.collect(&["--margin", "0"]).await?;
    super::heartbeats::beat(&env.cluster, node.name()).await?;
    let outcome = faulty.collect(&["--margin", "0"]).await?.success()?;
    let report = Report::of(&outcome)?;
    let ours = |event: &&&Value| event["pool"] == "shares";
    let reclaimed = report.events("reclaimed");
    assert_eq!(reclaimed.iter().filter(ours).count(), 2 * PODS);
    let log = faulty.proxy.log();
    let leases = |on: On| {
        on.when(|call| {
            let name = call.name.as_deref();
            name.is_some_and(|name| name.starts_with("10.57."))
        })
    };
    let read = log.count(&leases(On::get("ipleases")));
    let replaced = log.count(&leases(On::replace("ipleases")));
    assert_eq!((read, replaced), (2 * PODS, 2 * PODS), "{log}");
    let pods = log.count(&On::get("pods").in_namespace(env.name()));
    let nodes = log.count(&On::get("nodes").named(node.name()));
    ensure!(pods < 2 * PODS && nodes < PODS, "{log}");
    Ok(())
}
