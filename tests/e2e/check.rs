//! CHECK: fails when an address of the result is not this container's any more, and says whose it
//! is.

use anyhow::{Context, Result};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use leasehold::api::IPLease;
use serde_json::json;

use crate::env::Isolation;

#[tokio::test]
async fn right_after_add_it_succeeds_and_says_nothing() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=10)).await?;
    let pool6 = env.pool("pool6", env.v6(1..=10)).await?;
    let (_, eth0) = env.pod_on("web", &pool).await?;
    let eth0 = eth0.ipam("ipv6Pools", json!([pool6]));
    eth0.add().await?.success()?;
    let checked = eth0.check().await?.success()?;
    assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
    Ok(())
}

#[tokio::test]
async fn a_lease_that_was_deleted_is_missed() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(7..=7)).await?;
    let pool6 = env.pool("pool6", env.v6(7..=7)).await?;
    let (_, eth0) = env.pod_on("web", &pool).await?;
    let eth0 = eth0.ipam("ipv6Pools", json!([pool6]));
    eth0.add().await?.success()?;
    // The second address of two.
    let lease = env.leases().await?.remove(1);
    delete_by_hand(&env.api().await?, &lease).await?;
    insta::assert_snapshot!(env.message(&eth0.check().await?), @"105: fd00::7 is not held by this container: it has no lease");
    Ok(())
}

#[tokio::test]
async fn an_address_that_was_taken_over_is_reported_with_its_holder() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(7..=7)).await?;
    let (_, eth0) = env.pod_on("web", &pool).await?;
    eth0.add().await?.success()?;
    let lease = env.leases().await?.remove(0);
    delete_by_hand(&env.api().await?, &lease).await?;
    let (_, thief) = env.pod_on("thief", &pool).await?;
    let thief = thief.container("0ther").interface("net1");
    thief.add().await?.success()?;
    insta::assert_snapshot!(env.message(&eth0.check().await?), @"105: 10.0.0.7 is not held by this container: it is held by test/thief (net1 on node), container 0ther");
    thief.check().await?.success()?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_was_given_back_is_not_held() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(7..=7)).await?;
    let (_, eth0) = env.pod_on("web", &pool).await?;
    let eth0 = eth0.container("c0ffee");
    eth0.add().await?.success()?;
    let result = eth0.result();
    eth0.del().await?.success()?;
    eth0.remember(result);
    insta::assert_snapshot!(env.message(&eth0.check().await?), @"105: 10.0.0.7 is not held by this container: it is cooling, last held by test/web (eth0 on node), container c0ffee");
    Ok(())
}

#[tokio::test]
async fn without_a_result_there_is_nothing_to_check() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let (_, eth0) = env.pod_on("web", "none").await?;
    insta::assert_snapshot!(env.message(&eth0.check().await?), @"7: prevResult is missing; expected the result of the ADD that is to be checked");
    eth0.remember(Some(json!({"cniVersion": "1.1.0", "ips": []})));
    insta::assert_snapshot!(env.message(&eth0.check().await?), @r#"7: prevResult is {"cniVersion":"1.1.0","ips":[]}; expected a result with an address of this interface"#);
    Ok(())
}

/// A Held lease is annotated before it is deleted.
async fn delete_by_hand(leases: &Api<IPLease>, lease: &IPLease) -> Result<()> {
    let name = lease.metadata.name.clone().unwrap_or_default();
    let holder = lease.spec.holder.clone().unwrap_or_default();
    let release = json!({"metadata": {"annotations": {"ipam.leasehold.io/release": holder.uid}}});
    leases
        .patch(&name, &PatchParams::default(), &Patch::Merge(release))
        .await?;
    leases.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_another_plugin_of_the_chain_added_is_not_judged() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(7..=7)).await?;
    let (_, eth0) = env.pod_on("web", &pool).await?;
    eth0.add().await?.success()?;
    let result = eth0.result().context("a result")?;
    let with = |address: String| {
        let mut result = result.clone();
        if let Some(ips) = result["ips"].as_array_mut() {
            ips.push(json!({"address": address}));
        }
        result
    };
    for address in [
        // Of another segment, of the pool's but outside its ranges, of the other family.
        "192.0.2.7/24".to_owned(),
        format!("{}/22", env.at(100)),
        format!("{}/64", env.at6(7)),
    ] {
        eth0.remember(Some(with(address)));
        eth0.check().await?.success()?;
    }
    // The neighbors: one that a pool gives, and one that another pod has.
    let free = env.pool("free", env.v4(9..=9)).await?;
    eth0.remember(Some(with(format!("{}/22", env.at(9)))));
    assert_eq!(eth0.check().await?.error_code(), Some(105));
    let (_, other) = env.pod_on("other", &free).await?;
    other.add().await?.success()?;
    assert_eq!(eth0.check().await?.error_code(), Some(105));
    // And a result without any address that is held.
    eth0.remember(Some(
        json!({"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.7/24"}]}),
    ));
    assert_eq!(eth0.check().await?.error_code(), Some(105));
    Ok(())
}
