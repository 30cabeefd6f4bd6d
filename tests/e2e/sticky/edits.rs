//! Pools and reservations that are edited while an address is kept.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{STICKY, come_and_gone, numbered, owner};
use crate::env::{Isolation, TestEnv, with};

/// A pool, and the address that it keeps for `web-0`.
async fn kept() -> Result<(TestEnv, String, std::net::IpAddr)> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let kept = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    Ok((env, pool, kept))
}

#[tokio::test]
async fn a_disabled_pool_gives_back_what_it_keeps_and_nothing_else() -> Result<()> {
    let (env, pool, kept) = kept().await?;
    env.pool("pool", with(env.v4(1..=200), &json!({"disable": true})))
        .await?;
    let again = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    assert_eq!(again, kept);
    let next = numbered(&env, "web-1").create().await?;
    let refused = env.eth0_on(&next, &pool)?.add().await?;
    assert_eq!(refused.error_code(), Some(101), "{refused}");
    ensure!(refused.stdout.contains("disabled"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn an_address_that_no_longer_fits_is_given_up() -> Result<()> {
    type Edit = fn(&TestEnv, &str) -> Value;
    let edits: [(&str, Edit); 3] = [
        ("excluded", |_, kept| json!({"excludeIPs": [kept]})),
        (
            "outside",
            |env, _| json!({"ips": [env.at(250).to_string()]}),
        ),
        (
            "of another namespace",
            |_, _| json!({"namespaceName": ["elsewhere"]}),
        ),
    ];
    for (says, edit) in edits {
        let (env, pool, kept) = kept().await?;
        let spare = env.pool("spare", env.v4(300..=310)).await?;
        let edited = with(env.v4(1..=200), &edit(&env, &kept.to_string()));
        env.pool("pool", edited).await?;
        let pod = numbered(&env, "web-0").create().await?;
        let eth0 = env.eth0(&pod)?.ipam("ipv4Pools", json!([pool, spare]));
        let new = eth0.add().await?.success()?.ips()?[0];
        ensure!(new != kept, "{says}: it got {kept} again");
    }
    Ok(())
}

#[tokio::test]
async fn a_reserved_address_is_given_up() -> Result<()> {
    let (env, pool, kept) = kept().await?;
    env.reserve("kept", json!([kept])).await?;
    let new = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    ensure!(new != kept, "{kept} is reserved");
    Ok(())
}

/// What is kept for the name stays its own, for when it opts in again.
#[tokio::test]
async fn a_pod_that_opts_out_is_served_as_any_and_one_that_opts_in_has_the_address() -> Result<()> {
    let (env, pool, kept) = kept().await?;
    let out = numbered(&env, "web-0").annotation(STICKY, "false");
    let other = come_and_gone(&env, out, &pool).await?;
    ensure!(
        other != kept,
        "it has {kept}, which is kept for pods that opt in"
    );
    let back = env.pod("web-0").annotation(STICKY, "true");
    assert_eq!(come_and_gone(&env, back, &pool).await?, kept);
    Ok(())
}

/// Only group, kind and name of an owner count, and not for the address.
#[tokio::test]
async fn whoever_owns_the_pod_it_is_the_name_that_counts() -> Result<()> {
    let (env, pool, kept) = kept().await?;
    let orphan = env.pod("web-0").annotation(STICKY, "true");
    assert_eq!(come_and_gone(&env, orphan, &pool).await?, kept);
    let adopted = env.pod("web-0").owner(owner("StatefulSet", "other"));
    assert_eq!(come_and_gone(&env, adopted, &pool).await?, kept);
    Ok(())
}
