//! What others can write is worth what its writer is: annotations, nodes' own statuses, objects
//! that can't be read.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use leasehold::api::{ReservedIP, State};
use serde_json::{Value, json};
use testbed::{Call, Outcome};

use super::heartbeats::alive;
use super::run::Report;
use crate::env::TestEnv;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// Entries of `network-status` for these addresses, an interface each.
fn entries(addresses: impl Iterator<Item = String>) -> String {
    let entry = |(index, address)| json!({"name": "net", "interface": format!("net{}", index + 1), "ips": [address]});
    let entries: Value = addresses.enumerate().map(entry).collect();
    entries.to_string()
}

/// A run that is to find something wrong, and say so.
async fn complains(env: &TestEnv, args: &[&str], words: &[&str]) -> Result<Report> {
    let outcome: Outcome = env.collector(args, None).await?.run().await?;
    ensure!(outcome.code == Some(1), "{outcome}");
    for word in words {
        ensure!(outcome.stdout.contains(word), "no {word:?} in {outcome}");
    }
    Report::of(&outcome)
}

#[tokio::test]
async fn an_annotation_of_a_pod_that_is_not_bound_makes_no_lease() -> Result<()> {
    let env = super::run::env("unbound", "10.78.0.0/24").await?;
    let all = entries((1..=250).map(|last| format!("10.78.0.{last}")));
    let networks = vec!["net"; 250].join(",");
    let pod = env.cluster.pod(env.name(), "greedy");
    let pod = pod
        .annotation(NETWORK_STATUS, &all)
        .annotation(NETWORKS, &networks);
    let pod = pod.create().await?;
    for _ in 0..2 {
        env.collect(&[]).await?;
        ensure!(env.leases().await?.is_empty(), "it has made leases");
    }
    pod.force_delete().await?;
    env.collect(&[]).await?;
    Ok(())
}

/// Such leases were made by an earlier build: their holder names no node.
#[tokio::test]
async fn a_lease_of_a_pod_that_was_bound_to_no_node_comes_back() -> Result<()> {
    let env = super::run::env("nodeless", "10.79.0.0/24").await?;
    let holder = json!({"namespace": env.name(), "pod": "gone", "uid": "no-such-pod", "node": "", "interface": "eth0"});
    env.write_lease("10.79.0.7", json!({"state": "Held", "holder": holder}))
        .await?;
    env.collect_all(&["--margin", "0"]).await?;
    Ok(())
}

/// It counts for the networks that the pod asks for, an address of each family, in pools that may
/// serve the pod.
#[tokio::test]
async fn an_annotation_of_a_pod_that_runs_counts_no_further_than_its_pools_do() -> Result<()> {
    let env = super::run::env("claims", "10.80.0.0/24").await?;
    let elsewhere = json!({"namespaceName": ["elsewhere"]});
    env.pool_of("others", "10.81.0.0/24", elsewhere).await?;
    let node = env.cluster.fresh_node().create().await?;
    let all = json!([
        {"name": "net", "interface": "net1", "ips": ["10.80.0.1", "10.80.0.2"]},
        {"name": "other", "interface": "net2", "ips": ["10.81.0.1"]},
        {"name": "not-asked-for", "interface": "net3", "ips": ["10.80.0.3"]},
    ]);
    let pod = env.cluster.pod(env.name(), "web");
    let pod = pod
        .annotation(NETWORK_STATUS, &all.to_string())
        .annotation(NETWORKS, "net,other");
    let pod = pod.on(&node).create().await?;
    pod.patch_status(json!({"phase": "Running"})).await?;
    env.collect(&[]).await?;
    let made = env.held_by(&pod).await?;
    let made: Vec<&str> = made.iter().map(|lease| &*lease.spec.address).collect();
    assert_eq!(made, ["10.80.0.1"]);
    Ok(())
}

