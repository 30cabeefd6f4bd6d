//! The greatest lengths and numbers that a user meets.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{Sandbox, longest_node_name};
use tokio::task::JoinSet;

use crate::env::Isolation;

const NAMESPACE: &str = "a23456789-123456789-123456789-123456789-123456789-123456789-123";

/// A name as long as an object's may be: 253 characters, of which no label has more than 63.
fn longest(letter: char) -> String {
    longest_node_name().replace('n', &letter.to_string())
}

#[tokio::test]
async fn names_of_the_greatest_length_get_addresses() -> Result<()> {
    let cluster = testbed::shared().await?;
    let node = cluster.node(&longest_node_name()).create().await?;
    // Its name is that of the vrf and of the namespace.
    let env = Isolation::vrf(NAMESPACE).start().await?.on(node);
    ensure!(NAMESPACE.len() == 63 && longest('p').len() == 253);
    env.pool_of(&longest('4'), "10.0.0.0/24", json!({})).await?;
    env.pool_of(
        &longest('6'),
        "fd00::/8",
        json!({"excludeIPs": ["fd00::/9"]}),
    )
    .await?;
    let pod = env.pod(&longest('p')).create().await?;
    let eth0 = env
        .eth0(&pod)?
        .interface("fifteen-letters")
        .set("name", json!(longest('c')));
    let eth0 = eth0
        .ipam("ipv4Pools", json!([longest('4')]))
        .ipam("ipv6Pools", json!([longest('6')]));
    let answer = eth0.add().await?.success()?;
    ensure!(answer.ips()?.len() == 2, "{answer}");
    eth0.check().await?.success()?;
    for lease in env.held_by(&pod).await? {
        let holder = lease.spec.holder.unwrap_or_default();
        let names = [holder.pod, holder.node, holder.network, holder.namespace];
        ensure!(
            names
                == [
                    longest('p'),
                    longest_node_name(),
                    longest('c'),
                    NAMESPACE.to_owned()
                ]
        );
    }
    let outcome = eth0.del().await?.success()?;
    ensure!(
        outcome.stderr.is_empty() && env.held_by(&pod).await?.is_empty(),
        "{outcome}"
    );
    Ok(())
}

/// An event has room for 1,024 bytes, and kubelet, the runtime and an interface plugin write some
/// 250 in front.
#[tokio::test]
async fn names_of_the_greatest_length_fit_into_an_error() -> Result<()> {
    let env = Isolation::vrf("long-errors").start().await?;
    let pools: Vec<String> = ('a'..='f').map(longest).collect();
    for (pool, number) in pools.iter().zip(1..) {
        let one = json!({"ips": [format!("10.0.{number}.1")]});
        env.pool_of(pool, &format!("10.0.{number}.0/24"), one)
            .await?;
    }
    let mut error = String::new();
    for number in 0..=pools.len() {
        let pod = env.pod(&format!("pod-{number}")).create().await?;
        let eth0 = env.eth0(&pod)?.ipam("ipv4Pools", json!(pools));
        error = eth0.add().await?.stdout;
    }
    ensure!(
        error.contains("\"code\":100") && error.len() < 1024,
        "{} bytes: {error}",
        error.len()
    );
    Ok(())
}

#[tokio::test]
async fn sixty_four_interfaces_of_a_pod_have_as_many_addresses() -> Result<()> {
    let env = Isolation::vrf("interfaces").start().await?;
    env.pool_of(
        "interfaces",
        "10.0.0.0/26",
        json!({"default": true, "cooldownSeconds": 0}),
    )
    .await?;
    env.pool_of(
        "interfaces-more",
        "10.1.0.0/29",
        json!({"default": true, "cooldownSeconds": 0}),
    )
    .await?;
    let pod = env.pod("pod").create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let mut adds = JoinSet::new();
    for number in 0..64 {
        let net = env
            .eth0(&pod)?
            .in_sandbox(&sandbox)
            .interface(&format!("net{number}"));
        adds.spawn(async move {
            let ips = net.add().await?.success()?.ips()?;
            anyhow::Ok((net, ips))
        });
    }
    let (mut interfaces, mut addresses) = (Vec::new(), BTreeSet::new());
    for added in adds.join_all().await {
        let (net, ips) = added?;
        ensure!(
            ips.len() == 1 && addresses.insert(ips[0]),
            "{ips:?} among {addresses:?}"
        );
        interfaces.push(net);
    }
    for net in interfaces {
        net.del().await?.success()?;
    }
    ensure!(env.held_by(&pod).await?.is_empty());
    Ok(())
}

/// A pool is as quick as another, however many addresses it has.
#[tokio::test]
async fn a_slash_8_of_ipv6_with_a_thousand_excludes_gives_addresses() -> Result<()> {
    let env = Isolation::vrf("huge").start().await?;
    let excluded: Vec<String> = (1..=1000).map(|n| format!("2000:0:0:{n:x}::/64")).collect();
    let spec = json!({"default": true, "cooldownSeconds": 0, "excludeIPs": excluded});
    env.pool_of("huge", "2000::/8", spec).await?;
    let mut addresses = BTreeSet::new();
    for number in 0..5 {
        let pod = env.pod(&format!("pod-{number}")).create().await?;
        let outcome = env.eth0(&pod)?.add().await?.success()?;
        ensure!(addresses.insert(outcome.ips()?), "{outcome}");
    }
    Ok(())
}
