//! Pods that name a claim get addresses of its set, and no others.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::env::Isolation;

#[tokio::test]
async fn one_listed_address_is_the_fixed_address_of_a_pod() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    env.pool("pool", env.v4(1..=200)).await?;
    env.claim("web", json!({"addresses": [env.at(7).to_string()]}))
        .await?;

    let (_first, first) = env.claiming("web-a", "web").await?;
    first.add().await?.success()?;
    insta::assert_snapshot!(env.members("web").await?, @"10.0.0.7 Held web-a");
    // A repeated ADD and a CHECK find the same.
    first.add().await?.success()?;
    first.check().await?.success()?;

    first.del().await?.success()?;
    insta::assert_snapshot!(env.members("web").await?, @"10.0.0.7 Retained web-a");
    let (_next, next) = env.claiming("web-b", "web").await?;
    let added = next.add().await?.success()?;
    assert_eq!(env.answer(&added)?, "10.0.0.7");
    insta::assert_snapshot!(env.members("web").await?, @"10.0.0.7 Held web-b");
    Ok(())
}

#[tokio::test]
async fn pods_of_a_set_have_its_addresses_each_its_own() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    env.pool("pool", env.v4(1..=200)).await?;
    let range = format!("{}-{}", env.at(10), env.at(14));
    env.claim("web", json!({"addresses": [range, env.at(20).to_string()]}))
        .await?;
    let mut given = BTreeSet::new();
    for number in 0..6 {
        let (_pod, eth0) = env.claiming(&format!("web-{number}"), "web").await?;
        let added = eth0.add().await?.success()?;
        ensure!(given.insert(env.answer(&added)?), "given twice: {added}");
    }
    let expected = [
        "10.0.0.10",
        "10.0.0.11",
        "10.0.0.12",
        "10.0.0.13",
        "10.0.0.14",
        "10.0.0.20",
    ];
    assert_eq!(given, expected.map(str::to_owned).into());
    // A pod that names no claim never gets one of them.
    let (_pod, eth0) = env.claiming("web-6", "web").await?;
    let refused = eth0.add().await?;
    assert_eq!(refused.error_code(), Some(100), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_pod_that_comes_back_finds_the_address_that_its_name_had() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    env.pool("pool", env.v4(1..=200)).await?;
    let range = format!("{}-{}", env.at(10), env.at(19));
    env.claim("web", json!({"addresses": [range]})).await?;
    let (former, eth0) = env.claiming("web-0", "web").await?;
    let added = eth0.add().await?.success()?;
    let had = env.answer(&added)?;
    // Others come and go, so that members were kept for longer than this one.
    for number in 1..4 {
        let (_pod, eth0) = env.claiming(&format!("other-{number}"), "web").await?;
        eth0.add().await?.success()?;
        eth0.del().await?.success()?;
    }
    eth0.del().await?.success()?;
    former.force_delete().await?;
    let (_again, eth0) = env.claiming("web-0", "web").await?;
    let added = eth0.add().await?.success()?;
    assert_eq!(env.answer(&added)?, had);
    Ok(())
}

#[tokio::test]
async fn a_claim_of_both_families_gives_both_or_neither() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    env.pool("v4", env.v4(1..=200)).await?;
    env.pool("v6", env.v6(1..=200)).await?;
    let spec = json!({"addresses": [env.at(7).to_string(), env.at6(7).to_string()]});
    env.claim("web", spec).await?;
    let (_pod, eth0) = env.claiming("web-a", "web").await?;
    let dual = json!("RequireDualStack");
    let eth0 = eth0.ipam("ipFamilyPolicy", dual.clone());
    let added = eth0.add().await?.success()?;
    assert_eq!(env.answer(&added)?, "10.0.0.7 fd00::7");
    eth0.del().await?.success()?;

    // With the second one taken, the first is given back.
    let other = env.pod("other").create().await?;
    let taken = env.eth0(&other)?;
    env.claim(
        "six",
        json!({"addresses": [env.at(8).to_string(), env.at6(8).to_string()]}),
    )
    .await?;
    taken
        .ipam("ipFamilies", json!(["IPv6"]))
        .ipam("ipv6Pools", json!([format!("{}-v6", env.name())]))
        .set("runtimeConfig", json!({"ips": [env.at6(8)]}))
        .add()
        .await?
        .success()?;
    let (_pod, eth0) = env.claiming("web-b", "six").await?;
    let refused = eth0.ipam("ipFamilyPolicy", dual).add().await?;
    ensure!(!refused.succeeded(), "{refused}");
    assert_eq!(env.members("six").await?, "");
    Ok(())
}
