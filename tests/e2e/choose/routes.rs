//! Routes in the pod's network namespace, set by the real interface plugins.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::{Attachment, Outcome, Pod, Sandbox};

use crate::env::{Isolation, TestEnv};

const ROUTES: &str = "ipam.leasehold.io/routes";
const CARRIER: &str = "ipam.leasehold.io/default-route-nic";

/// A pod, and an environment with two pools for its interfaces.
struct Net {
    env: TestEnv,
    sandbox: Arc<Sandbox>,
    pod: Pod,
}

impl Net {
    /// A pod of a new environment with these annotations.
    async fn of(name: &'static str, annotations: &[(&str, &str)]) -> Result<Self> {
        let env = Isolation::vrf(name).segment().start().await?;
        let more = |gateway: &str| json!({"gateway": gateway});
        env.pool_of(&format!("{name}-1"), "10.1.0.0/24", more("10.1.0.1"))
            .await?;
        env.pool_of(&format!("{name}-2"), "10.2.0.0/24", more("10.2.0.1"))
            .await?;
        Self::in_place(env, "pod", annotations).await
    }

    async fn in_place(env: TestEnv, pod: &str, annotations: &[(&str, &str)]) -> Result<Self> {
        let annotated = annotations
            .iter()
            .fold(env.pod(pod), |pod, (key, text)| pod.annotation(key, text));
        let pod = annotated.create().await?;
        let sandbox = Arc::new(Sandbox::new()?);
        Ok(Self { env, sandbox, pod })
    }

    /// An interface with an address of this pool, on a macvlan.
    fn nic(&self, interface: &str, pool: &str) -> Result<Attachment> {
        let nic = self
            .env
            .eth0(&self.pod)?
            .in_sandbox(&self.sandbox)
            .interface(interface);
        Ok(nic.ipam("ipv4Pools", json!([pool])).by_macvlan())
    }

    /// What `ip route` shows of what was asked for.
    fn shown(&self) -> Result<String> {
        let netns = self.sandbox.netns();
        let v4 = netns.ip("route show proto boot")?;
        let v6 = netns.ip("-6 route show proto boot")?;
        let lines = v4.lines().chain(v6.lines());
        let words = |line: &str| {
            line.split_whitespace()
                .take(5)
                .collect::<Vec<_>>()
                .join(" ")
        };
        Ok(lines.map(words).collect::<Vec<_>>().join("\n"))
    }
}

/// Code and message of an error.
fn error(outcome: &Outcome) -> Result<String> {
    let error = outcome.json()?;
    Ok(format!(
        "{}: {}",
        error["code"],
        error["msg"].as_str().unwrap_or_default()
    ))
}

