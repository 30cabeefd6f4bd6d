//! A set goes some time after no pod of its application asks for it any more.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Member::{Fresh, Held, Released};
use super::{AT_ONCE, Application, env};
use crate::collector::run::Report;

const SUBNET: &str = "ipam.leasehold.io/subnet";

/// Whether `Unused` is `True`, or what else; empty: there is no such condition.
async fn unused(application: &Application<'_>) -> Result<String> {
    let condition = application.condition("Unused").await?;
    Ok(condition.map_or_else(String::new, |it| it.status))
}

#[tokio::test]
async fn a_set_goes_some_time_after_its_pods_name_another_subnet() -> Result<()> {
    let env = env("sets-moved", "10.60.20.0/24").await?;
    let web = Application::deployment(&env, "web", 2)
        .await?
        .at([10, 60, 20]);
    let old = web.pod("web-old", "").create().await?;
    web.with(&[
        (1, Released("web-a", 1)),
        (2, Held(old.clone())),
        (3, Fresh),
    ])
    .await?;
    let elsewhere = json!({"ipv4": ["sets-elsewhere"]}).to_string();
    let new = web.pod("web-new", "").annotation(SUBNET, &elsewhere);
    let new = new.create().await?;
    env.collect(AT_ONCE).await?;
    ensure!(unused(&web).await?.is_empty(), "a pod asks for it");

    // The rollout is over.
    old.force_delete().await?;
    env.collect(&[]).await?;
    let condition = web.condition("Unused").await?.context("no condition")?;
    insta::assert_snapshot!(
        format!("{} {}: {}", condition.status, condition.reason, condition.message),
        @"True NotAsked: no pod of Deployment web asks for addresses of Subnet sets-moved any more; the set goes some time later, once no pod has an address of it"
    );
    for _ in 0..2 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.read().await?.is_some(), "its address 2 is held");

    // Rolled back, the pods have their set.
    let back = web.pod("web-back", "").create().await?;
    env.collect(&[]).await?;
    ensure!(unused(&web).await? == "False", "{}", unused(&web).await?);
    back.force_delete().await?;

    let is_gone = async |_: &Report| Ok(web.read().await?.is_none());
    let args = [AT_ONCE, &["--release-unreachable"]].concat();
    let report = env
        .collect_until(&args, "delete the claim", is_gone)
        .await?;
    let deleted = report.events("claimDeleted");
    ensure!(
        deleted.len() == 1 && deleted[0]["reason"] == "unused",
        "{report:#?}"
    );
    new.force_delete().await?;
    web.end().await
}

/// It is scaled to zero for the night.
#[tokio::test]
async fn a_set_stays_while_no_pod_of_its_application_lives() -> Result<()> {
    let env = env("sets-night", "10.60.21.0/24").await?;
    let web = Application::deployment(&env, "web", 0)
        .await?
        .at([10, 60, 21]);
    web.with(&[(1, Released("web-a", 1))]).await?;
    for _ in 0..3 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.lists().await? == "1 /", "{}", web.lists().await?);
    ensure!(unused(&web).await?.is_empty(), "{}", unused(&web).await?);
    web.end().await
}

/// As a Subnet leaves it that is too small.
#[tokio::test]
async fn a_set_without_an_address_goes_once_no_pod_asks_for_it() -> Result<()> {
    let env = env("sets-empty", "10.60.22.0/24").await?;
    let web = Application::deployment(&env, "web", 2)
        .await?
        .at([10, 60, 22]);
    web.claim(&[]).await?;
    let pod = web.pod("web-a", "").create().await?;
    for _ in 0..3 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.read().await?.is_some(), "a pod asks for it");
    pod.force_delete().await?;
    env.collect(&[]).await?;
    ensure!(unused(&web).await? == "True", "{}", unused(&web).await?);
    let is_gone = async |_: &Report| Ok(web.read().await?.is_none());
    env.collect_until(AT_ONCE, "delete the claim", is_gone)
        .await?;
    Ok(())
}