#[tokio::test]
async fn a_node_reserves_no_more_than_a_few_addresses() -> Result<()> {
    let env = super::run::env("greedy", "10.82.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let addresses: Vec<Value> = (1..=254)
        .map(|last| json!({"type": "InternalIP", "address": format!("10.82.0.{last}")}))
        .collect();
    node.report_addresses(&json!(addresses)).await?;
    env.collect(&[]).await?;
    let ours = env.reserved_for_nodes().await?;
    ensure!(
        ours.contains(&"10.82.0.1-10.82.0.16".to_owned()),
        "{ours:?}"
    );
    // The pool still serves pods.
    let other = env.cluster.fresh_node().create().await?;
    let attached = env.attach(&other, "web").await?;
    ensure!(env.is_held(attached.address).await?, "{}", attached.address);
    env.forget().await
}

/// An address of a machine that runs does not become free because its Node has none for a moment.
#[tokio::test]
async fn an_address_that_a_node_does_not_name_for_a_moment_stays_reserved() -> Result<()> {
    let env = super::run::env("moment", "10.83.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    for addresses in [
        json!([{"type": "InternalIP", "address": "10.83.0.3"}]),
        json!(null),
    ] {
        node.report_addresses(&addresses).await?;
        env.collect(&[]).await?;
        let ours = env.reserved_for_nodes().await?;
        ensure!(
            ours.contains(&"10.83.0.3".to_owned()),
            "{addresses}: {ours:?}"
        );
    }
    env.forget().await
}

/// An API server whose kinds are older admits such a time, and one whose kinds are newer keeps what
/// it has.
#[tokio::test]
async fn a_time_beyond_the_calendar_breaks_no_page() -> Result<()> {
    let env = super::run::env("calendar", "10.84.0.0/24").await?;
    let rule = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/quarantinedUntil/x-kubernetes-validations";
    let patch = json!([{"op": "remove", "path": rule}]).to_string();
    let kind = [
        "patch",
        "crd",
        "ipleases.leasehold.io",
        "--type=json",
        "-p",
        &patch,
    ];
    env.cluster.kubectl(&kind).await?;
    let for_ever =
        json!({"state": "Quarantined", "quarantinedUntil": "9999-12-31T23:59:59.000000Z"});
    // The API server takes a moment to hear of it.
    let admitted = async {
        while env
            .write_lease("10.84.0.7", for_ever.clone())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let admitted = tokio::time::timeout(Duration::from_mins(1), admitted).await;
    let kinds = testbed::repository().join("crds/ipleases.leasehold.io.yaml");
    env.cluster.apply(&kinds).await?;
    admitted.context("the lease was not admitted")?;
    env.collect(&[]).await?;
    let lease = env.lease("10.84.0.7".parse()?).await?;
    let lease = lease.context("it was released")?;
    ensure!(lease.spec.state == State::Quarantined, "{lease:?}");
    let leases: Api<leasehold::api::IPLease> = env.api().await?;
    leases.delete("10.84.0.7", &DeleteParams::default()).await?;
    Ok(())
}

/// A node may write any uid into a lease of its own, and any time.
#[tokio::test]
async fn a_lease_that_another_node_forged_for_a_pod_is_surplus_and_its_own_is_not() -> Result<()> {
    let env = super::run::env("forged", "10.85.0.0/24").await?;
    let (node, other) = (
        env.cluster.fresh_node().create().await?,
        env.cluster.fresh_node().create().await?,
    );
    let victim = env.attach(&node, "victim").await?;
    let lease = env.lease(victim.address).await?.context("no lease")?;
    let mut holder = serde_json::to_value(lease.spec.holder)?;
    holder["node"] = json!(other.name());
    holder["pod"] = json!("forger");
    let forged =
        json!({"state": "Held", "holder": holder, "heldSince": "2099-01-01T00:00:00.000000Z"});
    env.write_lease("10.85.0.200", forged).await?;
    // The victim's next call finds its own.
    let again = victim.eth0.add().await?.success()?;
    ensure!(again.ips()? == [victim.address], "{again}");
    let args = ["--margin", "0", "--add-timeout", "0"];
    let is_over = async |_: &Report| Ok(env.lease("10.85.0.200".parse()?).await?.is_none());
    env.collect_until(&args, "release the forged lease", is_over)
        .await?;
    ensure!(
        env.is_held(victim.address).await?,
        "the victim lost its own"
    );
    victim.eth0.check().await?.success()?;
    Ok(())
}

/// The CRD of a ReservedIP can't check the order of an IPv6 range.
#[tokio::test]
async fn a_reservation_that_can_not_be_read_is_reported_and_hides_no_figures() -> Result<()> {
    let env = super::run::env("unreadable", "10.86.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    env.attach(&node, "web").await?;
    let broken = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "ReservedIP", "metadata": {"name": "broken"},
        "spec": {"ips": ["fd00::9-fd00::1"]}});
    env.cluster.apply_yaml(&broken.to_string()).await?;
    let folder = env.cluster.dir().join("unreadable");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("gc.prom");
    let path = file.to_str().context("a path")?;
    let outcome = complains(
        &env,
        &["--metrics-file", path],
        &["ReservedIP broken: spec.ips[0]"],
    )
    .await;
    let reserved: Api<ReservedIP> = env.api().await?;
    reserved.delete("broken", &DeleteParams::default()).await?;
    let report = outcome?;
    ensure!(report.summary["unreadable"] == 1, "{report:#?}");
    let figures = std::fs::read_to_string(&file)?;
    let held =
        "leasehold_pool_addresses{pool=\"unreadable\",vrf=\"\",family=\"IPv4\",state=\"held\"} 1";
    ensure!(figures.contains(held), "{figures}");
    let status = env.read_pool("unreadable").await?.status;
    ensure!(
        status.is_some_and(|status| status.held == 1),
        "the status is not written"
    );
    Ok(())
}

/// Leases of one node that wait.
const WAITING: usize = 40;

/// On call: which node, and what to do, where people look.
#[tokio::test]
async fn what_waits_for_a_person_is_said_of_the_pool_the_node_and_in_the_log() -> Result<()> {
    let env = super::run::env("oncall", "10.87.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    for index in 1..=WAITING {
        let holder = json!({"namespace": env.name(), "pod": format!("web-{index}"), "uid": format!("gone-{index}"),
            "node": node.name(), "container": "c", "interface": "eth0"});
        let spec = json!({"state": "Held", "holder": holder});
        env.write_lease(&format!("10.87.0.{index}"), spec).await?;
    }
    node.report_ready("Unknown").await?;
    let report = env.collect(&[]).await?;
    let advice = format!("node {} is not Ready", node.name());
    let what_to_do = format!(
        "kubectl taint node {} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
        node.name()
    );
    let kept = report.events("kept").into_iter();
    let lines = kept.filter(|event| event["message"].to_string().contains(&advice));
    ensure!(lines.count() == WAITING, "a line for each: {report:#?}");

    let status = env.read_pool("oncall").await?.status.context("a status")?;
    assert_eq!(status.kept.get("unready"), Some(&40));
    assert_eq!(status.observed_generation, Some(1));
    let waits = status.conditions.iter().find(|c| c.type_ == "LeasesKept");
    let waits = waits.context("no condition")?;
    let says_it =
        waits.message.contains(&advice) && waits.message.contains("delete the Node or taint it");
    ensure!(waits.status == "True" && says_it, "{waits:?}");

    let events: Api<Event> = Api::namespaced(env.cluster.admin().await?, "default");
    for (kind, name) in [("Node", node.name()), ("IPPool", "oncall")] {
        let about = format!("involvedObject.kind={kind},involvedObject.name={name}");
        let found = events.list(&ListParams::default().fields(&about)).await?;
        let message = found.items.first().and_then(|event| event.message.clone());
        ensure!(
            message.is_some_and(|m| m.contains(&advice)),
            "{kind}: {found:?}"
        );
    }
    let log = Call::new(Path::new(super::run::COLLECTOR))
        .env("KUBECONFIG", env.cluster.kubeconfig())
        .run()
        .await?;
    let mut shown = vec![log.success()?.stdout];
    for what in [
        ["get", "lhpool", "oncall"],
        ["describe", "node", node.name()],
        ["describe", "lhpool", "oncall"],
    ] {
        shown.push(env.cluster.kubectl(&what).await?);
    }
    for text in shown {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(text.contains(&advice), "which node? {text}");
        ensure!(text.contains(&what_to_do), "what to do? {text}");
    }
    // Again and again: one event, not one for each run.
    env.collect(&[]).await?;
    let about = format!(
        "involvedObject.kind=Node,involvedObject.name={}",
        node.name()
    );
    let found = events.list(&ListParams::default().fields(&about)).await?;
    assert_eq!(found.items.len(), 1);
    Ok(())
}

#[tokio::test]
async fn two_living_pods_on_one_address_are_always_reported() -> Result<()> {
    let env = super::run::env("contest", "10.88.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let first = env.attach(&node, "first").await?;
    first.pod.report_addresses(&[first.address]).await?;
    let second = env
        .cluster
        .pod(env.name(), "second")
        .on(&node)
        .create()
        .await?;
    second.report_addresses(&[first.address]).await?;
    let report = env.collect(&[]).await?;
    let contested = report.events("contested");
    let expected = json!({"event": "contested", "address": first.address, "pods": ["contest/first", "contest/second"]});
    ensure!(contested.contains(&&expected), "{report:#?}");
    let status = env.read_pool("contest").await?.status.context("a status")?;
    let holds = status
        .conditions
        .iter()
        .any(|c| c.type_ == "AddressContested" && c.status == "True");
    ensure!(holds, "{status:?}");
    second.force_delete().await?;
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_is_too_sparse_is_reported() -> Result<()> {
    let env = super::run::env("sparse", "10.89.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let gone = env.attach(&node, "gone").await?;
    gone.pod.force_delete().await?;
    env.collect(&["--margin", "0"]).await?;
    let marks: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(env.cluster.admin().await?, "leasehold-system");
    let written = marks
        .get("leasehold-gc-marks")
        .await?
        .data
        .unwrap_or_default();
    ensure!(
        written.contains_key(&gone.address.to_string()),
        "{written:?}"
    );
    let confirmed_at = async |seconds: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        let data = json!({"data": {"confirmedAt": format!("{at:.0}")}});
        let params = PatchParams::default();
        let patch = Patch::Merge(data);
        marks.patch("leasehold-gc-marks", &params, &patch).await
    };
    confirmed_at(-16 * 60).await?;
    complains(
        &env,
        &["--margin", "0"],
        &["run the collector every minute"],
    )
    .await?;
    ensure!(env.is_held(gone.address).await?, "a void mark counted");
    confirmed_at(3600).await?;
    complains(&env, &["--margin", "0"], &["dated in the future"]).await?;
    ensure!(
        env.is_held(gone.address).await?,
        "a mark of the future counted"
    );
    env.collect_all(&["--margin", "0"]).await?;
    Ok(())
}

/// A write between two runs is the word of someone who knows more.
#[tokio::test]
async fn a_lease_that_was_written_since_it_was_marked_begins_anew() -> Result<()> {
    let env = super::run::env("touched", "10.90.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let gone = env.attach(&node, "gone").await?;
    gone.pod.force_delete().await?;
    for round in 0..3 {
        env.collect(&["--margin", "0"]).await?;
        super::heartbeats::beat(&env.cluster, node.name()).await?;
        let leases: Api<leasehold::api::IPLease> = env.api().await?;
        let metadata =
            json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}});
        let name = gone.address.to_string();
        leases
            .patch(&name, &PatchParams::default(), &Patch::Merge(metadata))
            .await?;
        ensure!(env.is_held(gone.address).await?, "a mark outlived a write");
    }
    env.collect_all(&["--margin", "0"]).await?;
    Ok(())
}
