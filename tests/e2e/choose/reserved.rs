//! Addresses that somebody outside the cluster has.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use testbed::Sandbox;

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
    // It lives on where it is, and is told again to who has it.
    early.check().await?.success()?;

    let late = env.pod("late").create().await?;
    let other = env.eth0(&late)?.add().await?.success()?.ips()?[0];
    assert!(other != had && other.to_string() != "10.1.0.8", "{other}");

    // Given back it is nobody's, not even of the pod that had it.
    early.del().await?.success()?;
    let again = env.eth0_in(&Arc::new(Sandbox::new()?), &pod)?;
    let told = env.pools_of(&again.add().await?).await?;
    assert_eq!(
        told,
        "100: no free IPv4 address in reserved-pool (1 address: 1 held): enlarge a pool or name a backup"
    );
    let asking = env
        .eth0(&late)?
        .interface("net1")
        .set("runtimeConfig", json!({"ips": [had]}));
    let told = env.pools_of(&asking.add().await?).await?;
    assert_eq!(
        told,
        format!(
            "102: {had} was asked for, and pool reserved-pool does not give it: correct its ips and excludeIPs, \
             the ReservedIPs and the gateway, or ask for another"
        )
    );
    Ok(())
}
