//! Which Subnets a pod's sets are made of: several, of both families, for several interfaces.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Isolation, without_hashes};
use crate::env::with;

#[tokio::test]
async fn of_several_subnets_the_next_serves_where_one_has_too_few_addresses() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let few = env.subnet_for_sets("few", env.v4(1..=2)).await?;
    let many = env.subnet_for_sets("many", env.v4(100..=200)).await?;
    env.application("web", 2).await?;
    let pod = |name| env.pod_of("web", name, &[&few, &many]);
    env.served(pod("web-a")).await?;
    insta::assert_snapshot!(env.sets().await?, @"
    Deployment web eth0 test-few 0
    Deployment web eth0 test-many 3
    ");
    let alone = env.pod_of("web", "web-b", &[&few]);
    insta::assert_snapshot!(env.served(alone).await?, @"100: Subnet test-few has too few free addresses for IPClaim test/web-test-few-HASH: 3 are missing and 2 are free; enlarge its spec.ips, or name another Subnet too; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-few: fits; IPv6 from the default pools: there are none");
    Ok(())
}

#[tokio::test]
async fn each_zone_has_its_subnet_and_its_set() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let zone = |zone: &str| json!({"nodeAffinity": {"matchLabels": {"zone": zone}}});
    let a = with(env.v4(1..=20), &zone("a"));
    let b = with(env.v4(101..=120), &zone("b"));
    let a = env.subnet_for_sets("a", a).await?;
    let b = env.subnet_for_sets("b", b).await?;
    env.application("web", 2).await?;
    for (zone, expected) in [("a", "10.0.0."), ("b", "10.0.0.1"), ("c", "101: ")] {
        let env = env.on_labeled("zone", zone).await?;
        let pod = env.pod_of("web", &format!("web-{zone}"), &[&b, &a]);
        let answer = env.served(pod).await?;
        ensure!(answer.starts_with(expected), "{zone}: {answer}");
    }
    insta::assert_snapshot!(env.sets().await?, @"
    Deployment web eth0 test-a 3
    Deployment web eth0 test-b 3
    ");
    Ok(())
}

#[tokio::test]
async fn a_set_of_each_family_gives_both_or_neither() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let four = env.subnet_for_sets("four", env.v4(1..=20)).await?;
    let six = env.subnet_for_sets("six", env.v6(1..=3)).await?;
    env.application("web", 2).await?;
    let named = json!({"ipv4": [four], "ipv6": [six]}).to_string();
    let pod = |name| {
        let pod = env.pod(name).of_deployment("web");
        pod.annotation("ipam.leasehold.io/subnet", &named)
    };
    let both = env.served(pod("web-a")).await?;
    ensure!(
        both.contains("10.0.0.") && both.contains("fd00::"),
        "{both}"
    );
    insta::assert_snapshot!(env.sets().await?, @"
    Deployment web eth0 test-four 3
    Deployment web eth0 test-six 3
    ");
    // Of the other application there is no room for one of them.
    env.application("shop", 2).await?;
    let shop = env.pod("shop-a").of_deployment("shop");
    let shop = shop
        .annotation("ipam.leasehold.io/subnet", &named)
        .create()
        .await?;
    let refused = env.eth0(&shop)?.add().await?;
    ensure!(!refused.succeeded(), "{refused}");
    ensure!(env.held_by(&shop).await?.is_empty(), "{refused}");
    Ok(())
}

#[tokio::test]
async fn each_interface_has_its_set() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let front = env.subnet_for_sets("front", env.v4(1..=20)).await?;
    let back = env.subnet_for_sets("back", env.v4(101..=120)).await?;
    env.application("web", 1).await?;
    let list = json!([
        {"interface": "eth0", "ipv4": [front]},
        {"interface": "net1", "ipv4": [back]},
    ]);
    let pod = env.pod("web-a").of_deployment("web");
    let pod = pod.annotation("ipam.leasehold.io/subnets", &list.to_string());
    let pod = pod.create().await?;
    let eth0 = env.eth0(&pod)?;
    let net1 = env.eth0(&pod)?.in_sandbox(eth0.sandbox()).interface("net1");
    for nic in [&eth0, &net1] {
        nic.add().await?.success()?;
    }
    insta::assert_snapshot!(env.sets().await?, @"
    Deployment web eth0 test-front 2
    Deployment web net1 test-back 2
    ");
    let net2 = env.eth0(&pod)?.in_sandbox(eth0.sandbox()).interface("net2");
    let refused = env.answer(&net2.add().await?)?;
    insta::assert_snapshot!(without_hashes(&refused), @"7: the pod's annotation ipam.leasehold.io/subnets must name net2 too: it names eth0, net1");
    Ok(())
}

#[tokio::test]
async fn a_subnet_that_was_made_a_moment_ago_is_found() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    env.application("web", 1).await?;
    let name = format!("{}-racks", env.name());
    let pod = env.pod_of("web", "web-a", &[&name]).create().await?;
    let eth0 = env.eth0(&pod)?;
    insta::assert_snapshot!(env.answer(&eth0.add().await?)?, @"101: no IPv4 Subnet for this pod: create Subnet test-racks or correct the pod's annotation ipam.leasehold.io/subnet; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: does not exist; IPv6 from the default pools: there are none");
    env.subnet_for_sets("racks", env.v4(1..=20)).await?;
    eth0.add().await?.success()?;
    Ok(())
}
