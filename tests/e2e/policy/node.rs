//! What a node makes, and what it deletes.

use anyhow::Result;
use kube::api::{DeleteParams, ListParams};
use leasehold::api::{Holder, State};

use super::{Allowed, Failures, TwoNodes, deletion, dry_run, holder, judge, put, refused};

#[tokio::test]
async fn a_node_makes_leases_for_its_own_pods_only() -> Result<()> {
    let nodes = TwoNodes::new("creates").await?;
    let (here, there) = (nodes.here.name(), nodes.there.name());
    let missing = Holder {
        pod: "missing".to_owned(),
        ..nodes.me()
    };
    let not_bound = |pod: &str| refused(&format!("no pod creates/{pod} is bound to node {here}"));
    let not_itself = refused(&format!(
        "a node takes leases for itself only: spec.holder.node must be {here}"
    ));
    let rows = [
        ("its own pod", State::Held, nodes.me(), Allowed),
        (
            "another node's pod",
            State::Held,
            holder(&nodes.theirs, here),
            not_bound("theirs"),
        ),
        (
            "a pod that does not exist",
            State::Held,
            missing,
            not_bound("missing"),
        ),
        (
            "another node's name",
            State::Held,
            holder(&nodes.mine, there),
            not_itself.clone(),
        ),
        (
            "another node and its pod",
            State::Held,
            nodes.them(),
            not_itself,
        ),
        (
            "its own pod, kept",
            State::Retained,
            nodes.me(),
            refused("a node makes a lease only to hold it: spec.state must be Held"),
        ),
    ];
    let leases = nodes.leases().await?;
    let mut failures = Failures::default();
    for (says, state, holder, verdict) in rows {
        let lease = nodes.lease("192.0.2.1", state, &holder);
        failures.note(
            says,
            judge(leases.create(&dry_run(), &lease).await, &verdict),
        );
    }
    failures.none()
}

#[tokio::test]
async fn a_node_deletes_what_it_holds_itself() -> Result<()> {
    let nodes = TwoNodes::new("deletes").await?;
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let no = || refused("a node deletes only leases that it holds itself");
    let mut failures = Failures::default();
    for (says, state, holder, verdict) in [
        ("its own", State::Held, nodes.me(), Allowed),
        ("another's", State::Held, nodes.them(), no()),
        ("its own that cools", State::Cooling, nodes.me(), no()),
        ("another's that cools", State::Cooling, nodes.them(), no()),
        ("what is kept", State::Retained, nodes.me(), no()),
    ] {
        let stored = put(&all, nodes.lease("192.0.2.3", state, &holder)).await?;
        let name = stored.metadata.name.clone().unwrap_or_default();
        failures.note(
            says,
            judge(leases.delete(&name, &deletion(&stored)).await, &verdict),
        );
    }
    failures.none()
}

#[tokio::test]
async fn a_node_gives_back_what_its_pod_had_after_the_pod_is_gone() -> Result<()> {
    let nodes = TwoNodes::new("afterwards").await?;
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let mut held = put(&all, nodes.lease("192.0.2.4", State::Held, &nodes.me())).await?;
    nodes.mine.force_delete().await?;
    let name = held.metadata.name.clone().unwrap_or_default();
    judge(leases.delete(&name, &deletion(&held)).await, &Allowed)?;
    held.spec = nodes.lease("192.0.2.4", State::Cooling, &nodes.me()).spec;
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

/// Whoever may act for the group of all nodes and is none of them.
#[tokio::test]
async fn the_group_of_nodes_without_a_nodes_name_may_do_nothing() -> Result<()> {
    let nodes = TwoNodes::new("nameless").await?;
    let all = nodes.leases_as_admin().await?;
    let stored = put(&all, nodes.lease("192.0.2.5", State::Held, &nodes.them())).await?;
    let name = stored.metadata.name.unwrap_or_default();
    let as_nobody = ["--as=somebody", "--as-group=system:nodes"];
    let delete = [&as_nobody[..], &["delete", "iplease", &name]].concat();
    let refusal = nodes.cluster.kubectl(&delete).await.expect_err("refused");
    let words = "the user is in the group system:nodes and is no system:node:<name>";
    assert!(refusal.to_string().ends_with(words), "{refusal}");
    Ok(())
}
