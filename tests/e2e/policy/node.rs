//! What a node makes, and what it deletes.

use anyhow::Result;
use kube::api::{DeleteParams, ListParams};
use leasehold::api::IPLease;
use serde_json::{Value, json};

use super::{Allowed, Failures, TwoNodes, cells, deletion, dry_run, judge, put, refused};

#[tokio::test]
async fn a_node_makes_leases_for_its_own_pods_only() -> Result<()> {
    let nodes = TwoNodes::new("creates").await?;
    let (here, there) = (nodes.here.name(), nodes.there.name());
    let table = "
        its own pod                | Held me         | allowed
        another node's pod         | Held them-here  | no pod creates/theirs is bound to node HERE
        a pod that does not exist  | Held missing    | no pod creates/missing is bound to node HERE
        another node's name        | Held me-there   | a node takes leases for itself only: the user is system:node:HERE, and spec.holder.node is THERE
        another node and its pod   | Held them       | a node takes leases for itself only: the user is system:node:HERE, and spec.holder.node is THERE
        its own pod, kept          | Retained me     | a node makes a lease only to hold it, or for the set of an IPClaim: spec.state must be Held, or Retained with such a claim
    ";
    let leases = nodes.leases().await?;
    let mut failures = Failures::default();
    for row in cells(table) {
        let [says, lease, verdict] = row?;
        let lease = nodes.lease("192.0.2.1", lease)?;
        let answer = leases.create(&dry_run(), &lease).await;
        let verdict = match verdict {
            "allowed" => Allowed,
            message => refused(&message.replace("THERE", there).replace("HERE", here)),
        };
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

/// What would delete its lease, keep it from being deleted, let others delete it, or claim what is
/// not served.
#[tokio::test]
async fn a_node_adds_nothing_to_a_lease_but_its_holder() -> Result<()> {
    let nodes = TwoNodes::new("adds").await?;
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let stored = put(&all, nodes.lease("192.0.2.6", "Held me")?).await?;
    let me = serde_json::to_value(nodes.holder("me"))?;
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]);
    let claim = json!({"kind": "IPClaim", "namespace": "adds", "name": "a"});
    let far = json!({"kind": "Pod", "namespace": "far", "name": "mine"});
    let uid = &me["uid"];
    let mut failures = Failures::default();
    for (says, patch, message) in [
        (
            "an owner",
            json!({"metadata": {"ownerReferences": owner}}),
            "a node adds no metadata.ownerReferences to a lease",
        ),
        (
            "a finalizer",
            json!({"metadata": {"finalizers": ["example.com/a"]}}),
            "a node adds no metadata.finalizers to a lease",
        ),
        (
            "a release",
            json!({"metadata": {"annotations": {"ipam.leasehold.io/release": uid}}}),
            "a node does not allow the release of a lease: the annotation ipam.leasehold.io/release is an administrator's",
        ),
        (
            "a claim of another namespace",
            json!({"spec": {"claim": far}}),
            "a claim is for pods of its own namespace: spec.claim.namespace must be spec.holder.namespace",
        ),
        (
            "a second holder",
            json!({"spec": {"claim": claim, "coHolder": me}}),
            "a node writes no spec.coHolder: it is not served yet",
        ),
    ] {
        let mut object = serde_json::to_value(&stored)?;
        json_patch(&mut object, &patch);
        let changed: IPLease = serde_json::from_value(object)?;
        let name = changed.metadata.name.clone().unwrap_or_default();
        let answer = leases.replace(&name, &dry_run(), &changed).await;
        failures.note(&format!("{says}, added"), judge(answer, &refused(message)));
        let mut fresh = serde_json::to_value(nodes.lease("192.0.2.7", "Held me")?)?;
        json_patch(&mut fresh, &patch);
        let fresh: IPLease = serde_json::from_value(fresh)?;
        let answer = leases.create(&dry_run(), &fresh).await;
        failures.note(
            &format!("{says}, from the first"),
            judge(answer, &refused(message)),
        );
    }
    failures.none()
}

/// Merges as RFC 7396 has it, for objects.
fn json_patch(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    for (key, value) in fields {
        json_patch(&mut target[key.as_str()], value);
    }
}

#[tokio::test]
async fn a_node_deletes_what_it_holds_itself() -> Result<()> {
    let nodes = TwoNodes::new("deletes").await?;
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let table = "
        its own               | Held me      | allowed
        another's             | Held them    | refused
        its own that cools    | Cooling me   | refused
        another's that cools  | Cooling them | refused
        what is kept          | Retained me  | refused
        its own slot          | Held me pod:mine           | allowed
        a slot that is kept   | Retained me pod:mine       | refused
        what it made for a set         | Retained me set:a       | allowed
        what another made for a set    | Retained them set:a     | refused
        what a set has, once held      | Retained me set:a since | refused
    ";
    let mut failures = Failures::default();
    for row in cells(table) {
        let [says, lease, verdict] = row?;
        let stored = put(&all, nodes.lease("192.0.2.3", lease)?).await?;
        let name = stored.metadata.name.clone().unwrap_or_default();
        let answer = leases.delete(&name, &deletion(&stored)).await;
        let verdict = match verdict {
            "allowed" => Allowed,
            _ => refused("a node deletes only leases that it holds itself or made for an IPClaim"),
        };
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

#[tokio::test]
async fn a_node_gives_back_what_its_pod_had_after_the_pod_is_gone() -> Result<()> {
    let nodes = TwoNodes::new("afterwards").await?;
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let mut held = put(&all, nodes.lease("192.0.2.4", "Held me")?).await?;
    nodes.mine.force_delete().await?;
    let name = held.metadata.name.clone().unwrap_or_default();
    judge(leases.delete(&name, &deletion(&held)).await, &Allowed)?;
    held.spec = nodes.lease("192.0.2.4", "Cooling me")?.spec;
    judge(leases.replace(&name, &dry_run(), &held).await, &Allowed)
}

#[tokio::test]
async fn a_node_sweeps_no_collection() -> Result<()> {
    let nodes = TwoNodes::new("sweeps").await?;
    let mine = ListParams::default().fields(&format!("spec.holder.node={}", nodes.here.name()));
    let swept = nodes
        .leases()
        .await?
        .delete_collection(&DeleteParams::default().dry_run(), &mine)
        .await;
    judge(
        swept,
        &refused(
            "cannot deletecollection resource \"ipleases\" in API group \"leasehold.io\" at the cluster scope",
        ),
    )
}

/// A user who may act for the group of all nodes and is none of them.
#[tokio::test]
async fn the_group_of_nodes_without_a_nodes_name_may_do_nothing() -> Result<()> {
    let nodes = TwoNodes::new("nameless").await?;
    let all = nodes.leases_as_admin().await?;
    let stored = put(&all, nodes.lease("192.0.2.5", "Held them")?).await?;
    let name = stored.metadata.name.unwrap_or_default();
    let as_no_node = ["--as=other", "--as-group=system:nodes"];
    let delete = [&as_no_node[..], &["delete", "iplease", &name]].concat();
    let refusal = nodes.cluster.kubectl(&delete).await.expect_err("refused");
    let words = "the user is in the group system:nodes and is no system:node:<name>";
    assert!(refusal.to_string().ends_with(words), "{refusal}");
    Ok(())
}
