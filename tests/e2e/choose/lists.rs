//! Lists of pools: their order, and what replaces what.

use anyhow::Result;
use serde_json::json;

use crate::env::Isolation;

#[tokio::test]
async fn a_disabled_pool_in_a_list_is_passed_over() -> Result<()> {
    let env = Isolation::vrf("disabled").start().await?;
    for disable in [true, false] {
        env.pool_of("disabled-first", "10.1.0.0/24", json!({"disable": disable}))
            .await?;
        env.pool_of("disabled-second", "10.2.0.0/24", json!({}))
            .await?;
        let pod = env.pod(&format!("pod-{disable}")).annotation(
            "ipam.leasehold.io/ippool",
            r#"{"ipv4":["disabled-first","disabled-second"]}"#,
        );
        let expected = if disable {
            "disabled-second"
        } else {
            "disabled-first"
        };
        assert_eq!(env.pools_for(pod).await?, expected, "disable: {disable}");
    }
    Ok(())
}

#[tokio::test]
async fn a_backup_pool_serves_while_the_first_one_is_full() -> Result<()> {
    let env = Isolation::vrf("backup").start().await?;
    let two = |subnet: &str| json!({"ips": [format!("{subnet}.7"), format!("{subnet}.8")], "cooldownSeconds": 0});
    env.pool_of("backup-first", "10.1.0.0/24", two("10.1.0"))
        .await?;
    env.pool_of("backup-second", "10.2.0.0/24", two("10.2.0"))
        .await?;
    let annotation = r#"{"ipv4":["backup-first","backup-second"]}"#;
    let mut attached = Vec::new();
    for number in 0..5 {
        let pod = env
            .pod(&format!("pod-{number}"))
            .annotation("ipam.leasehold.io/ippool", annotation);
        let eth0 = env.eth0(&pod.create().await?)?;
        let pools = env.pools_of(&eth0.add().await?).await?;
        attached.push((eth0, pools));
    }
    let pools: Vec<&str> = attached.iter().map(|(_, pools)| pools.as_str()).collect();
    insta::assert_snapshot!(pools.join("\n"), @r#"
    backup-first
    backup-first
    backup-second
    backup-second
    100: no free IPv4 address in backup-first (2 addresses: 2 held), backup-second (2 addresses: 2 held): enlarge a pool or name a backup
    "#);

    // The pod that found both full is tried again by its kubelet.
    let (waiting, _) = &attached[4];
    let (leaving, _) = &attached[1];
    leaving.del().await?.success()?;
    assert_eq!(env.pools_of(&waiting.add().await?).await?, "backup-first");
    Ok(())
}

#[tokio::test]
async fn a_list_of_the_configuration_is_kept_in_order_and_a_wildcard_in_it_sorts_by_what_pools_say()
-> Result<()> {
    let env = Isolation::vrf("ordered").start().await?;
    let full = |number: u8| json!({"ips": [format!("10.{number}.0.7")]});
    env.pool_of("ordered-z", "10.1.0.0/24", full(1)).await?;
    env.pool_of("ordered-wild-a", "10.2.0.0/24", full(2))
        .await?;
    let mut for_us = full(3);
    for_us["namespaceName"] = json!(["ordered"]);
    env.pool_of("ordered-wild-b", "10.3.0.0/24", for_us).await?;
    env.pool_of("ordered-a", "10.4.0.0/24", full(4)).await?;
    let mut served = Vec::new();
    for number in 0..4 {
        let pod = env.pod(&format!("pod-{number}")).create().await?;
        let pools = json!(["ordered-z", "no-such-pool", "ordered-wild-*", "ordered-a"]);
        let eth0 = env.eth0(&pod)?.ipam("ipv4Pools", pools);
        served.push(env.pools_of(&eth0.add().await?).await?);
    }
    assert_eq!(
        served,
        ["ordered-z", "ordered-wild-b", "ordered-wild-a", "ordered-a"]
    );
    Ok(())
}
