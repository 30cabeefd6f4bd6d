//! A pod with several interfaces, one of which can't be served.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;
use testbed::{Attachment, Pod, Sandbox};

use crate::env::{Isolation, TestEnv};

const INTERFACES: [&str; 3] = ["eth0", "net1", "net2"];

/// The pod's interfaces in a new sandbox, in the order in which Multus attaches them.
fn sandbox(env: &TestEnv, pod: &Pod) -> Result<Vec<Attachment>> {
    let sandbox = Arc::new(Sandbox::new()?);
    INTERFACES
        .iter()
        .map(|name| Ok(env.eth0(pod)?.in_sandbox(&sandbox).interface(name)))
        .collect()
}

/// The addresses of leases that the pod's `interface` holds.
async fn held(env: &TestEnv, pod: &Pod, interface: &str) -> Result<Vec<String>> {
    let leases = env.held_by(pod).await?.into_iter();
    Ok(leases
        .filter(|lease| {
            lease
                .spec
                .holder
                .as_ref()
                .is_some_and(|holder| holder.interface == interface)
        })
        .map(|lease| lease.spec.address)
        .collect())
}

#[tokio::test]
async fn a_full_pool_of_the_second_interface_costs_the_first_one_nothing_over_ten_retries()
-> Result<()> {
    let env = Isolation::vrf("several").start().await?;
    for (name, subnet, spec) in [
        ("several-1", "10.1.0.0/24", json!({})),
        (
            "several-2",
            "10.2.0.0/24",
            json!({"ips": ["10.2.0.7"], "cooldownSeconds": 0}),
        ),
        ("several-3", "10.3.0.0/24", json!({})),
    ] {
        env.pool_of(name, subnet, spec).await?;
    }
    let alone = env
        .pod("alone")
        .annotation("ipam.leasehold.io/ippool", r#"{"ipv4":["several-2"]}"#);
    let alone = env.eth0(&alone.create().await?)?;
    alone.add().await?.success()?;

    let pod = env
        .pod("pod")
        .annotation("k8s.v1.cni.cncf.io/networks", "second,third")
        .annotation(
            "ipam.leasehold.io/ippools",
            r#"[{"ipv4":["several-1"]},{"ipv4":["several-2"]},{"ipv4":["several-3"]}]"#,
        )
        .create()
        .await?;
    let mut firsts: BTreeSet<IpAddr> = BTreeSet::new();
    let mut abandoned = Vec::new();
    for attempt in 0..10 {
        let attached = sandbox(&env, &pod)?;
        let [eth0, net1, _] = attached.as_slice() else {
            unreachable!()
        };
        firsts.extend(eth0.add().await?.success()?.ips()?);
        let refused = net1.add().await?;
        assert_eq!(refused.error_code(), Some(100), "{refused}");
        assert_eq!(
            held(&env, &pod, "eth0").await?.len(),
            1,
            "attempt {attempt}"
        );
        assert_eq!(held(&env, &pod, "net1").await?, [] as [&str; 0]);
        // Multus takes down what it had attached, the last first. Where it was killed, that comes
        // much later.
        if attempt % 2 == 0 {
            net1.del().await?.success()?;
            eth0.del().await?.success()?;
        } else {
            abandoned.push(attached);
        }
    }
    assert_eq!(firsts.len(), 1, "{firsts:?}");
    let first = firsts.first().context("an address")?.to_string();

    alone.del().await?.success()?;
    let attached = sandbox(&env, &pod)?;
    let mut pools = Vec::new();
    for attachment in &attached {
        pools.push(env.pools_of(&attachment.add().await?).await?);
    }
    assert_eq!(pools, ["several-1", "several-2", "several-3"]);
    for attachment in abandoned.iter().flatten() {
        attachment.del().await?.success()?;
    }
    assert_eq!(held(&env, &pod, "eth0").await?, [first]);
    for attachment in &attached {
        attachment.check().await?.success()?;
    }
    Ok(())
}
