//! Leases that no longer, or not only, belong to one pod.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::cases::Cases;
use super::cases::End::{Kept, Reclaimed, Untouched};

/// As a newer and an older one of the same interface.
#[tokio::test]
async fn a_lease_that_a_retry_left_behind_is_released_and_the_reported_one_stays() -> Result<()> {
    let mut cases = Cases::new("surplus", "10.60.1.0/24").await?;
    let kept = cases
        .on_living("surplus", "the lease that the pod reports", Untouched)
        .await?;
    let lease = cases.env.lease(kept.address).await?.context("no lease")?;
    let mut holder = serde_json::to_value(lease.spec.holder)?;
    holder["container"] = json!("an-earlier-sandbox");
    let addresses = ["10.60.1.1", "10.60.1.2", "10.60.1.3"];
    let kept = kept.address.to_string();
    let free: Vec<_> = addresses.iter().filter(|free| **free != kept).collect();
    for (address, since, situation) in [
        (
            free[0],
            "2026-01-01T00:00:00.000000Z",
            "an older lease that a retry left behind",
        ),
        (
            free[1],
            "2099-01-01T00:00:00.000000Z",
            "a newer lease that a retry left behind",
        ),
    ] {
        let spec = json!({"state": "Held", "holder": holder, "heldSince": since});
        let end = Reclaimed("the pod has KEPT on the same interface");
        cases.write(address, spec, situation, end).await?;
    }
    let first = &cases.judge().await?[0];
    for address in &free[..2] {
        ensure!(
            first.reason(address) == Some("young"),
            "an ADD may be at work on {address}: {first:#?}"
        );
    }
    Ok(())
}

/// As during a live migration.
#[tokio::test]
async fn a_lease_that_two_hold_is_kept() -> Result<()> {
    let mut cases = Cases::new("shared", "10.60.3.0/24").await?;
    let (namespace, node) = (cases.env.name(), cases.living.name());
    let holder = |pod: &str| {
        json!({"namespace": namespace, "pod": pod, "uid": format!("uid-of-{pod}"), "node": node,
            "container": format!("c-{pod}"), "interface": "eth0", "network": "test"})
    };
    let spec = json!({"state": "Held", "holder": holder("source"), "coHolder": holder("target"),
        "claim": {"kind": "IPClaim", "namespace": namespace, "name": "vm"}});
    let situation = "a lease that two hold";
    cases
        .write("10.60.3.1", spec, situation, Kept("shared"))
        .await?;
    cases.judge().await?;
    Ok(())
}

#[tokio::test]
async fn a_cooldown_or_quarantine_ends_in_time_and_what_a_person_keeps_does_not() -> Result<()> {
    let mut cases = Cases::new("states", "10.60.2.0/24").await?;
    let (past, future) = ("2026-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z");
    let states = [
        (
            json!({"state": "Cooling", "releasedAt": past}),
            "a cooldown that is over",
            Reclaimed("its cooldown is over"),
        ),
        (
            json!({"state": "Cooling", "releasedAt": future}),
            "a cooldown that is not over",
            Untouched,
        ),
        (
            json!({"state": "Quarantined", "quarantinedUntil": past}),
            "a quarantine that is over",
            Reclaimed("its quarantine is over"),
        ),
        (
            json!({"state": "Quarantined", "quarantinedUntil": future}),
            "a quarantine that is not over",
            Untouched,
        ),
        (
            json!({"state": "Retained"}),
            "an address that an administrator keeps",
            Untouched,
        ),
        (
            json!({"state": "Retained", "claim": {"kind": "IPClaim", "namespace": "a", "name": "b"}}),
            "an address of a claim that does not exist",
            Reclaimed("the claim that kept it is gone"),
        ),
    ];
    for (last, (spec, situation, end)) in (1..).zip(states) {
        cases
            .write(&format!("10.60.2.{last}"), spec, situation, end)
            .await?;
    }
    cases.judge().await?;
    Ok(())
}
