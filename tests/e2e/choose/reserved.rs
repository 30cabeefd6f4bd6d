//! Addresses that somebody outside the cluster has.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use testbed::Sandbox;

use super::place::Place;

#[tokio::test]
async fn a_reserved_address_is_never_given_even_if_it_was_before_the_reservation() -> Result<()> {
    let place = Place::named("reserved").await?;
    let three = json!({"ips": ["10.1.0.7-10.1.0.9"], "default": true, "cooldownSeconds": 0});
    place.pool("reserved-pool", "10.1.0.0/24", three).await?;
    place
        .reserve(
            "reserved-before",
            &["10.1.0.8".to_owned(), "fd00::/64".to_owned()],
        )
        .await?;

    let pod = place.pod("early").create().await?;
    let early = place.eth0(&pod)?;
    let had = early.add().await?.success()?.ips()?[0];
    assert_ne!(had.to_string(), "10.1.0.8");
    place.reserve("reserved-after", &[had.to_string()]).await?;
    // It lives on where it is, and is told again to who has it.
    early.check().await?.success()?;

    let late = place.pod("late").create().await?;
    let other = place.eth0(&late)?.add().await?.success()?.ips()?[0];
    assert!(other != had && other.to_string() != "10.1.0.8", "{other}");

    // Given back it is nobody's, not even of the pod that had it.
    early.del().await?.success()?;
    let again = place.eth0_in(&Arc::new(Sandbox::new()?), &pod)?;
    let told = place.told(&again.add().await?).await?;
    assert_eq!(
        told,
        "100: no free IPv4 address in reserved-pool (1 address: 1 held): enlarge a pool or name a backup"
    );
    let asking = place
        .eth0(&late)?
        .interface("net1")
        .set("runtimeConfig", json!({"ips": [had]}));
    let told = place.told(&asking.add().await?).await?;
    assert_eq!(
        told,
        format!(
            "102: {had} was asked for, and pool reserved-pool does not give it: correct its ips and excludeIPs, \
             the ReservedIPs and the gateway, or ask for another"
        )
    );
    Ok(())
}
