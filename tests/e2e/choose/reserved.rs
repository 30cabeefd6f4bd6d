//! Addresses that a host outside the cluster has.

use anyhow::Result;
use serde_json::json;

use crate::env::Isolation;

#[tokio::test]
async fn a_reserved_address_is_never_given_even_if_it_was_before_the_reservation() -> Result<()> {
    let env = Isolation::vrf("reserved").start().await?;
    let three = json!({"ips": ["10.1.0.7-10.1.0.9"], "default": true, "cooldownSeconds": 0});
    env.pool_of("reserved-pool", "10.1.0.0/24", three).await?;
    env.reserve("before", json!(["10.1.0.8", "fd00::/64"]))
        .await?;

    let pod = env.pod("early").create().await?;
    let early = env.eth0(&pod)?;
    let had = early.add().await?.success()?.ips()?[0];
    assert_ne!(had.to_string(), "10.1.0.8");
    env.reserve("after", json!([had])).await?;
    // It lives on where it is, and CHECK finds it there.
    early.check().await?.success()?;

    let late = env.pod("late").create().await?;
    let other = env.eth0(&late)?.add().await?.success()?.ips()?[0];
    assert!(other != had && other.to_string() != "10.1.0.8", "{other}");

    // Given back, it goes to no pod, not even to the one that had it.
    early.del().await?.success()?;
    let again = env.eth0(&pod)?;
    let pools = env.pools_of(&again.add().await?).await?;
    assert_eq!(
        pools,
        "100: no free IPv4 address in reserved-pool (1 address: 1 held): enlarge a pool or name a backup"
    );
    let asking = env
        .eth0(&late)?
        .interface("net1")
        .set("runtimeConfig", json!({"ips": [had]}));
    let pools = env.pools_of(&asking.add().await?).await?;
    assert_eq!(
        pools,
        format!(
            "102: {had} was requested, and pool reserved-pool does not give it: correct its ips and excludeIPs, \
             the ReservedIPs and the gateway, or request another"
        )
    );
    Ok(())
}
