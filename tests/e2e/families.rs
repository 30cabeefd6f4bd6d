//! IPv4, IPv6 or both: what the policy says, and of two families both or neither.

use anyhow::Result;
use kube::api::{Api, Patch, PatchParams};
use leasehold::api::IPLease;
use serde_json::json;
use testbed::proxy::{Log, On};
use testbed::{Attachment, Outcome};

use crate::env::{DualStack, Isolation, with};

/// With one address of each family.
async fn dual() -> Result<DualStack> {
    DualStack::new(|env| env.v4(4..=4), |env| env.v6(6..=6)).await
}

/// What ADD answers; DEL gives it back.
async fn gets(dual: &DualStack, eth0: &Attachment) -> Result<String> {
    let answer = dual.add(eth0).await?;
    eth0.del().await?.success()?;
    Ok(answer)
}

#[tokio::test]
async fn the_policy_says_how_many_families_and_the_list_which_comes_first() -> Result<()> {
    let dual = dual().await?;
    let mut lines = Vec::new();
    for policy in ["SingleStack", "PreferDualStack", "RequireDualStack"] {
        for families in [json!(["IPv4"]), json!(["IPv6"]), json!(["IPv6", "IPv4"])] {
            let eth0 = dual
                .eth0()?
                .ipam("ipFamilyPolicy", json!(policy))
                .ipam("ipFamilies", families.clone());
            lines.push(format!(
                "{policy} {families}: {}",
                gets(&dual, &eth0).await?
            ));
        }
    }
    lines.push(format!("unsaid: {}", gets(&dual, &dual.eth0()?).await?));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    SingleStack ["IPv4"]: 10.0.0.4
    SingleStack ["IPv6"]: fd00::6
    SingleStack ["IPv6","IPv4"]: fd00::6
    PreferDualStack ["IPv4"]: 10.0.0.4 fd00::6
    PreferDualStack ["IPv6"]: fd00::6 10.0.0.4
    PreferDualStack ["IPv6","IPv4"]: fd00::6 10.0.0.4
    RequireDualStack ["IPv4"]: 10.0.0.4 fd00::6
    RequireDualStack ["IPv6"]: fd00::6 10.0.0.4
    RequireDualStack ["IPv6","IPv4"]: fd00::6 10.0.0.4
    unsaid: 10.0.0.4 fd00::6
    "#);
    Ok(())
}

