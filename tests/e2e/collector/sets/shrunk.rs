//! A set shrinks to what its largest pod asks for.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Member::{Fresh, Held, Released};
use super::{AT_ONCE, Application, env};
use crate::collector::run::Report;

#[tokio::test]
async fn a_set_shrinks_to_the_largest_size_that_a_living_pod_asks_for() -> Result<()> {
    let env = env("sets-shrink", "10.60.0.0/24").await?;
    let web = Application::deployment(&env, "web", 2).await?;
    web.with(&[
        (1, Released("web-a", 1)),
        (2, Fresh),
        (3, Released("web-b", 9)),
        (4, Released("web-c", 5)),
        (5, Released("web-d", 7)),
        (6, Fresh),
    ])
    .await?;

    // While none of its pods lives, the size stays: it is scaled to zero for the night.
    for _ in 0..2 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(
        web.lists().await? == "1 2 3 4 5 6 /",
        "{}",
        web.lists().await?
    );

    // Of two pods the one that asks for more counts.
    let first = web.pod("web-x", "+1").create().await?;
    let second = web.pod("web-y", "4").create().await?;
    env.collect(&[]).await?;
    ensure!(
        web.lists().await? == "1 2 3 4 5 6 / 2 6",
        "{}",
        web.lists().await?
    );
    let report = env.collect(&[]).await?;
    let address = web.address(2).to_string();
    ensure!(report.reason(&address) == Some("leaving"), "{report:#?}");

    // Scaled up again before they have left: none leaves.
    web.scale(5).await?;
    env.collect(&[]).await?;
    ensure!(
        web.lists().await? == "1 2 3 4 5 6 /",
        "{}",
        web.lists().await?
    );

    web.scale(2).await?;
    web.collect_until("1 3 4 5 /").await?;
    let released = async |_: &Report| Ok(web.leases().await? == "1 3 4 5");
    let report = env.collect_until(AT_ONCE, "release them", released).await?;
    ensure!(
        report.reason(&address) == Some("claim_omits"),
        "{report:#?}"
    );

    // The longest released go first.
    second.force_delete().await?;
    web.collect_until("1 4 5 /").await?;
    first.force_delete().await?;
    web.end().await
}

#[tokio::test]
async fn no_member_leaves_that_a_pod_has() -> Result<()> {
    let env = env("sets-held", "10.60.14.0/24").await?;
    let web = Application::deployment(&env, "web", 0)
        .await?
        .at([10, 60, 14]);
    let mut pods = Vec::new();
    for name in ["web-x", "web-y", "web-z"] {
        pods.push(web.pod(name, "1").create().await?);
    }
    let [x, y, z] = [0, 1, 2].map(|index| Held(pods[index].clone()));
    web.with(&[(1, x), (2, Fresh), (3, y), (4, z)]).await?;
    web.collect_until("1 3 4 /").await?;
    for _ in 0..2 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.lists().await? == "1 3 4 /", "{}", web.lists().await?);
    let confirmed = web.read().await?.and_then(|claim| claim.status);
    let status = confirmed.unwrap_or_default();
    ensure!(status.confirmed == status.addresses, "{status:#?}");
    ensure!((status.size, status.used) == (3, 3), "{status:#?}");
    for pod in &pods {
        pod.force_delete().await?;
    }
    web.end().await
}

#[tokio::test]
async fn what_a_pod_asks_for_in_no_readable_way_keeps_the_set() -> Result<()> {
    let env = env("sets-unread", "10.60.15.0/24").await?;
    let web = Application::deployment(&env, "web", 0)
        .await?
        .at([10, 60, 15]);
    let pods = [
        web.pod("web-x", "1").create().await?,
        web.pod("web-y", "many").create().await?,
    ];
    web.with(&[(1, Fresh), (2, Fresh), (3, Fresh)]).await?;
    for _ in 0..3 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.lists().await? == "1 2 3 /", "{}", web.lists().await?);
    pods[1].force_delete().await?;
    web.collect_until("3 /").await?;
    pods[0].force_delete().await?;
    web.end().await
}

#[tokio::test]
async fn a_stateful_sets_member_stays_while_there_is_a_pod_of_that_name_to_come() -> Result<()> {
    let env = env("sets-ordinals", "10.60.16.0/24").await?;
    let kind = ("apps", "v1", "StatefulSet");
    let db = Application::new(&env, kind, "db", 3)
        .await?
        .at([10, 60, 16]);
    db.with(&[
        (1, Released("db-2", 9)),
        (2, Released("db-5", 1)),
        (3, Released("db-0", 9)),
        (4, Fresh),
        (5, Released("db-1", 9)),
    ])
    .await?;
    // Fewer than it has pods: those of its names stay nevertheless.
    let pod = db.pod("db-0", "1").create().await?;
    db.collect_until("1 3 5 /").await?;
    db.scale(2).await?;
    db.collect_until("3 5 /").await?;
    let patch = json!({"metadata": {"annotations": {"ipam.leasehold.io/when-scaled": "Retain"}}, "spec": {"replicas": 0}});
    let patch = kube::api::Patch::Merge(patch);
    let objects = db.objects().await?;
    objects
        .patch("db", &kube::api::PatchParams::default(), &patch)
        .await?;
    for _ in 0..3 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(db.lists().await? == "3 5 /", "{}", db.lists().await?);
    pod.force_delete().await?;
    db.end().await
}

#[tokio::test]
async fn what_its_subnet_gives_no_more_leaves_a_set() -> Result<()> {
    let env = env("sets-reserved", "10.60.13.0/24").await?;
    let web = Application::deployment(&env, "web", 0)
        .await?
        .at([10, 60, 13]);
    let pod = web.pod("web-x", "3").create().await?;
    web.with(&[
        (1, Held(pod.clone())),
        (2, Fresh),
        (3, Released("web-y", 1)),
    ])
    .await?;
    let reserved = [web.address(1), web.address(3)];
    env.reserve("printers", json!(reserved)).await?;
    // Not what a pod has: its pod gives it back some time.
    web.collect_until("1 2 /").await?;
    let released = async |_: &Report| Ok(web.leases().await? == "1 2");
    env.collect_until(AT_ONCE, "release it", released).await?;
    pod.force_delete().await?;
    web.end().await
}
