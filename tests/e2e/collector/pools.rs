//! What `kubectl get ippools` answers.

use anyhow::{Context, Result, ensure};
use leasehold::api::IPPoolStatus;
use serde_json::json;

/// The conditions that hold, with their messages.
fn holds(status: &IPPoolStatus) -> Vec<(&str, &str)> {
    let true_ones = status.conditions.iter().filter(|c| c.status == "True");
    true_ones
        .map(|c| (c.type_.as_str(), c.message.as_str()))
        .collect()
}

#[tokio::test]
async fn the_status_of_a_pool_says_how_full_it_is_and_what_is_odd() -> Result<()> {
    let env = super::run::env("full", "10.63.0.0/29").await?;
    let node = env.cluster.fresh_node().create().await?;
    let run = async || env.collect(&[]).await;
    env.pool_of(
        "wide",
        "fd00:63::/48",
        json!({"excludeIPs": ["fd00:63::/64"]}),
    )
    .await?;
    env.pool_of(
        "beside",
        "10.63.0.0/28",
        json!({"ips": ["10.63.0.6-10.63.0.9"]}),
    )
    .await?;
    env.attach(&node, "one").await?;
    env.write_lease("10.63.0.7", json!({"state": "Retained", "pool": "beside"}))
        .await?;
    run().await?;

    let status = async |name: &str| env.read_pool(name).await?.status.context("no status");
    let full = status("full").await?;
    assert_eq!(
        (full.capacity, full.held, full.free, full.retained),
        (6, 1, 5, 0)
    );
    assert_eq!(
        holds(&full),
        [("Overlapping", "pool beside may give 10.63.0.6 too")]
    );
    let wide = status("wide").await?;
    assert_eq!((wide.capacity, wide.free), (i64::MAX, i64::MAX));
    let beside = status("beside").await?;
    assert_eq!((beside.capacity, beside.retained), (4, 1));

    let version = async || anyhow::Ok(env.read_pool("full").await?.metadata.resource_version);
    let before = version().await?;
    run().await?;
    ensure!(
        before == version().await?,
        "nothing changed, and it was written"
    );

    let held = env.leases().await?.remove(0).spec.address;
    let reservation = "{apiVersion: leasehold.io/v1alpha1, kind: ReservedIP, metadata: {name: full}, spec: {ips: [10.63.0.0/29]}}";
    env.cluster.apply_yaml(reservation).await?;
    run().await?;
    let reserved = status("full").await?;
    let outside = format!("pods hold 1 that it would not give today: {held}");
    assert_eq!(
        holds(&reserved),
        [
            ("Exhausted", "every address in it is excluded or reserved"),
            ("OutOfRange", outside.as_str())
        ]
    );
    let table = env
        .cluster
        .kubectl(&["get", "ippools", "wide", "full"])
        .await?;
    ensure!(table.contains("9223372036854775807"), "{table}");
    Ok(())
}
