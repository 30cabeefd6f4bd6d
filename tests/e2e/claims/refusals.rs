//! What a pod is told whose claim has no address for it.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::env::{Isolation, TestEnv};

async fn refusal(env: &TestEnv, pod: &str, claim: &str) -> Result<String> {
    let (_pod, eth0) = env.claiming(pod, claim).await?;
    env.answer(&eth0.add().await?)
}

#[tokio::test]
async fn a_claim_that_is_not_there_or_not_for_this_pod_is_named_in_plain_words() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=20)).await?;
    insta::assert_snapshot!(refusal(&env, "missing", "none").await?, @"101: IPClaim test/none does not exist: create it, or correct the pod's annotation ipam.leasehold.io/claim");

    // A finalizer keeps one that is being deleted.
    env.claim("ending", json!({"addresses": [env.at(9).to_string()]}))
        .await?;
    let finalizer = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    let claims = env.claims().await?;
    claims
        .patch("ending", &PatchParams::default(), &Patch::Merge(finalizer))
        .await?;
    env.delete_claim("ending").await?;
    insta::assert_snapshot!(refusal(&env, "ending", "ending").await?, @"101: IPClaim test/ending is being deleted: create it again once it is gone, or name another in the pod's annotation ipam.leasehold.io/claim; IPv4 from the pod's annotation ipam.leasehold.io/claim: test-pool: fits; IPv6 from the default pools: there are none");

    env.claim("outside", json!({"addresses": [env.at(900).to_string()]}))
        .await?;
    insta::assert_snapshot!(refusal(&env, "outside", "outside").await?, @"101: no pool has IPv4 addresses that IPClaim test/outside lists: correct its spec.addresses or its spec.vrf");

    env.claim("sized", json!({"size": 3, "pools": [pool]}))
        .await?;
    insta::assert_snapshot!(refusal(&env, "unresolved", "sized").await?, @"101: IPClaim test/sized has no IPv4 addresses yet: the collector chooses them, and its condition Ready says what keeps it from that; IPv4 from the pod's annotation ipam.leasehold.io/claim: test-pool: fits; IPv6 from the default pools: there are none");

    env.claim(
        "blue",
        json!({"addresses": [env.at(7).to_string()], "vrf": "blue"}),
    )
    .await?;
    insta::assert_snapshot!(refusal(&env, "vrf", "blue").await?, @r#"7: IPClaim test/blue is of vrf "blue", and this network is of vrf "": correct the one or the other"#);

    env.claim("six", json!({"addresses": [env.at6(7).to_string()]}))
        .await?;
    insta::assert_snapshot!(refusal(&env, "family", "six").await?, @"101: no pool has IPv6 addresses that IPClaim test/six lists: correct its spec.addresses or its spec.vrf");
    Ok(())
}

#[tokio::test]
async fn a_full_set_says_who_has_its_addresses() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=20)).await?;
    let listed = [7, 8].map(|number| env.at(number).to_string());
    env.claim("web", json!({"addresses": listed})).await?;
    // A plain pod was first.
    let plain = env.pod("plain").create().await?;
    let plain = env
        .eth0_on(&plain, &pool)?
        .set("runtimeConfig", json!({"ips": [env.at(8)]}));
    plain.add().await?.success()?;
    let (_pod, first) = env.claiming("first", "web").await?;
    first.add().await?.success()?;
    insta::assert_snapshot!(refusal(&env, "second", "web").await?, @"100: IPClaim test/web is full: of its 2 IPv4 addresses 10.0.0.7 is held by test/first (eth0 on node), 10.0.0.8 is held by test/plain (eth0 on node); enlarge it or end a pod that has one of its addresses; IPv4 from the pod's annotation ipam.leasehold.io/claim: test-pool: fits; IPv6 from the default pools: there are none");
    env.claim("younger", json!({"addresses": [env.at(7).to_string()]}))
        .await?;
    insta::assert_snapshot!(refusal(&env, "of-another", "younger").await?, @"100: IPClaim test/younger is full: 10.0.0.7 is in IPClaim test/web already; enlarge it or end a pod that has one of its addresses; IPv4 from the pod's annotation ipam.leasehold.io/claim: test-pool: fits; IPv6 from the default pools: there are none");
    // Once it ends, its address is the set's.
    plain.del().await?.success()?;
    assert_eq!(refusal(&env, "third", "web").await?, "10.0.0.8");
    Ok(())
}
