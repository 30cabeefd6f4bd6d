//! The same pod, asked for again: no second address where one is there.

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::env::Isolation;

#[tokio::test]
async fn the_same_add_again_is_answered_the_same_and_takes_nothing() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(10..=20)).await?;
    let (_pod, eth0) = env.pod_on("web", &pool).await?;
    let first = eth0.add().await?.success()?;
    let again = eth0.add().await?.success()?;
    assert_eq!(first.stdout, again.stdout);
    assert_eq!(env.leases().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_same_add_many_times_at_once_takes_one_address() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(10..=20)).await?;
    let (_pod, eth0) = env.pod_on("web", &pool).await?;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let call = eth0.call("ADD")?;
        calls.spawn(async move { call.run().await?.success()?.ips() });
    }
    let mut answers = Vec::new();
    for answer in calls.join_all().await {
        answers.push(answer?);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(env.leases().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn two_interfaces_of_a_pod_have_two_addresses_even_of_one_pool() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(10..=11)).await?;
    let pod = env.pod("web").create().await?;
    let eth0 = env.eth0_on(&pod, &pool)?;
    let net1 = env.eth0_on(&pod, &pool)?.in_sandbox(eth0.sandbox());
    let net1 = net1.interface("net1");
    eth0.add().await?.success()?;
    net1.add().await?.success()?;
    ensure!(eth0.ips()? != net1.ips()?, "both have {:?}", eth0.ips()?);
    assert_eq!(env.held().await?.len(), 2);

    net1.del().await?.success()?;
    let held = env.held().await?;
    assert_eq!(held.len(), 1, "the other interface keeps its own");
    assert_eq!(json!(held[0].spec.address), json!(eth0.ips()?[0]));
    Ok(())
}