#[tokio::test]
async fn a_family_without_a_pool_is_left_out_unless_both_are_required() -> Result<()> {
    let dual = dual().await?;
    let mut lines = Vec::new();
    for policy in ["SingleStack", "PreferDualStack", "RequireDualStack"] {
        for (key, other) in [("ipv4Pools", "IPv6"), ("ipv6Pools", "IPv4")] {
            let eth0 = dual
                .eth0()?
                .ipam("ipFamilyPolicy", json!(policy))
                .ipam("ipFamilies", json!([other]))
                .ipam(key, json!(null));
            lines.push(format!(
                "{policy} {other}, no {key}: {}",
                gets(&dual, &eth0).await?
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    SingleStack IPv6, no ipv4Pools: fd00::6
    SingleStack IPv4, no ipv6Pools: 10.0.0.4
    PreferDualStack IPv6, no ipv4Pools: fd00::6
    PreferDualStack IPv4, no ipv6Pools: 10.0.0.4
    RequireDualStack IPv6, no ipv4Pools: 101: no IPv4 pool for this pod: set "default: true" in an IPPool with IPv4 addresses, or name one in the pod's annotation ipam.leasehold.io/ippool; IPv6 from the CNI configuration's ipv6Pools: test-v6: fits; IPv4 from the default pools: there are none
    RequireDualStack IPv4, no ipv6Pools: 101: no IPv6 pool for this pod: set "default: true" in an IPPool with IPv6 addresses, or name one in the pod's annotation ipam.leasehold.io/ippool; IPv4 from the CNI configuration's ipv4Pools: test-v4: fits; IPv6 from the default pools: there are none
    "#);
    Ok(())
}

#[tokio::test]
async fn when_the_second_family_is_full_the_first_is_given_back() -> Result<()> {
    let dual = dual().await?;
    let (_, first) = dual.env.pod_on("first", &dual.v4).await?;
    let only6 = first
        .ipam("ipv6Pools", json!([dual.v6]))
        .ipam("ipv4Pools", json!(null));
    only6.add().await?.success()?;

    let refused: Outcome = dual.eth0()?.add().await?;
    insta::assert_snapshot!(dual.env.message(&refused), @"100: no free IPv6 address in test-v6 (1 address: 1 held): enlarge a pool or name a backup; IPv4 from the CNI configuration's ipv4Pools: test-v4: fits; IPv6 from the CNI configuration's ipv6Pools: test-v6: fits");
    insta::assert_snapshot!(dual.env.lease_lines().await?, @"fd00::6 Held first eth0");
    Ok(())
}

#[tokio::test]
async fn what_is_given_back_is_what_it_was_before() -> Result<()> {
    let dual = dual().await?;
    let (_, full) = dual.env.pod_on("full", "none").await?;
    let full = full
        .ipam("ipv6Pools", json!([dual.v6]))
        .ipam("ipv4Pools", json!(null));
    full.add().await?.success()?;
    // The only IPv4 address cools after another pod.
    let (_, before) = dual.env.pod_on("before", &dual.v4).await?;
    before.add().await?.success()?;
    before.del().await?.success()?;
    let leases: Api<IPLease> = dual.env.api().await?;
    let name = dual.env.at(4).to_string();
    // What another wrote for the former holder ends with that holder, though the address goes back.
    let noted = json!({"metadata": {"labels": {"noted": "yes"}}});
    leases
        .patch(&name, &PatchParams::default(), &Patch::Merge(noted))
        .await?;
    let was = leases.get(&name).await?;

    let refused = dual.eth0()?.add().await?;
    assert_eq!(refused.error_code(), Some(100), "{refused}");
    let is = leases.get(&name).await?;
    assert_eq!(is.spec.released_at, was.spec.released_at);
    assert_eq!(is.spec.state, was.spec.state);
    assert_eq!(is.metadata.labels, None);
    assert_ne!(is.metadata.resource_version, was.metadata.resource_version);
    Ok(())
}

#[tokio::test]
async fn each_family_has_its_gateway_and_its_routes() -> Result<()> {
    let dual = dual().await?;
    let route = |dst: &str, gw: String| json!({"gateway": gw, "routes": [{"dst": dst, "gw": gw}]});
    let v4 = with(
        dual.env.v4(4..=4),
        &route("192.168.0.0/16", dual.env.at(1).to_string()),
    );
    let v6 = with(
        dual.env.v6(6..=6),
        &route("fd99::/64", dual.env.at6(1).to_string()),
    );
    dual.env.pool("v4", v4).await?;
    dual.env.pool("v6", v6).await?;
    insta::assert_snapshot!(dual.env.message(&dual.eth0()?.add().await?), @r#"{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.4/22","gateway":"10.0.0.1"},{"address":"fd00::6/64","gateway":"fd00::1"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"192.168.0.0/16","gw":"10.0.0.1"},{"dst":"::/0","gw":"fd00::1"},{"dst":"fd99::/64","gw":"fd00::1"}]}"#);
    Ok(())
}

/// Each has the last address of one family when it asks for the other.
#[tokio::test]
async fn of_two_pods_that_have_half_of_the_last_pair_one_gets_both() -> Result<()> {
    let env = Isolation::vrf("last-pair").proxy().start().await?;
    let v4 = env.pool("v4", env.v4(4..=4)).await?;
    let v6 = env.pool("v6", env.v6(6..=6)).await?;
    let eth0 = async |name| {
        let eth0 = env.eth0_via(name, &env.pod(name).create().await?)?;
        let eth0 = eth0.ipam("timeoutSeconds", json!(50));
        anyhow::Ok(
            eth0.ipam("ipv4Pools", json!([v4]))
                .ipam("ipv6Pools", json!([v6])),
        )
    };
    let (one, other) = (eth0("one").await?, eth0("other").await?);
    let creates = |caller| env.proxy().hold(On::create("ipleases").caller(caller));
    let (of_one, of_other) = (creates("one"), creates("other"));
    // Neither reads on, nor gives anything back, before both have a half.
    let reads = env.proxy().hold(On::get("ipleases").caller("other"));
    let given_back = env.proxy().hold(On::delete("ipleases"));
    let halves = async {
        let half = of_one.arrived().await?;
        // The other half of it stands here too.
        let rest = of_one.arrived().await?;
        half.release();
        env.until_held(1).await?;
        of_other.release();
        env.until_held(2).await?;
        rest.release();
        of_one.release();
        reads.release();
        for caller in ["one", "other"] {
            let lists = On::list("ipleases").caller(caller);
            let listed = |log: &Log| log.of(&lists).any(|list| list.ended.is_some());
            env.proxy().wait_for("a list", listed).await?;
        }
        given_back.release();
        anyhow::Ok(())
    };
    let (halves, one, other) = tokio::join!(halves, one.add(), other.add());
    halves?;
    let (one, other) = (one?, other?);
    assert!(one.succeeded() != other.succeeded(), "{one}\n{other}");
    assert_eq!(env.held().await?.len(), 2);
    Ok(())
}