#[tokio::test]
async fn three_levels_merge_by_destination_and_the_higher_one_wins() -> Result<()> {
    let env = Isolation::vrf("levels").segment().start().await?;
    let mut own = Vec::new();
    for (name, subnet, gateways, [a, b, c, d]) in [
        (
            "levels-4",
            "10.1.0.0/24",
            "10.1.0.",
            [
                "172.16.0.0/16",
                "172.17.0.0/16",
                "172.18.0.0/16",
                "172.19.0.0/16",
            ],
        ),
        (
            "levels-6",
            "fd00:1::/64",
            "fd00:1::",
            ["fd01::/64", "fd02::/64", "fd03::/64", "fd04::/64"],
        ),
    ] {
        let to = |dst: &str, gw: u8| json!({"dst": dst, "gw": format!("{gateways}{gw}")});
        let gateway = format!("{gateways}1");
        let segment = json!({"gateway": gateway, "routes": [to(a, 2), to(b, 2), to(c, 2)]});
        env.subnet_of(name, subnet, segment).await?;
        let pool = json!({"default": true, "routes": [to(b, 3), to(c, 3)]});
        env.pool_of(name, subnet, pool).await?;
        own.extend([to(c, 4), to(d, 4)]);
    }
    let own = Value::from(own);
    let net = Net::in_place(env, "pod", &[(ROUTES, &own.to_string())]).await?;
    let eth0 = net
        .env
        .eth0(&net.pod)?
        .in_sandbox(&net.sandbox)
        .by_macvlan();
    eth0.add().await?.success()?;
    insta::assert_snapshot!(net.shown()?, @r#"
    default via 10.1.0.1 dev eth0
    172.16.0.0/16 via 10.1.0.2 dev eth0
    172.17.0.0/16 via 10.1.0.3 dev eth0
    172.18.0.0/16 via 10.1.0.4 dev eth0
    172.19.0.0/16 via 10.1.0.4 dev eth0
    fd01::/64 via fd00:1::2 dev eth0
    fd02::/64 via fd00:1::3 dev eth0
    fd03::/64 via fd00:1::4 dev eth0
    fd04::/64 via fd00:1::4 dev eth0
    default via fd00:1::1 dev eth0
    "#);
    Ok(())
}

#[tokio::test]
async fn a_default_route_of_the_pods_own_replaces_the_gateways() -> Result<()> {
    let own = r#"[{"dst":"0.0.0.0/0","gw":"10.1.0.9"}]"#;
    let net = Net::of("own-default", &[(ROUTES, own)]).await?;
    net.nic("eth0", "own-default-1")?
        .by_bridge("br-own")
        .add()
        .await?
        .success()?;
    assert_eq!(net.shown()?, "default via 10.1.0.9 dev eth0");
    Ok(())
}

#[tokio::test]
async fn a_route_goes_to_the_interface_that_it_fits_and_one_that_fits_none_is_refused() -> Result<()>
{
    let own = r#"[{"dst":"172.16.0.0/12","gw":"10.2.0.9"},{"dst":"0.0.0.0/0","gw":"10.2.0.8"}]"#;
    let two = ("k8s.v1.cni.cncf.io/networks", "second");
    let net = Net::of("fitting", &[(ROUTES, own), two]).await?;
    net.nic("eth0", "fitting-1")?.add().await?.success()?;
    net.nic("net1", "fitting-2")?.add().await?.success()?;
    assert_eq!(
        net.shown()?,
        "default via 10.2.0.8 dev net1\n172.16.0.0/12 via 10.2.0.9 dev net1"
    );

    // In no pool of the cluster: another interface's would do, and that one may be of any network.
    let (env, wrong) = (net.env, r#"[{"dst":"172.16.0.0/12","gw":"198.18.77.9"}]"#);
    let net = Net::in_place(env, "wrong", &[(ROUTES, wrong), two]).await?;
    let refused = net.nic("net1", "fitting-2")?.add().await?;
    insta::assert_snapshot!(error(&refused)?, @"7: the pod's annotation ipam.leasehold.io/routes: $[0] must have a next hop in the subnet of a pool of this pod: 198.18.77.9, by which 172.16.0.0/12 is to be reached, fits no interface");
    let leases = net.env.held_by(&net.pod).await?;
    assert!(leases.is_empty(), "{leases:?}");
    Ok(())
}

#[tokio::test]
async fn clean_gateway_leaves_the_default_route_to_others() -> Result<()> {
    let env = Isolation::vrf("clean").segment().start().await?;
    let spec =
        json!({"gateway": "10.1.0.1", "routes": [{"dst": "172.16.0.0/12", "gw": "10.1.0.2"}]});
    env.pool_of("clean-pool", "10.1.0.0/24", spec).await?;
    let (with, without) = (
        "default via 10.1.0.1 dev eth0\n172.16.0.0/12 via 10.1.0.2 dev eth0",
        "172.16.0.0/12 via 10.1.0.2 dev eth0",
    );
    let mut env = env;
    for (name, configured, annotated, expected) in [
        ("neither", Value::Null, None, with),
        ("by-configuration", json!(true), None, without),
        ("by-annotation", Value::Null, Some(true), without),
        (
            "annotation-against-configuration",
            json!(true),
            Some(false),
            with,
        ),
    ] {
        let item = annotated.map(|clean| {
            json!([{"interface": "eth0", "ipv4": ["clean-pool"], "cleangateway": clean}])
                .to_string()
        });
        let annotations: Vec<(&str, &str)> = item
            .iter()
            .map(|item| ("ipam.leasehold.io/ippools", item.as_str()))
            .collect();
        let net = Net::in_place(env, name, &annotations).await?;
        let eth0 = net
            .nic("eth0", "clean-pool")?
            .ipam("cleanGateway", configured);
        eth0.add().await?.success()?;
        assert_eq!(net.shown()?, expected, "{name}");
        env = net.env;
    }
    Ok(())
}

#[tokio::test]
async fn one_interface_has_the_default_route_the_one_that_the_pod_names_or_the_first() -> Result<()>
{
    let two = ("k8s.v1.cni.cncf.io/networks", "second");
    let mut net = Net::of("carrier", &[two]).await?;
    for (name, carrier, expected) in [
        ("unsaid", None, "default via 10.1.0.1 dev eth0"),
        ("eth0", Some("eth0"), "default via 10.1.0.1 dev eth0"),
        ("net1", Some("net1"), "default via 10.2.0.1 dev net1"),
    ] {
        let annotations: Vec<_> = [two]
            .into_iter()
            .chain(carrier.map(|nic| (CARRIER, nic)))
            .collect();
        net = Net::in_place(net.env, name, &annotations).await?;
        net.nic("eth0", "carrier-1")?.add().await?.success()?;
        net.nic("net1", "carrier-2")?.add().await?.success()?;
        assert_eq!(net.shown()?, expected, "{name}");
    }
    let net = Net::in_place(net.env, "missing", &[two, (CARRIER, "net9")]).await?;
    let refused = net.nic("eth0", "carrier-1")?.add().await?;
    insta::assert_snapshot!(error(&refused)?, @"7: the pod's annotation ipam.leasehold.io/default-route-nic must name one of eth0, net1: it names net9");
    Ok(())
}
