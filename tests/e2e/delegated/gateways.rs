//! The gateway of an answer, which main plugins and chained ones use, and the default route, which
//! they don't decide.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::{Attachment, Netns, Sandbox};

use crate::env::{Isolation, TestEnv, with};

/// An environment whose node is on a segment, and an IPv4 pool with a gateway.
async fn wired() -> Result<(TestEnv, String)> {
    let env = Isolation::subnets().segment().start().await?;
    let gateway = json!({"gateway": env.at(1)});
    let pool = env.pool("v4", with(env.v4(10..=20), &gateway)).await?;
    Ok((env, pool))
}

/// The interface of a new pod, which has a `net1` beside `eth0`.
async fn interface(
    env: &TestEnv,
    pool: &str,
    pod: &str,
    name: &str,
) -> Result<(Arc<Sandbox>, Attachment)> {
    let pod = env
        .pod(pod)
        .annotation("k8s.v1.cni.cncf.io/networks", "blue");
    let pod = pod.create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let network = if name == "net1" { "blue" } else { "test" };
    let call = env
        .eth0_on(&pod, pool)?
        .in_sandbox(&sandbox)
        .interface(name);
    let single = call.ipam("ipFamilyPolicy", json!("SingleStack"));
    Ok((sandbox, single.set("name", json!(network))))
}

/// The gateways of a result.
fn gateways(result: &Value) -> Vec<&str> {
    let ips = result["ips"].as_array().into_iter().flatten();
    ips.filter_map(|ip| ip["gateway"].as_str()).collect()
}

fn default_routes(netns: &Netns, interface: &str) -> Result<usize> {
    let v4 = netns.ip(&format!("-4 route show default dev {interface}"))?;
    let v6 = netns.ip(&format!("-6 route show default dev {interface}"))?;
    Ok(v4.lines().chain(v6.lines()).count())
}

#[tokio::test]
async fn every_answer_has_the_gateway_and_only_the_first_interface_a_default_route() -> Result<()> {
    let (env, pool) = wired().await?;
    let gateway = env.at(1).to_string();
    let node = env.node.netns().context("a node's namespace")?;
    for (name, clean, routes) in [("eth0", false, 1), ("eth0", true, 0), ("net1", false, 0)] {
        for plugin in ["macvlan", "bridge", "ptp", "host-device"] {
            let (sandbox, call) =
                interface(&env, &pool, &format!("{plugin}-{name}-{clean}"), name).await?;
            let call = call.ipam("cleanGateway", json!(clean));
            let call = match plugin {
                "macvlan" => call.by_macvlan(),
                "bridge" => call.by_bridge("cni0").set("isGateway", json!(true)),
                "ptp" => call.by_ptp(),
                _ => {
                    node.ip("link add spare type veth peer name spare0")?;
                    call.by_host_device("spare")
                }
            };
            let case = format!("{plugin}: {name}, clean gateway {clean}");
            let added = call.add().await?.success().with_context(|| case.clone())?;
            assert_eq!(gateways(&added.json()?), [gateway.as_str()], "{case}");
            assert_eq!(default_routes(sandbox.netns(), name)?, routes, "{case}");
            if plugin == "bridge" {
                // It takes the pool's gateway for itself, and no address of the pool.
                let own = node.ip("-4 -o address show dev cni0")?;
                assert!(own.contains(&format!("inet {gateway}/22")), "{own}");
                assert_eq!(own.lines().count(), 1, "{own}");
            }
            call.del().await?.success().with_context(|| case.clone())?;
            if plugin == "host-device" {
                node.ip("link delete spare0")?;
            }
        }
    }
    env.holds_nothing().await
}

#[tokio::test]
async fn sbr_finds_the_gateway_for_a_table_of_its_own() -> Result<()> {
    let (env, pool) = wired().await?;
    let (sandbox, net1) = interface(&env, &pool, "web", "net1").await?;
    let net1 = net1.by_macvlan();
    net1.add().await?.success()?;
    net1.sbr("ADD")?.run().await?.success()?;
    let netns = sandbox.netns();
    let rules = netns.ip("rule show")?;
    let address = net1.ips()?.remove(0);
    assert!(
        rules.contains(&format!("from {address} lookup 100")),
        "{rules}"
    );
    let table = netns.ip("route show table 100")?;
    let by = format!("default via {} dev net1", env.at(1));
    assert!(table.contains(&by), "{table}");
    net1.sbr("DEL")?.run().await?.success()?;
    net1.del().await?.success()?;
    Ok(())
}

#[tokio::test]
async fn the_gateway_of_an_ipv6_pool_may_be_link_local() -> Result<()> {
    let env = Isolation::subnets().segment().start().await?;
    let routes = json!([{"dst": "fd99::/64", "gw": "fe80::2"}]);
    let spec = json!({"gateway": "fe80::1", "routes": routes});
    let pool = env.pool("v6", with(env.v6(10..=20), &spec)).await?;
    let segment = env.segment()?;
    segment.add_neighbor("fe80::1/64")?;
    // Something far away, and the way back from there.
    segment.add_neighbor("fd98::1/128")?;
    segment.add_neighbor(&format!("{}/64", env.at6(1)))?;
    let pod = env
        .pod("web")
        .annotation("k8s.v1.cni.cncf.io/networks", "blue")
        .annotation("ipam.leasehold.io/default-route-nic", "net1")
        .annotation(
            "ipam.leasehold.io/routes",
            r#"[{"dst":"fd97::/64","gw":"fe80::3"}]"#,
        );
    let pod = pod.create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let net1 = env.eth0(&pod)?.in_sandbox(&sandbox).interface("net1");
    let net1 = net1
        .set("name", json!("blue"))
        .ipam("ipv6Pools", json!([pool]))
        .ipam("ipFamilies", json!(["IPv6"]))
        .ipam("ipFamilyPolicy", json!("SingleStack"))
        .by_macvlan();
    let added = net1.add().await?.success()?;
    assert_eq!(gateways(&added.json()?), ["fe80::1"]);
    let routes = sandbox.netns().ip("-6 route show dev net1 proto boot")?;
    let mut routes: Vec<&str> = routes
        .lines()
        .map(|line| line.split(" metric").next().unwrap_or(line).trim_end())
        .collect();
    routes.sort_unstable();
    assert_eq!(
        routes,
        [
            "default via fe80::1",
            "fd97::/64 via fe80::3",
            "fd99::/64 via fe80::2"
        ]
    );
    let far: IpAddr = "fd98::1".parse()?;
    sandbox.netns().ping(far, Duration::from_secs(20))?;
    net1.check().await?.success()?;
    net1.del().await?.success()?;
    env.holds_nothing().await
}
