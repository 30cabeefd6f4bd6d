//! Edits of pools and Subnets: they reach pods that start later, and no others.

use anyhow::Result;
use serde_json::json;
use testbed::Attachment;

use crate::env::{Isolation, TestEnv};

/// A pod's eth0 through macvlan.
async fn start(env: &TestEnv, name: &str) -> Result<Attachment> {
    let pod = env.pod(name).create().await?;
    let eth0 = env.eth0(&pod)?.by_macvlan();
    eth0.add().await?.success()?;
    Ok(eth0)
}

/// What `ip route` shows, without what the kernel adds to it.
fn routes(eth0: &Attachment) -> Result<Vec<String>> {
    let shown = eth0.sandbox().netns().ip("route show proto boot")?;
    Ok(shown.lines().map(|line| line.trim().to_owned()).collect())
}

#[tokio::test]
async fn an_edit_of_a_gateway_or_of_routes_reaches_new_pods_only() -> Result<()> {
    let env = Isolation::vrf("edited").segment().start().await?;
    let segment = |gateway: &str, to: &str, by: &str| json!({"gateway": gateway, "routes": [{"dst": to, "gw": by}]});
    let (own, inherited) = ("10.1.0.0/24", "10.2.0.0/24");
    let pools = json!({"ipam.leasehold.io/default-ipv4-ippool": r#"["edited-own"]"#});
    env.namespace("edited", pools).await?;
    let mut own_spec = segment("10.1.0.1", "172.16.0.0/16", "10.1.0.2");
    own_spec["ips"] = json!(["10.1.0.64/26"]);
    env.pool_of("edited-own", own, own_spec).await?;
    let first = start(&env, "first").await?;

    let mut own_spec = segment("10.1.0.3", "172.17.0.0/16", "10.1.0.4");
    own_spec["ips"] = json!(["10.1.0.64/26"]);
    env.pool_of("edited-own", own, own_spec).await?;
    let second = start(&env, "second").await?;

    let pools = json!({"ipam.leasehold.io/default-ipv4-ippool": r#"["edited-heir"]"#});
    env.namespace("edited", pools).await?;
    env.pool_of("edited-heir", inherited, json!({})).await?;
    let subnet = segment("10.2.0.1", "172.18.0.0/16", "10.2.0.2");
    env.subnet_of("edited-subnet", inherited, subnet).await?;
    let heir = start(&env, "heir").await?;

    let subnet = segment("10.2.0.3", "172.19.0.0/16", "10.2.0.4");
    env.subnet_of("edited-subnet", inherited, subnet).await?;
    let later = start(&env, "later").await?;

    let via = |to: &str, by: &str| format!("{to} via {by} dev eth0");
    for (eth0, expected) in [
        (
            &first,
            [via("default", "10.1.0.1"), via("172.16.0.0/16", "10.1.0.2")],
        ),
        (
            &second,
            [via("default", "10.1.0.3"), via("172.17.0.0/16", "10.1.0.4")],
        ),
        (
            &heir,
            [via("default", "10.2.0.1"), via("172.18.0.0/16", "10.2.0.2")],
        ),
        (
            &later,
            [via("default", "10.2.0.3"), via("172.19.0.0/16", "10.2.0.4")],
        ),
    ] {
        assert_eq!(routes(eth0)?, expected, "{:?}", eth0.ips()?);
    }
    // What was answered to the earlier ones still holds.
    for attachment in [first, heir] {
        attachment.check().await?.success()?;
    }
    Ok(())
}
