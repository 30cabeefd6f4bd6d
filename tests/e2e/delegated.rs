//! Behind the real macvlan and bridge plugins: what a pod sees in its namespace, and what is left
//! of it.

mod failed;
mod gateways;
mod versions;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::{Attachment, Outcome};

use crate::env::{Isolation, TestEnv, with};

/// An environment on a segment with a gateway, and a pool of each family whose pods have routes.
struct Wired {
    env: TestEnv,
    pools: [String; 2],
}

impl Wired {
    async fn new() -> Result<Self> {
        let env = Isolation::subnets().segment().start().await?;
        let routed = |dst: &str, gateway: IpAddr, gw: IpAddr| json!({"gateway": gateway, "routes": [{"dst": dst, "gw": gw}]});
        let v4 = routed("192.168.0.0/16", env.at(1).into(), env.at(2).into());
        let v6 = routed("fd99::/64", env.at6(1).into(), env.at6(2).into());
        let v4 = env.pool("v4", with(env.v4(10..=20), &v4)).await?;
        let v6 = env.pool("v6", with(env.v6(10..=20), &v6)).await?;
        env.segment()?.add_neighbor(&format!("{}/22", env.at(1)))?;
        env.segment()?.add_neighbor(&format!("{}/64", env.at6(1)))?;
        Ok(Self {
            env,
            pools: [v4, v6],
        })
    }

    /// A pod's first interface, for a main plugin to be named.
    async fn attach(&self, pod: &str) -> Result<Attachment> {
        let pod = self.env.pod(pod).create().await?;
        let eth0 = self.env.eth0_on(&pod, &self.pools[0])?;
        Ok(eth0.ipam("ipv6Pools", json!([self.pools[1]])))
    }

    /// Addresses and routes of the interface, as `ip` shows them, equal to those of the result.
    fn sees(&self, eth0: &Attachment, added: &Outcome) -> Result<String> {
        let netns = eth0.sandbox().netns();
        assert_eq!(netns.addresses("eth0")?, added.addresses()?);
        let v4 = netns.ip("-4 route show dev eth0")?;
        // What the kernel adds by itself is about the link.
        let v6 = netns.ip("-6 route show dev eth0 proto boot")?;
        let v6 = v6.replace(" pref medium", "");
        let text = added
            .addresses()?
            .iter()
            .fold(format!("{v4}\n{v6}"), |text, address| {
                text.replace(&address.addr().to_string(), "<address>")
            });
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        Ok(self.env.redact(&lines.join("\n")))
    }

    async fn is_given_back(&self, eth0: &Attachment) -> Result<()> {
        let links = eth0.sandbox().netns().ip("-o link")?;
        ensure!(!links.contains("eth0"), "{links}");
        assert_eq!(self.env.held().await?.len(), 0);
        Ok(())
    }
}

#[tokio::test]
async fn behind_macvlan_a_pod_has_its_addresses_and_routes_until_del() -> Result<()> {
    let wired = Wired::new().await?;
    let eth0 = wired.attach("web").await?;
    let eth0 = eth0.by_macvlan();
    let added = eth0.add().await?.success()?;
    insta::assert_snapshot!(wired.sees(&eth0, &added)?, @"
    default via 10.0.0.1
    10.0.0.0/22 proto kernel scope link src <address>
    192.168.0.0/16 via 10.0.0.2
    fd99::/64 via fd00::2 metric 1024
    default via fd00::1 metric 1024
    ");
    for gateway in [wired.env.at(1).into(), wired.env.at6(1).into()] {
        eth0.sandbox()
            .netns()
            .ping(gateway, Duration::from_secs(10))?;
    }
    eth0.check().await?.success()?;
    eth0.del().await?.success()?;
    wired.is_given_back(&eth0).await
}

#[tokio::test]
async fn behind_a_bridge_a_pod_has_its_addresses_and_routes_until_del() -> Result<()> {
    let wired = Wired::new().await?;
    let eth0 = wired.attach("web").await?;
    let eth0 = eth0.by_bridge("cni0");
    let added = eth0.add().await?.success()?;
    insta::assert_snapshot!(wired.sees(&eth0, &added)?, @"
    default via 10.0.0.1
    10.0.0.0/22 proto kernel scope link src <address>
    192.168.0.0/16 via 10.0.0.2
    fd99::/64 via fd00::2 metric 1024
    default via fd00::1 metric 1024
    ");
    eth0.check().await?.success()?;
    eth0.del().await?.success()?;
    let node = wired.env.node.netns().context("a node's namespace")?;
    let links = node.ip("-o link show type veth")?;
    assert_eq!(links.lines().count(), 1, "the node's own: {links}");
    wired.is_given_back(&eth0).await
}

#[tokio::test]
async fn a_check_behind_a_main_plugin_finds_a_lease_that_is_gone() -> Result<()> {
    let wired = Wired::new().await?;
    let eth0 = wired.attach("web").await?;
    let eth0 = eth0.by_macvlan();
    eth0.add().await?.success()?;
    let result = eth0.result();
    eth0.call("DEL")?
        .env("CNI_NETNS", "")
        .run()
        .await?
        .success()?;
    eth0.remember(result);
    assert_eq!(eth0.check().await?.error_code(), Some(105));
    Ok(())
}

#[tokio::test]
async fn pods_of_two_nodes_reach_each_other() -> Result<()> {
    let wired = Wired::new().await?;
    let node = wired.env.cluster.fresh_node();
    let node = node.on(wired.env.segment()?).create().await?;
    let elsewhere = Wired {
        env: wired.env.clone().on(node),
        pools: wired.pools.clone(),
    };
    let here = wired.attach("here").await?;
    let other = elsewhere.attach("there").await?;
    let here = here.by_macvlan();
    here.add().await?.success()?;
    let other = other.by_macvlan();
    for address in other.add().await?.success()?.ips()? {
        here.sandbox()
            .netns()
            .ping(address, Duration::from_secs(10))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_passes_through_the_main_plugin_and_del_clears_up_after_it() -> Result<()> {
    let wired = Wired::new().await?;
    let eth0 = wired.attach("web").await?;
    let eth0 = eth0
        .by_macvlan()
        .ipam("ipv4Pools", json!(["no-such-pool"]))
        .ipam("ipFamilyPolicy", json!("SingleStack"));
    insta::assert_snapshot!(wired.env.message(&eth0.add().await?), @"101: no IPv4 pool for this pod: create IPPool no-such-pool or correct the CNI configuration's ipv4Pools; IPv4 from the CNI configuration's ipv4Pools: no-such-pool: does not exist");
    eth0.del().await?.success()?;
    wired.is_given_back(&eth0).await
}
