//! An address that was asked for: this one or none, and why not.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::Attachment;

use crate::env::{DualStack, TestEnv, with};

/// A pod that asks for addresses of these pools.
async fn asking() -> Result<DualStack> {
    let v4 = |env: &TestEnv| {
        let more = json!({"excludeIPs": [env.at(15)], "gateway": env.at(16)});
        with(env.v4(10..=20), &more)
    };
    DualStack::new(v4, |env| env.v6(10..=20)).await
}

/// The addresses of an ADD, or its error, without the pools that were considered.
async fn gets(asking: &DualStack, eth0: &Attachment) -> Result<String> {
    let answer = asking.add(eth0).await?;
    let without_pools = answer.split("; IPv4 from").next();
    Ok(without_pools.unwrap_or_default().to_owned())
}

/// The same of an attachment that asks for these addresses by its runtime.
async fn gets_of(asking: &DualStack, ips: Value) -> Result<String> {
    let eth0 = asking.eth0()?.set("runtimeConfig", json!({"ips": ips}));
    gets(asking, &eth0).await
}

#[tokio::test]
async fn it_may_be_asked_for_in_three_ways_the_first_of_which_counts() -> Result<()> {
    let asking = asking().await?;
    let at = |number| asking.env.at(number);
    let runtime = |eth0: Attachment| eth0.set("runtimeConfig", json!({"ips": [at(11)]}));
    // With a prefix length, which only the pool knows.
    let args = |eth0: Attachment| {
        let ips = json!({"cni": {"ips": [format!("{}/32", at(12))]}});
        eth0.set("args", ips)
    };
    let env = |eth0: Attachment| eth0.cni_arg("IP", &at(13).to_string());
    let eth0 = || asking.eth0();
    let ways = [
        ("all", runtime(args(env(eth0()?)))),
        ("args and CNI_ARGS", args(env(eth0()?))),
        ("CNI_ARGS", env(eth0()?)),
    ];
    let mut lines = Vec::new();
    for (way, eth0) in ways {
        let eth0 = eth0.ipam("ipFamilyPolicy", json!("SingleStack"));
        lines.push(format!("{way}: {}", gets(&asking, &eth0).await?));
        eth0.del().await?.success()?;
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    all: 10.0.0.11
    args and CNI_ARGS: 10.0.0.12
    CNI_ARGS: 10.0.0.13
    ");
    Ok(())
}

#[tokio::test]
async fn both_families_may_be_asked_for_or_one_and_the_other_is_given() -> Result<()> {
    let asking = asking().await?;
    let (v4, v6) = (asking.env.at(17), asking.env.at6(18));
    let both = gets_of(&asking, json!([v6, v4])).await?;
    assert_eq!(both, "10.0.0.17 fd00::12");
    let dual = DualStack::new(|env| env.v4(10..=20), |env| env.v6(9..=9)).await?;
    let env = &dual.env;
    let one = json!({"ips": [env.at(14)]});
    let eth0 = dual.eth0()?.set("runtimeConfig", one);
    let ips = eth0.add().await?.success()?.ips()?;
    assert_eq!(json!(ips), json!([env.at(14), env.at6(9)]));
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_held_is_refused_with_its_holder_and_nothing_else_is_taken() -> Result<()>
{
    let asking = asking().await?;
    let (_, first) = asking.env.pod_on("first", &asking.v4).await?;
    let wanted = json!([asking.env.at(17), asking.env.at6(17)]);
    let first = first
        .ipam("ipv6Pools", json!([asking.v6]))
        .interface("net1");
    // Not the IPv4 address that is wanted below, which it might be given otherwise.
    let ips = json!([asking.env.at(18), wanted[1]]);
    let first = first.set("runtimeConfig", json!({"ips": ips}));
    first.add().await?.success()?;
    insta::assert_snapshot!(gets_of(&asking, wanted).await?, @"102: fd00::11 was requested and is held by test/first (net1 on node): request another");
    assert_eq!(asking.env.leases().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_address_that_cools_is_given_to_who_asks_for_it() -> Result<()> {
    let asking = asking().await?;
    let (_, first) = asking.env.pod_on("first", &asking.v4).await?;
    first.add().await?.success()?;
    let had = first.ips()?;
    first.del().await?.success()?;
    let addresses = gets_of(&asking, json!(had)).await?;
    assert!(
        addresses.starts_with(&asking.env.redact(&had[0].to_string())),
        "{addresses}"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_add_again_has_the_address_that_it_asked_for_and_got() -> Result<()> {
    let asking = asking().await?;
    let ips = json!({"ips": [asking.env.at(17)]});
    let eth0 = asking.eth0()?.set("runtimeConfig", ips);
    let first = eth0.add().await?.success()?;
    assert_eq!(first.stdout, eth0.add().await?.success()?.stdout);
    Ok(())
}

#[tokio::test]
async fn what_no_pool_of_the_pod_gives_is_refused_with_the_reason() -> Result<()> {
    let asking = asking().await?;
    let env = &asking.env;
    env.reserve("printer", json!([env.at(19)])).await?;
    let mut lines = Vec::new();
    for (case, ips) in [
        ("outside the pool", json!([env.at(30)])),
        ("outside the subnet", json!(["192.0.2.1"])),
        ("excluded", json!([env.at(15)])),
        ("the gateway", json!([env.at(16)])),
        ("reserved", json!([env.at(19)])),
        ("the second family's", json!([env.at(17), env.at6(30)])),
        ("two of a family", json!([env.at(17), env.at(18)])),
        ("no address", json!(["ten"])),
        ("a mapped one", json!(["::ffff:10.0.0.1"])),
    ] {
        lines.push(format!("{case}: {}", gets_of(&asking, ips).await?));
    }
    let single = asking
        .eth0()?
        .ipam("ipFamilyPolicy", json!("SingleStack"))
        .set("runtimeConfig", json!({"ips": [env.at6(17)]}));
    lines.push(format!(
        "a family not given: {}",
        gets(&asking, &single).await?
    ));
    let ranges = json!({"ipRanges": [[{"subnet": "10.0.0.0/24"}]]});
    let ranges = asking.eth0()?.set("runtimeConfig", ranges);
    lines.push(format!("ranges: {}", gets(&asking, &ranges).await?));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    outside the pool: 102: 10.0.0.30 was requested, and pool test-v4 does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another
    outside the subnet: 102: 192.0.2.1 was requested, and no pool of this pod has it: request one of test-v4
    excluded: 102: 10.0.0.15 was requested, and pool test-v4 does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another
    the gateway: 102: 10.0.0.16 was requested, and pool test-v4 does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another
    reserved: 102: 10.0.0.19 was requested, and pool test-v4 does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another
    the second family's: 102: fd00::1e was requested, and pool test-v6 does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another
    two of a family: 7: runtimeConfig.ips is ["10.0.0.17","10.0.0.18"]; expected a list of at most one address of each family, with or without a prefix length
    no address: 7: runtimeConfig.ips is ["ten"]; expected a list of at most one address of each family, with or without a prefix length
    a mapped one: 7: runtimeConfig.ips is ["::ffff:10.0.0.1"]; expected a list of at most one address of each family, with or without a prefix length
    a family not given: 102: fd00::11 was requested, and this network gives no IPv6 addresses: correct ipFamilies or ipFamilyPolicy
    ranges: 2: runtimeConfig.ipRanges is [[{"subnet":"10.0.0.0/24"}]], which is not supported: addresses come from pools
    "#);
    assert_eq!(env.leases().await?.len(), 0);
    Ok(())
}
