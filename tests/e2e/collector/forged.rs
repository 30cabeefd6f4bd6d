//! Forgeries of a smaller kind: none makes a run fail, none frees an address, and what only a
//! person can correct is reported.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use leasehold::api::IPLease;
use leasehold::collector::MARKS;
use serde_json::{Value, json};

use super::heartbeats::{alive, beat};
use super::run::SYSTEM;
use crate::env::with;

const MIRROR: &str = "kubernetes.io/config.mirror";
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// A node's lease of a pod that is gone.
fn held(namespace: &str, pod: &str, node: &str) -> Value {
    let holder = json!({"namespace": namespace, "pod": pod, "uid": format!("uid-of-{pod}"), "node": node,
        "container": "c", "interface": "eth0"});
    json!({"state": "Held", "holder": holder, "terminationGracePeriodSeconds": 0})
}

/// Anyone who may write pods may make one that calls itself the mirror of another.
#[tokio::test]
async fn a_mirror_that_ends_frees_no_address_of_the_pod_that_it_names() -> Result<()> {
    let env = super::run::env("mirrored", "10.50.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let pod = |name: &str| env.cluster.pod(env.name(), name).on(&node);
    let lives = env.attach(&node, "lives").await?;
    // Whatever it runs may take long to end.
    let gone = pod("gone").ending_within(3600).create().await?;
    let gone = env.attach_pod(&node, gone).await?;
    let mut mirrors = Vec::new();
    for victim in [&lives, &gone] {
        let name = format!("mirror-of-{}", victim.pod.name());
        let mirror = pod(&name).annotation(MIRROR, victim.pod.uid());
        let mirror = mirror.create().await?;
        mirror.patch_status(json!({"phase": "Succeeded"})).await?;
        mirrors.push(mirror);
    }
    gone.pod.force_delete().await?;
    for _ in 0..3 {
        env.collect(&["--margin", "0"]).await?;
        beat(&env.cluster, node.name()).await?;
    }
    ensure!(env.is_held(gone.address).await?, "freed before its time");
    ensure!(env.is_held(lives.address).await?, "freed while it lives");
    for pod in mirrors.iter().chain([&lives.pod]) {
        pod.force_delete().await?;
    }
    env.collect_all(&["--release-unreachable"]).await?;
    Ok(())
}

/// Its annotations are the word of anyone who may write pods.
#[tokio::test]
async fn a_pod_makes_no_lease_in_the_name_of_another_and_none_that_can_not_be_written() -> Result<()>
{
    let env = super::run::env("unwritable", "10.51.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let victim = env.cluster.pod(env.name(), "victim").on(&node);
    let victim = victim.create().await?;
    let mut pods = Vec::new();
    for (last, (name, interface, mirrored)) in (1..).zip([
        ("long", "i".repeat(300), None),
        ("empty", String::new(), None),
        ("bell", "net1\u{7}".to_owned(), None),
        ("named", "net1".to_owned(), Some(victim.uid().to_owned())),
        ("huge", "net1".to_owned(), Some("u".repeat(5000))),
    ]) {
        let ips = [format!("10.51.0.{last}")];
        let status = json!([{"name": "net", "interface": interface, "ips": ips}]);
        let pod = env.cluster.pod(env.name(), name).on(&node);
        let pod = pod
            .annotation(NETWORKS, "net")
            .annotation(NETWORK_STATUS, &status.to_string());
        let pod = match mirrored {
            Some(uid) => pod.annotation(MIRROR, &uid),
            None => pod,
        };
        let pod = pod.create().await?;
        pod.patch_status(json!({"phase": "Running"})).await?;
        pods.push(pod);
    }
    env.collect(&[]).await?;
    let made = env.leases().await?;
    let made: Vec<_> = made
        .iter()
        .filter_map(|lease| Some((&*lease.spec.address, &*lease.spec.holder.as_ref()?.uid)))
        .collect();
    let own = [("10.51.0.4", pods[3].uid()), ("10.51.0.5", pods[4].uid())];
    assert_eq!(made, own);
    for pod in pods.iter().chain([&victim]) {
        pod.force_delete().await?;
    }
    Ok(())
}

/// The address is not free before they are gone.
#[tokio::test]
async fn a_lease_that_finalizers_keep_is_reported_and_not_called_released() -> Result<()> {
    let env = super::run::env("finalizers", "10.52.0.0/24").await?;
    let address = "10.52.0.7";
    let spec = json!({"state": "Cooling", "releasedAt": "2026-01-01T00:00:00.000000Z"});
    env.write_lease(address, spec).await?;
    let leases: Api<IPLease> = env.api().await?;
    let finalizers = async |finalizers: Value| {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        let params = PatchParams::default();
        leases.patch(address, &params, &patch).await
    };
    finalizers(json!(["test.local/waits"])).await?;
    for _ in 0..2 {
        let report = env.collect(&[]).await?;
        ensure!(report.reason(address) == Some("finalizers"), "{report:#?}");
        ensure!(report.events("reclaimed").is_empty(), "{report:#?}");
    }
    let status = env.read_pool("finalizers").await?.status;
    let status = status.context("no status")?;
    assert_eq!(status.kept.get("finalizers"), Some(&1));
    let waits = status.conditions.iter().find(|c| c.type_ == "LeasesKept");
    let waits = waits.context("no condition")?;
    ensure!(
        waits.status == "True" && waits.message.contains("remove them from the lease"),
        "{waits:?}"
    );
    finalizers(json!(null)).await?;
    env.collect(&[]).await?;
    ensure!(env.leases().await?.is_empty(), "it is still there");
    Ok(())
}

/// No Node has capitals in its name, and the name in a lease is what its writer calls itself.
#[tokio::test]
async fn a_lease_is_of_its_node_whatever_the_case_of_its_letters() -> Result<()> {
    let env = super::run::env("capitals", "10.53.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    node.report_ready("Unknown").await?;
    let name = node.name().to_ascii_uppercase();
    let lease = held(env.name(), "gone", &name);
    env.write_lease("10.53.0.7", lease).await?;
    for _ in 0..3 {
        let report = env.collect(&["--margin", "0"]).await?;
        ensure!(report.reason("10.53.0.7") == Some("unready"), "{report:#?}");
    }
    env.collect_all(&["--release-unreachable"]).await?;
    Ok(())
}

/// The API server admits that for a Node, though not for a pod.
#[tokio::test]
async fn a_nodes_ipv4_address_in_the_form_of_ipv6_is_reserved_too() -> Result<()> {
    let env = super::run::env("mapped", "10.54.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let texts = [
        "::ffff:10.54.0.7",
        "10.54.0.8",
        "10.54.0.9/24",
        "010.54.0.9",
        "10.54.0.9-10.54.0.20",
        "",
    ];
    let addresses = texts.map(|text| json!({"type": "InternalIP", "address": text}));
    node.report_addresses(&json!(addresses)).await?;
    env.collect(&[]).await?;
    let ours = env.reserved_for_nodes().await?;
    let ours: Vec<_> = ours.iter().filter(|ip| ip.starts_with("10.54.")).collect();
    assert_eq!(ours, ["10.54.0.7-10.54.0.8"]);
    env.forget().await
}

/// A person who may write them may delay releases, and causes none.
#[tokio::test]
async fn marks_that_others_wrote_stop_no_run_and_release_nothing() -> Result<()> {
    let env = super::run::env("marked", "10.49.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let gone = env.attach(&node, "gone").await?;
    gone.pod.force_delete().await?;
    let maps: Api<ConfigMap> = Api::namespaced(env.cluster.admin().await?, SYSTEM);
    let now = format!("{:.0}", jiff::Timestamp::now());
    let mark = format!("uid=x version=1 since={now}");
    let (address, long) = (gone.address.to_string(), "x".repeat(900_000));
    for (what, code, content) in [
        (
            "lines that are none",
            1,
            json!({"data": {"confirmedAt": now, "nonsense": "x", "10.49.0.9": "uid= since=never"}}),
        ),
        (
            "a time that is none",
            1,
            json!({"data": {"confirmedAt": "yesterday", &address: mark}}),
        ),
        (
            "another object's mark",
            0,
            json!({"data": {"confirmedAt": now, &address: mark}}),
        ),
        (
            "as much as a ConfigMap holds",
            0,
            json!({"data": {"confirmedAt": now, &address: format!("{mark} note={long}")}}),
        ),
        (
            "what is no text",
            0,
            json!({"binaryData": {"confirmedAt": "AAAA"}}),
        ),
        (
            "what can't be replaced",
            1,
            json!({"data": {"confirmedAt": now}, "immutable": true}),
        ),
    ] {
        if maps.get_metadata_opt(MARKS).await?.is_some() {
            maps.delete(MARKS, &DeleteParams::default()).await?;
        }
        let map = with(json!({"metadata": {"name": MARKS}}), &content);
        let map = serde_json::from_value(map)?;
        maps.create(&PostParams::default(), &map).await?;
        beat(&env.cluster, node.name()).await?;
        let call = env.collector(&["--margin", "0"], None).await?;
        let outcome = call.run().await?;
        ensure!(outcome.code == Some(code), "{what}: {outcome}");
        ensure!(env.is_held(gone.address).await?, "{what}: {outcome}");
    }
    maps.delete(MARKS, &DeleteParams::default()).await?;
    env.collect_all(&["--margin", "0"]).await?;
    Ok(())
}
