//! Pods that come back under their name have their addresses again, on whatever node.

mod edits;
mod refusals;
mod waiting;

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use leasehold::api::{ClaimKind, State};
use serde_json::{Value, json};
use testbed::{Attachment, Pod, PodBuilder};

use crate::env::{Isolation, TestEnv};

const STICKY: &str = "ipam.leasehold.io/sticky";

/// The controller of a pod.
fn owner(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "0b5cf4ce-9a1b-4f0e-9a57-6b1a3c5f9a11",
        "controller": true})
}

/// A pod of a `StatefulSet`.
fn numbered(env: &TestEnv, name: &str) -> PodBuilder {
    env.pod(name).owner(owner("StatefulSet", "web"))
}

/// Attaches `eth0` of a pod on these pools, of each family.
fn on_pools(env: &TestEnv, pod: &Pod, pools: &[String; 2]) -> Result<Attachment> {
    let eth0 = env.eth0_on(pod, &pools[0])?;
    Ok(eth0.ipam("ipv6Pools", json!([pools[1]])))
}

/// As a kubelet ends a pod: its sandbox first.
async fn end(pod: &Pod, attachments: &[&Attachment]) -> Result<()> {
    for attachment in attachments {
        attachment.del().await?.success()?;
    }
    pod.force_delete().await
}

/// One that is made, attached on this pool, and gone again; the address that it had.
async fn come_and_gone(env: &TestEnv, pod: PodBuilder, pool: &str) -> Result<IpAddr> {
    let pod = pod.create().await?;
    let eth0 = env.eth0_on(&pod, pool)?;
    let address = eth0.add().await?.success()?.ips()?[0];
    end(&pod, &[&eth0]).await?;
    Ok(address)
}

#[tokio::test]
async fn a_pod_of_a_stateful_set_has_its_addresses_again_on_any_node() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pools = [
        env.pool("v4", env.v4(1..=200)).await?,
        env.pool("v6", env.v6(1..=200)).await?,
    ];
    let pod = numbered(&env, "web-0").create().await?;
    let eth0 = on_pools(&env, &pod, &pools)?;
    let net1 = on_pools(&env, &pod, &pools)?.in_sandbox(eth0.sandbox());
    let net1 = net1.interface("net1");
    eth0.add().await?.success()?;
    net1.add().await?.success()?;
    let had = [eth0.ips()?, net1.ips()?];
    end(&pod, &[&eth0, &net1]).await?;
    for lease in env.leases().await? {
        ensure!(lease.spec.state == State::Retained, "{lease:?}");
        let claim = lease.spec.claim.context("a claim")?;
        ensure!(
            claim.kind == ClaimKind::Pod && claim.name == "web-0",
            "{claim:?}"
        );
        let owner = claim.owner.context("an owner")?;
        ensure!(
            (owner.group.as_str(), owner.name.as_str()) == ("apps", "web"),
            "{owner:?}"
        );
    }

    let env = env.on(env.cluster.fresh_node().create().await?);
    let pod = numbered(&env, "web-0").create().await?;
    let eth0 = on_pools(&env, &pod, &pools)?;
    let net1 = on_pools(&env, &pod, &pools)?.in_sandbox(eth0.sandbox());
    let net1 = net1.interface("net1");
    // Each interface has its own, in whatever order they are attached.
    net1.add().await?.success()?;
    eth0.add().await?.success()?;
    assert_eq!([eth0.ips()?, net1.ips()?], had);
    Ok(())
}

#[tokio::test]
async fn no_other_pod_gets_what_is_kept() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=2)).await?;
    let kept = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    let (_other, other) = env.pod_on("other", &pool).await?;
    ensure!(
        other.add().await?.success()?.ips()?[0] != kept,
        "{kept} was given away"
    );
    let (_last, last) = env.pod_on("last", &pool).await?;
    let refused = last.add().await?;
    assert_eq!(refused.error_code(), Some(100), "{refused}");
    ensure!(refused.stdout.contains("1 held, 1 retained"), "{refused}");
    let again = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    assert_eq!(again, kept);
    Ok(())
}

/// The first address of its order is another pod's then.
#[tokio::test]
async fn a_pod_finds_its_address_wherever_it_is() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=3)).await?;
    let first = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    env.delete_lease(first).await?;
    let (pod, eth0) = env.pod_on("taker", &pool).await?;
    let asking = eth0.set("runtimeConfig", json!({"ips": [first.to_string()]}));
    asking.add().await?.success()?;
    let kept = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    ensure!(kept != first, "{first} was given twice");
    end(&pod, &[&asking]).await?;
    for _ in 0..2 {
        let again = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
        assert_eq!(again, kept);
    }
    Ok(())
}

#[tokio::test]
async fn a_lease_that_was_deleted_by_mistake_is_made_again_at_the_same_address() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let kept = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    env.delete_lease(kept).await?;
    let again = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    assert_eq!(again, kept);
    Ok(())
}

#[tokio::test]
async fn pods_of_one_name_in_two_namespaces_have_an_address_each() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let elsewhere = format!("{}-b", env.name());
    let there = || {
        env.pod_in(&elsewhere, "web-0")
            .owner(owner("StatefulSet", "web"))
    };
    let here = || numbered(&env, "web-0");
    let kept = [
        come_and_gone(&env, here(), &pool).await?,
        come_and_gone(&env, there(), &pool).await?,
    ];
    ensure!(kept[0] != kept[1], "{kept:?}");
    let again = [
        come_and_gone(&env, here(), &pool).await?,
        come_and_gone(&env, there(), &pool).await?,
    ];
    assert_eq!(again, kept);
    Ok(())
}

#[tokio::test]
async fn a_new_sandbox_of_a_pod_has_the_address_and_keeps_its_claim() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let pod = numbered(&env, "web-0").create().await?;
    let old = env.eth0_on(&pod, &pool)?;
    let address = old.add().await?.success()?.ips()?[0];
    pod.report_addresses(&old.ips()?).await?;
    let claim = env.lease(address).await?.context("a lease")?.spec.claim;
    for is_torn_down in [false, true] {
        if is_torn_down {
            old.del().await?.success()?;
        }
        let new = env.eth0_on(&pod, &pool)?;
        assert_eq!(new.add().await?.success()?.ips()?, [address]);
        let lease = env.lease(address).await?.context("a lease")?.spec;
        assert_eq!((lease.state, lease.claim), (State::Held, claim.clone()));
        new.del().await?.success()?;
    }
    Ok(())
}
